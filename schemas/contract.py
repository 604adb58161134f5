"""Every subject, once: what is said on it, who answers or publishes, who may ask, and how long an answer may take.

Publishers, subscribers, permissions, discovery, AsyncAPI and the documentation all come from these rows.
"""

from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec

from flotilla.schemas import (
    alerting,
    audit,
    backtest,
    brakes,
    catalog,
    data,
    dead_man,
    engine,
    health,
    history,
    host,
    instrument,
    ledger,
    logs,
    package,
    record,
    session,
    strategy,
    telemetry,
    walk_forward,
)
from flotilla.schemas.telemetry import EngineEvent

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")


class Actor(StrEnum):
    """Who speaks on the bus."""

    ORCHESTRATOR = "orchestrator"
    SUPERVISOR = "supervisor"
    SIDECAR = "sidecar"
    GATEWAY = "gateway"
    NOTIFIER = "notifier"
    WORKER = "worker"
    OPERATOR = "operator"


class Durability(StrEnum):
    """What keeps a feed: nothing, or one of the JetStream streams."""

    LOSSY = "lossy"
    EVENTS = "EVENTS"
    LOGS = "LOGS"
    TRIALS = "TRIALS"
    RESULTS = "RESULTS"
    STOPS = "STOPS"
    AUDIT = "AUDIT"


class Call(msgspec.Struct, Generic[Q, R], frozen=True, kw_only=True):
    """A request and its reply. `is_command` means it changes something: it carries a request id and is safe to repeat."""

    subject: str
    request: type[Q]
    reply: type[R]
    owner: Actor
    callers: tuple[Actor, ...]
    summary: str
    is_command: bool = False
    timeout_s: float = 5.0


class Feed(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Facts that are published; nobody answers."""

    subject: str
    payload: type[T]
    owner: Actor
    durability: Durability
    summary: str


_PEOPLE: Final = (Actor.GATEWAY, Actor.OPERATOR)
# No token of REST may bring code of its own, unless the owner says so: PACKAGE_CHANGES.
_OPERATOR: Final = (Actor.OPERATOR,)
_CONTROL: Final = (Actor.ORCHESTRATOR, Actor.OPERATOR)
# An emergency stop must not need the orchestrator.
_EMERGENCY: Final = (Actor.ORCHESTRATOR, Actor.GATEWAY, Actor.OPERATOR)
_ENGINE_EMERGENCY: Final = (Actor.SUPERVISOR, Actor.ORCHESTRATOR, Actor.GATEWAY, Actor.OPERATOR)
TRIAL_CONSUMER: Final = "workers"
"""The place in the queue of trials that all workers share."""
EMERGENCY_TIMEOUT_S: Final = 150.0
"""The longest deadline of an emergency stop, and what killing and answering take after it."""


class _Owner(msgspec.Struct, frozen=True):
    """Makes the rows of one actor. `callers` may ask it, where a row does not name others."""

    actor: Actor
    callers: tuple[Actor, ...] = ()

    def query(
        self,
        subject: str,
        request: type[Q],
        reply: type[R],
        summary: str,
        *,
        callers: tuple[Actor, ...] | None = None,
        timeout_s: float = 5.0,
    ) -> Call[Q, R]:
        """A call that changes nothing."""
        return Call(
            subject=subject,
            request=request,
            reply=reply,
            owner=self.actor,
            callers=self.callers if callers is None else callers,
            summary=summary,
            timeout_s=timeout_s,
        )

    def command(
        self,
        subject: str,
        request: type[Q],
        reply: type[R],
        summary: str,
        *,
        callers: tuple[Actor, ...] | None = None,
        timeout_s: float = 5.0,
    ) -> Call[Q, R]:
        """A call that changes something."""
        call = self.query(subject, request, reply, summary, callers=callers, timeout_s=timeout_s)
        return msgspec.structs.replace(call, is_command=True)

    def feed(self, subject: str, payload: type[T], durability: Durability, summary: str) -> Feed[T]:
        """What the actor publishes."""
        return Feed(
            subject=subject, payload=payload, owner=self.actor, durability=durability, summary=summary
        )


_ORCHESTRATOR: Final = _Owner(Actor.ORCHESTRATOR, callers=_PEOPLE)
_SUPERVISOR: Final = _Owner(Actor.SUPERVISOR, callers=_CONTROL)
_SIDECAR: Final = _Owner(Actor.SIDECAR, callers=_CONTROL)
_GATEWAY: Final = _Owner(Actor.GATEWAY)
_NOTIFIER: Final = _Owner(Actor.NOTIFIER, callers=_PEOPLE)

ENGINE_START: Final = _ORCHESTRATOR.command(
    "fleet.engine.start", engine.StartEngine, engine.EngineAccepted, "Start a new session of an engine."
)
ENGINE_STOP: Final = _ORCHESTRATOR.command(
    "fleet.engine.stop",
    engine.StopEngine,
    engine.EngineAccepted,
    "Stop an engine; stopping a stopped one is a success. Answered once the engine has taken it, or after two seconds.",
    timeout_s=10.0,
)
ENGINE_RESTART: Final = _ORCHESTRATOR.command(
    "fleet.engine.restart",
    engine.RestartEngine,
    engine.EngineAccepted,
    "Stop an engine if it runs, then start a new session with its last configuration.",
)
ENGINE_CONFIGURE: Final = _ORCHESTRATOR.command(
    "fleet.engine.configure",
    engine.ConfigureEngine,
    engine.EngineAccepted,
    "Store a configuration for the engine's next start.",
)
ENGINE_REMOVE: Final = _ORCHESTRATOR.command(
    "fleet.engine.remove",
    engine.RemoveEngine,
    engine.EngineAccepted,
    "Forget an engine that is not active; its sessions and events stay on record.",
)
ENGINE_HALT: Final = _ORCHESTRATOR.command(
    "fleet.engine.halt",
    brakes.BrakeEngine,
    engine.EngineAccepted,
    "Let no order of an engine's strategies pass any more, only cancels, until it is resumed; what is open stays.",
    timeout_s=15.0,
)
ENGINE_REDUCE: Final = _ORCHESTRATOR.command(
    "fleet.engine.reduce",
    brakes.BrakeEngine,
    engine.EngineAccepted,
    "Let only orders that reduce a position pass, and cancels, until the engine is resumed.",
    timeout_s=15.0,
)
ENGINE_RESUME: Final = _ORCHESTRATOR.command(
    "fleet.engine.resume",
    brakes.BrakeEngine,
    engine.EngineAccepted,
    "Lift the brake of an engine: its strategies trade freely again.",
    timeout_s=15.0,
)
ENGINE_ACCEPT: Final = _ORCHESTRATOR.command(
    "fleet.engine.accept",
    brakes.AcceptMismatch,
    engine.EngineAccepted,
    "Take what an engine and its venue do not agree on (state mismatch) as it is: the engine trades on. The answer has the list.",
    timeout_s=20.0,
)
ENGINE_CANCEL_ORDERS: Final = _ORCHESTRATOR.command(
    "fleet.engine.cancel_orders",
    brakes.BrakeEngine,
    engine.EngineAccepted,
    "Cancel every order of a running engine; its strategies go on. Answered once that is confirmed, or is not in time.",
    timeout_s=60.0,
)
ENGINE_FLATTEN: Final = _ORCHESTRATOR.command(
    "fleet.engine.flatten",
    brakes.FlattenEngine,
    engine.EngineAccepted,
    "Cancel every order and close every position of a running engine, and halt it unless told otherwise. Answered once that is"
    " confirmed, or is not in time.",
    timeout_s=60.0,
)
EMERGENCY_STOP: Final = _ORCHESTRATOR.command(
    "fleet.engine.emergency_stop",
    session.EmergencyStop,
    session.FleetStopped,
    "Make one engine or all flat and gone, now; they stay stopped until that is lifted.",
    timeout_s=EMERGENCY_TIMEOUT_S,
)
LIFT_STOP: Final = _ORCHESTRATOR.command(
    "fleet.engine.lift_stop",
    session.LiftStop,
    session.StopFlags,
    "Lift the stop flags that an emergency stop left.",
)
AUDIT_LIST: Final = _ORCHESTRATOR.query(
    "fleet.audit.list",
    audit.ReadAudit,
    audit.AuditList,
    "Every change that was asked for: by whom, from where, what was sent, and what came of it; newest first.",
)
AUDIT_CHAIN: Final = _ORCHESTRATOR.query(
    "fleet.audit.chain",
    audit.ReadAuditChain,
    audit.AuditChain,
    "The audit as it is hashed, oldest first, with its head: for whoever verifies it.",
    callers=(Actor.OPERATOR,),
    timeout_s=15.0,
)
ENGINE_STATUS: Final = _ORCHESTRATOR.query(
    "fleet.engine.status",
    engine.WhichEngine,
    engine.FleetStatus,
    "State, metrics and resources of one engine.",
)
ENGINE_LIST: Final = _ORCHESTRATOR.query(
    "fleet.engine.list", engine.ListEngines, engine.EngineList, "Engines, most recent first."
)
ENGINE_SESSIONS: Final = _ORCHESTRATOR.query(
    "fleet.engine.sessions",
    engine.ListSessions,
    engine.SessionList,
    "The sessions of an engine, newest first.",
)
ENGINE_LOGS: Final = _ORCHESTRATOR.query(
    "fleet.engine.logs",
    engine.ReadLogs,
    engine.EngineLogs,
    "The last lines of an engine's log, also after its container is gone.",
)
LOG_SEARCH: Final = _ORCHESTRATOR.query(
    "fleet.log.search",
    logs.SearchLogs,
    logs.FoundLogs,
    "Lines in the logs of all engines, newest first, by text, level, time, engine, session and label.",
    timeout_s=15.0,
)
ENGINE_EVENTS: Final = _ORCHESTRATOR.query(
    "fleet.engine.events",
    engine.ReadEvents,
    engine.EventList,
    "Durable events of a session, from the record.",
)
ENGINE_HOLDINGS: Final = _ORCHESTRATOR.query(
    "fleet.engine.holdings",
    engine.ReadHoldings,
    engine.Holdings,
    "What sessions held when they were last heard, by their events on record.",
)
ENGINE_REVIEW: Final = _ORCHESTRATOR.query(
    "fleet.engine.review",
    engine.ReviewStart,
    engine.StartReview,
    "What a start would run of people's packages, and what of it the engine has not run live yet.",
    callers=_OPERATOR,
    timeout_s=15.0,
)
LEDGER_ORDERS: Final = _ORCHESTRATOR.query(
    "fleet.ledger.orders",
    ledger.ReadOrders,
    ledger.LedgerPage[ledger.OrderRow],
    "Orders of all engines, as the last event about each has them.",
    timeout_s=15.0,
)
LEDGER_FILLS: Final = _ORCHESTRATOR.query(
    "fleet.ledger.fills",
    ledger.ReadFills,
    ledger.LedgerPage[ledger.FillRow],
    "Executions of all engines, each once.",
    timeout_s=15.0,
)
LEDGER_POSITIONS: Final = _ORCHESTRATOR.query(
    "fleet.ledger.positions",
    ledger.ReadPositions,
    ledger.LedgerPage[ledger.PositionRow],
    "Positions of all engines, each from where it opened to where it closed.",
    timeout_s=15.0,
)
LEDGER_ACCOUNTS: Final = _ORCHESTRATOR.query(
    "fleet.ledger.accounts",
    ledger.ReadAccounts,
    ledger.LedgerPage[ledger.AccountRow],
    "Balances of the accounts of all engines, a row for each time they changed.",
    timeout_s=15.0,
)
HISTORY_READ: Final = _ORCHESTRATOR.query(
    "fleet.history.read",
    history.ReadHistory,
    history.History,
    "What an engine measured over time: equity, profit and loss, positions, orders and what it used, in at most so many points.",
    timeout_s=15.0,
)
HISTORY_DAYS: Final = _ORCHESTRATOR.query(
    "fleet.history.days",
    history.ReadDays,
    history.DayStarts,
    "The equity with which engines began the present day of a time zone.",
    timeout_s=15.0,
)
RECORD_KEPT: Final = _ORCHESTRATOR.query(
    "fleet.record.kept",
    record.ReadRecord,
    record.RecordKept,
    "What is on record: how much of each kind, for how long it is kept, and what was deleted.",
    timeout_s=15.0,
)
HOST_LIST: Final = _ORCHESTRATOR.query(
    "fleet.host.list",
    host.ListHosts,
    host.HostList,
    "The hosts that were heard, with what they said of themselves.",
)
CONTAINER_LIST: Final = _ORCHESTRATOR.query(
    "fleet.container.list",
    session.ListContainers,
    session.ContainerList,
    "The engine containers of every host in sight.",
)
CONTAINER_CLEANUP: Final = _ORCHESTRATOR.command(
    "fleet.container.cleanup",
    session.Cleanup,
    session.CleanupReport,
    "Remove the containers of ended sessions; with force those of active ones too.",
    timeout_s=60.0,
)
STRATEGY_LIST: Final = _ORCHESTRATOR.query(
    "fleet.strategy.list",
    strategy.ListStrategies,
    strategy.StrategyList,
    "The strategies of a running engine.",
    timeout_s=10.0,
)
STRATEGY_ADD: Final = _ORCHESTRATOR.command(
    "fleet.strategy.add",
    strategy.AddStrategy,
    strategy.StrategyList,
    "Add a strategy to a running engine.",
    timeout_s=30.0,
)
STRATEGY_START: Final = _ORCHESTRATOR.command(
    "fleet.strategy.start",
    strategy.WhichStrategy,
    strategy.StrategyList,
    "Start a strategy of a running engine.",
    timeout_s=30.0,
)
STRATEGY_STOP: Final = _ORCHESTRATOR.command(
    "fleet.strategy.stop",
    strategy.WhichStrategy,
    strategy.StrategyList,
    "Stop a strategy of a running engine by policy; the others trade on.",
    timeout_s=45.0,
)
STRATEGY_REMOVE: Final = _ORCHESTRATOR.command(
    "fleet.strategy.remove",
    strategy.WhichStrategy,
    strategy.StrategyList,
    "Stop a strategy by policy and remove it from a running engine.",
    timeout_s=45.0,
)
ENGINE_SIGNAL: Final = _ORCHESTRATOR.command(
    "fleet.engine.signal",
    strategy.SendSignal,
    strategy.StrategyList,
    "Send a signal to the strategies of a running engine that permits it.",
    timeout_s=30.0,
)
STRATEGY_VALIDATE: Final = _ORCHESTRATOR.query(
    "fleet.strategy.validate",
    catalog.ValidateStrategy,
    catalog.StrategyVerdict,
    "Whether a strategy template takes these parameters; nothing is started.",
    timeout_s=45.0,
)
TEMPLATE_LIST: Final = _ORCHESTRATOR.query(
    "fleet.template.list", catalog.ListTemplates, catalog.TemplateList, "Engine or strategy templates."
)
CATALOG_LIST: Final = _ORCHESTRATOR.query(
    "fleet.catalog.list", catalog.ListCatalog, catalog.CatalogView, "What the data catalog holds."
)

CATALOG_CHART: Final = _ORCHESTRATOR.query(
    "fleet.catalog.chart",
    data.ReadChart,
    data.Chart,
    "Open, high, low and close of a data set, down-sampled to at most so many points.",
    timeout_s=40.0,
)
CATALOG_GAPS: Final = _ORCHESTRATOR.query(
    "fleet.catalog.gaps",
    data.ReadGaps,
    data.DataGaps,
    "Where a data set has no events for long.",
    timeout_s=40.0,
)
CATALOG_ROWS: Final = _ORCHESTRATOR.query(
    "fleet.catalog.rows", data.ReadRows, data.DataRows, "The first events of a data set.", timeout_s=40.0
)
CATALOG_REMOVE: Final = _ORCHESTRATOR.command(
    "fleet.catalog.remove",
    data.RemoveData,
    data.DataRemoved,
    "Take a data set, or a time of it, out of the catalog.",
    timeout_s=75.0,
)
CATALOG_REMOVE_INSTRUMENT: Final = _ORCHESTRATOR.command(
    "fleet.catalog.remove_instrument",
    instrument.RemoveInstrument,
    instrument.InstrumentChange,
    "Take the definition of an instrument out of the catalog; refused while there is data of it, unless by force.",
    timeout_s=75.0,
)
CATALOG_UPLOAD: Final = _ORCHESTRATOR.command(
    "fleet.catalog.upload",
    data.UploadData,
    data.DataUploaded,
    "Hand over a piece of a file; it is nothing until its import is asked for.",
    timeout_s=20.0,
)
CATALOG_IMPORT: Final = _ORCHESTRATOR.command(
    "fleet.catalog.import",
    data.ImportData,
    data.ImportView,
    "Import an uploaded file; answered once that is on record.",
    timeout_s=20.0,
)
CATALOG_IMPORTS: Final = _ORCHESTRATOR.query(
    "fleet.catalog.imports",
    data.ListImports,
    data.ImportList,
    "Imports, newest first, or one: how far it is, and how it ended.",
    timeout_s=15.0,
)

BACKTEST_RUN: Final = _ORCHESTRATOR.command(
    "fleet.backtest.run", backtest.RunBacktest, backtest.BacktestView, "Put a backtest into the queue."
)
BACKTEST_GET: Final = _ORCHESTRATOR.query(
    "fleet.backtest.get", backtest.WhichBacktest, backtest.BacktestView, "One backtest."
)
BACKTEST_LIST: Final = _ORCHESTRATOR.query(
    "fleet.backtest.list", backtest.ListBacktests, backtest.BacktestList, "Backtests, newest first."
)
BACKTEST_RESULT: Final = _ORCHESTRATOR.query(
    "fleet.backtest.result",
    backtest.ReadResult,
    backtest.ResultPage,
    "A part of a completed backtest's result.",
    timeout_s=15.0,
)
BACKTEST_CANCEL: Final = _ORCHESTRATOR.command(
    "fleet.backtest.cancel",
    backtest.WhichBacktest,
    backtest.BacktestView,
    "Cancel a backtest; its process is gone when this answers.",
    timeout_s=15.0,
)
BACKTEST_REMOVE_RESULT: Final = _ORCHESTRATOR.command(
    "fleet.backtest.remove_result",
    backtest.WhichBacktest,
    backtest.BacktestView,
    "Delete the result of a completed backtest; its figures stay.",
)
BACKTEST_VERIFY: Final = _ORCHESTRATOR.command(
    "fleet.backtest.verify",
    backtest.VerifyBacktest,
    backtest.BacktestVerdict,
    "Run a backtest again from its manifest and compare; asked again, how that stands.",
)
BACKTEST_COMPARE: Final = _ORCHESTRATOR.query(
    "fleet.backtest.compare", backtest.CompareBacktests, backtest.Comparison, "Backtests side by side."
)
STUDY_RUN: Final = _ORCHESTRATOR.command(
    "fleet.study.run", backtest.RunStudy, backtest.StudyView, "Put a study into the queue.", timeout_s=15.0
)
STUDY_GET: Final = _ORCHESTRATOR.query(
    "fleet.study.get", backtest.WhichStudy, backtest.StudyView, "One study."
)
STUDY_LIST: Final = _ORCHESTRATOR.query(
    "fleet.study.list", backtest.ListStudies, backtest.StudyList, "Studies, newest first."
)
STUDY_CANCEL: Final = _ORCHESTRATOR.command(
    "fleet.study.cancel",
    backtest.WhichStudy,
    backtest.StudyView,
    "Cancel what is left of a study.",
    timeout_s=30.0,
)
STUDY_WALK_FORWARD: Final = _ORCHESTRATOR.query(
    "fleet.study.walk_forward",
    backtest.WhichStudy,
    walk_forward.WalkForward,
    "The windows of a walk forward, and what was tried out of sample as one curve.",
    timeout_s=30.0,
)
TRIAL_CLAIM: Final = _ORCHESTRATOR.command(
    "fleet.trial.claim",
    backtest.ClaimTrial,
    backtest.TrialClaimed,
    "Whether a worker shall run a trial that it took from the queue.",
    callers=(Actor.WORKER, Actor.OPERATOR),
)

PACKAGE_UPLOAD: Final = _ORCHESTRATOR.command(
    "fleet.package.upload",
    package.UploadChunk,
    package.ChunkKept,
    "Hand over a piece of a package's archive, or of a wheel that it needs; it is nothing until the whole is pushed.",
    callers=_OPERATOR,
    timeout_s=15.0,
)
PACKAGE_PUSH: Final = _ORCHESTRATOR.command(
    "fleet.package.push",
    package.PushPackage,
    package.PackageView,
    "Check uploaded content in a process of its own, and keep it under a name and a version.",
    callers=_OPERATOR,
    timeout_s=120.0,
)
PACKAGE_LIST: Final = _ORCHESTRATOR.query(
    "fleet.package.list",
    package.ListPackages,
    package.PackageList,
    "Packages of strategies, or the versions of one.",
)
PACKAGE_SHOW: Final = _ORCHESTRATOR.query(
    "fleet.package.show", package.WhichPackage, package.PackageView, "One version of a package."
)
PACKAGE_REMOVE: Final = _ORCHESTRATOR.command(
    "fleet.package.remove",
    package.RemovePackage,
    package.PackageRemoved,
    "Forget a version of a package; one that is in use is kept unless forced.",
    callers=_OPERATOR,
)
PACKAGE_FETCH: Final = _ORCHESTRATOR.query(
    "fleet.package.fetch",
    package.FetchPackage,
    package.PackageChunk,
    "A piece of a package's archive, or of a wheel, by its digest.",
    callers=(Actor.SUPERVISOR, Actor.SIDECAR, Actor.WORKER, Actor.OPERATOR),
)
PACKAGE_CHANGES: Final = (PACKAGE_UPLOAD, PACKAGE_PUSH, PACKAGE_REMOVE)
"""What a gateway may say too where the fleet's owner wants that: it is code that engines run."""

SESSION_START: Final = _SUPERVISOR.command(
    "engine.start",
    session.StartSession,
    session.ContainerFacts,
    "Make a session run on this host.",
    timeout_s=30.0,
)
SESSION_CALL_OFF: Final = _SUPERVISOR.command(
    "engine.call_off",
    session.WhichSession,
    session.ContainerFacts,
    "See to it that a session which has not begun never does; one that has is reported and left alone.",
)
SESSION_STOP: Final = _SUPERVISOR.command(
    "engine.stop",
    session.StopSession,
    session.ContainerFacts,
    "Stop a session's container: SIGTERM, then SIGKILL.",
    # It is answered before the session ends: who waits for longer waits for a supervisor that died, and the engine trades on.
    timeout_s=3.0,
)
SESSION_KILL: Final = _SUPERVISOR.command(
    "engine.kill",
    session.WhichSession,
    session.ContainerFacts,
    "SIGKILL a session's container.",
    timeout_s=10.0,
)
SESSION_REMOVE: Final = _SUPERVISOR.command(
    "engine.remove",
    session.WhichSession,
    session.ContainerFacts,
    "Remove what is left of an ended session; a running one is refused.",
    timeout_s=10.0,
)
SESSION_INSPECT: Final = _SUPERVISOR.query(
    "engine.inspect",
    session.WhichSession,
    session.ContainerFacts,
    "What the runtime says of a session.",
    callers=_EMERGENCY,
)
SESSION_LIST: Final = _SUPERVISOR.query(
    "engine.list", session.ListContainers, session.ContainerList, "The engine containers of this host."
)

HOST_EMERGENCY_STOP: Final = _SUPERVISOR.command(
    "engine.emergency_stop",
    session.EmergencyStop,
    session.HostStopped,
    "Set the stop flag of this host, make its engines flat and gone, kill what is not by the deadline.",
    callers=_EMERGENCY,
    timeout_s=EMERGENCY_TIMEOUT_S,
)
HOST_LIFT_STOP: Final = _SUPERVISOR.command(
    "engine.lift_stop",
    session.LiftStop,
    session.StopFlags,
    "Lift stop flags of this host.",
    callers=_EMERGENCY,
)
RENEW_CREDENTIAL: Final = _SUPERVISOR.command(
    "engine.renew_credential",
    session.RenewCredential,
    session.RenewedCredential,
    "Renew the bus credential of the session that asks, for as long as it runs.",
    callers=(Actor.SIDECAR,),
)
PLAN_CHECK: Final = _SUPERVISOR.query(
    "engine.check",
    session.PlanCheck,
    session.PlanProblems,
    "Have NautilusTrader itself say whether it would take classes and configs; nothing is started.",
    timeout_s=40.0,
)
PACKAGE_CHECK: Final = _SUPERVISOR.query(
    "engine.check_package",
    package.CheckPackage,
    package.PackageFindings,
    "Import a package in a process that is thrown away, and say which strategies are in it.",
    callers=(Actor.ORCHESTRATOR,),
    timeout_s=80.0,
)
PACKAGE_PYTHON: Final = _SUPERVISOR.query(
    "engine.python",
    package.WhichPython,
    package.EnginePython,
    "What packages find where the engines of this host run: Python, platform, and what is installed.",
    timeout_s=40.0,
)
CATALOG_READ: Final = _SUPERVISOR.query(
    "engine.read_catalog",
    data.CatalogQuestion,
    data.CatalogAnswer,
    "Read this host's catalog in a process that is thrown away.",
    callers=(Actor.ORCHESTRATOR,),
    timeout_s=35.0,
)
CATALOG_CHANGE: Final = _SUPERVISOR.command(
    "engine.remove_data",
    data.RemoveData,
    data.DataRemoved,
    "Take data out of this host's catalog.",
    callers=(Actor.ORCHESTRATOR,),
    timeout_s=70.0,
)
INSTRUMENT_REMOVE: Final = _SUPERVISOR.command(
    "engine.remove_instrument",
    instrument.RemoveInstrument,
    instrument.InstrumentChange,
    "Take an instrument out of this host's catalog.",
    callers=(Actor.ORCHESTRATOR,),
    timeout_s=70.0,
)
DATA_UPLOAD: Final = _SUPERVISOR.command(
    "engine.upload_data",
    data.UploadData,
    data.DataUploaded,
    "Keep a piece of a file that is to be imported.",
    callers=(Actor.ORCHESTRATOR,),
    timeout_s=10.0,
)
DATA_IMPORT: Final = _SUPERVISOR.command(
    "engine.import_data",
    data.ImportData,
    data.ImportView,
    "Import an uploaded file into this host's catalog; answered once that is on record.",
    callers=(Actor.ORCHESTRATOR,),
    timeout_s=10.0,
)
IMPORT_LIST: Final = _SUPERVISOR.query(
    "engine.list_imports",
    data.ListImports,
    data.ImportList,
    "The imports of this host.",
    callers=(Actor.ORCHESTRATOR,),
)

COMMAND_STOP: Final = _SIDECAR.command(
    "engine.<instance_id>.command.stop",
    session.EngineCommand,
    session.CommandAccepted,
    "Stop trading by policy and end the session. Answered once the engine has taken it, or after a second and a half.",
)
COMMAND_ACCEPT: Final = _SIDECAR.command(
    "engine.<instance_id>.command.accept",
    brakes.AcceptDifferent,
    session.CommandAccepted,
    "Take what engine and venue do not agree on as it is; the answer has the list.",
    timeout_s=15.0,
    callers=(Actor.ORCHESTRATOR,),
)
COMMAND_CANCEL_ORDERS: Final = _SIDECAR.command(
    "engine.<instance_id>.command.cancel_orders",
    session.EngineCommand,
    session.CommandAccepted,
    "Cancel every open order; answers when that is done, or is not in time.",
    timeout_s=40.0,
)
COMMAND_FLATTEN: Final = _SIDECAR.command(
    "engine.<instance_id>.command.flatten",
    session.EngineCommand,
    session.CommandAccepted,
    "Cancel every open order and close every position; answers when that is done, or is not in time.",
    timeout_s=40.0,
)
COMMAND_BRAKE: Final = _SIDECAR.command(
    "engine.<instance_id>.command.brake",
    brakes.SetBrake,
    session.CommandAccepted,
    "Let strategies send anything, only what reduces a position, or nothing. Answered once the engine has taken it, or after three"
    " seconds.",
    callers=(Actor.ORCHESTRATOR,),
)
COMMAND_END_NOW: Final = _SIDECAR.command(
    "engine.<instance_id>.command.end_now",
    session.EndNow,
    session.SessionEnded,
    "Cancel, close and end within a deadline; answers when that is done.",
    callers=_ENGINE_EMERGENCY,
    timeout_s=EMERGENCY_TIMEOUT_S,
)
COMMAND_CANCEL_TRIAL: Final = _SIDECAR.command(
    "engine.<instance_id>.command.cancel_trial",
    backtest.CancelTrial,
    backtest.TrialGone,
    "End a trial that this worker runs; answers when its process is gone.",
    timeout_s=10.0,
)
COMMAND_RENEW_LEASE: Final = _SIDECAR.command(
    "engine.<instance_id>.command.renew_lease",
    session.RenewLease,
    session.CommandAccepted,
    "Renew the lease on the engine's accounts.",
    callers=(Actor.ORCHESTRATOR,),
)
COMMAND_ATTEND: Final = _SIDECAR.command(
    "engine.<instance_id>.command.attend",
    dead_man.Attend,
    session.CommandAccepted,
    "Say that an orchestrator hears the engine, whose dead man waits for that.",
    callers=(Actor.ORCHESTRATOR,),
)
COMMAND_DESCRIBE: Final = _SIDECAR.query(
    "engine.<instance_id>.command.describe",
    strategy.LookIntoEngine,
    session.SessionSpec,
    "What the sidecar was told to run.",
)
COMMAND_LIST_STRATEGIES: Final = _SIDECAR.query(
    "engine.<instance_id>.command.list_strategies",
    strategy.LookIntoEngine,
    strategy.StrategyList,
    "The strategies of the engine.",
)
COMMAND_ADD_STRATEGY: Final = _SIDECAR.command(
    "engine.<instance_id>.command.add_strategy",
    strategy.AddToEngine,
    strategy.StrategyList,
    "Add a strategy.",
    timeout_s=20.0,
)
COMMAND_START_STRATEGY: Final = _SIDECAR.command(
    "engine.<instance_id>.command.start_strategy",
    strategy.ChangeInEngine,
    strategy.StrategyList,
    "Start a strategy.",
    timeout_s=20.0,
)
COMMAND_STOP_STRATEGY: Final = _SIDECAR.command(
    "engine.<instance_id>.command.stop_strategy",
    strategy.ChangeInEngine,
    strategy.StrategyList,
    "Stop a strategy by policy.",
    timeout_s=40.0,
)
COMMAND_REMOVE_STRATEGY: Final = _SIDECAR.command(
    "engine.<instance_id>.command.remove_strategy",
    strategy.ChangeInEngine,
    strategy.StrategyList,
    "Stop a strategy by policy and remove it.",
    timeout_s=40.0,
)
COMMAND_SIGNAL: Final = _SIDECAR.command(
    "engine.<instance_id>.command.signal",
    strategy.SignalInEngine,
    strategy.StrategyList,
    "Hand a signal to the engine's strategies.",
    timeout_s=20.0,
)

ALERT_LIST: Final = _NOTIFIER.query(
    "fleet.alert.list",
    alerting.ListAlerts,
    alerting.AlertList,
    "Alerts, the newest first, and the mutes in force.",
)
ALERT_ACK: Final = _NOTIFIER.command(
    "fleet.alert.ack",
    alerting.AckAlert,
    alerting.AlertView,
    "Say that somebody has taken an alert on: it is told of again only when it is over.",
)
ALERT_MUTE: Final = _NOTIFIER.command(
    "fleet.alert.mute",
    alerting.MuteAlerts,
    alerting.MuteList,
    "Tell nobody of some alerts for a time, or do so again.",
)
ALERT_RULES: Final = _NOTIFIER.query(
    "fleet.alert.rules", alerting.ListRules, alerting.RuleList, "The rules, and what was set of them."
)
ALERT_SET_RULE: Final = _NOTIFIER.command(
    "fleet.alert.set_rule",
    alerting.SetRule,
    alerting.RuleList,
    "Set a rule's threshold, severity, or whether it is on: for all, for labels, for one engine or host.",
)
ALERT_CHANNELS: Final = _NOTIFIER.query(
    "fleet.alert.channels",
    alerting.ListChannels,
    alerting.ChannelList,
    "Where alerts are sent, and how that goes.",
)
ALERT_SET_CHANNEL: Final = _NOTIFIER.command(
    "fleet.alert.set_channel",
    alerting.SetChannel,
    alerting.ChannelList,
    "Add a channel, or change it; its address is a secret of the fleet.",
)
ALERT_REMOVE_CHANNEL: Final = _NOTIFIER.command(
    "fleet.alert.remove_channel", alerting.RemoveChannel, alerting.ChannelList, "Take a channel away."
)
ALERT_TEST_CHANNEL: Final = _NOTIFIER.command(
    "fleet.alert.test_channel",
    alerting.TryChannel,
    alerting.ChannelTested,
    "Send a message of its own to a channel, and say whether it was taken.",
    timeout_s=alerting.TEST_TIMEOUT_S,
)


def health_of(actor: Actor) -> Call[health.ReadHealth, health.Health]:
    """The call that asks a service how it is."""
    # The notifier asks the orchestrator, and tells people when that does not answer.
    watchers = (Actor.NOTIFIER,) if actor == Actor.ORCHESTRATOR else ()
    owner = _Owner(actor, callers=(Actor.GATEWAY, Actor.OPERATOR, Actor.ORCHESTRATOR, *watchers))
    summary = f"Is the {actor} well, and its figures."
    return owner.query(f"service.{actor}.health", health.ReadHealth, health.Health, summary)


SERVICES: Final = (Actor.ORCHESTRATOR, Actor.SUPERVISOR, Actor.NOTIFIER, Actor.GATEWAY)
"""Those that say how they are; one of each at least is in a fleet."""
HEALTH: Final = {actor: health_of(actor) for actor in SERVICES}


def on_host(call: Call[Any, Any]) -> str:
    """The subject of a supervisor's call for one host, `host.<host>.engine.start`; the plain one reaches any host."""
    return f"host.<host>.{call.subject}"


HEARTBEAT: Final = _SIDECAR.feed(
    "engine.<instance_id>.heartbeat", telemetry.Heartbeat, Durability.LOSSY, "Once a second from the sidecar."
)
METRICS: Final = _SIDECAR.feed(
    "engine.<instance_id>.metrics",
    telemetry.EngineMetrics,
    Durability.LOSSY,
    "Once a second from the engine.",
)
STATE: Final = _SIDECAR.feed(
    "engine.<instance_id>.state",
    EngineEvent[telemetry.StateChange],
    Durability.EVENTS,
    "The session's state changed.",
)
ORDER: Final = _SIDECAR.feed(
    "engine.<instance_id>.order", EngineEvent[telemetry.OrderUpdate], Durability.EVENTS, "An order changed."
)
FILL: Final = _SIDECAR.feed(
    "engine.<instance_id>.fill",
    EngineEvent[telemetry.Fill],
    Durability.EVENTS,
    "An order was filled, in part or whole.",
)
POSITION: Final = _SIDECAR.feed(
    "engine.<instance_id>.position",
    EngineEvent[telemetry.PositionUpdate],
    Durability.EVENTS,
    "A position changed.",
)
ACCOUNT: Final = _SIDECAR.feed(
    "engine.<instance_id>.account",
    EngineEvent[telemetry.AccountUpdate],
    Durability.EVENTS,
    "An account changed.",
)
ALERT: Final = _SIDECAR.feed(
    "engine.<instance_id>.alert", EngineEvent[telemetry.Alert], Durability.EVENTS, "Somebody should look."
)
LOG: Final = _SIDECAR.feed(
    "engine.<instance_id>.log",
    telemetry.LogLines,
    Durability.LOGS,
    "Lines of the engine's stdout and stderr.",
)

ORCHESTRATOR_HEARTBEAT: Final = _ORCHESTRATOR.feed(
    "service.orchestrator.heartbeat", health.Health, Durability.LOSSY, "Once a second from the orchestrator."
)
GATEWAY_HEARTBEAT: Final = _GATEWAY.feed(
    "service.gateway.heartbeat", health.Health, Durability.LOSSY, "Once a second from each gateway."
)
SERVICE_HEARTBEATS: Final = {
    Actor.ORCHESTRATOR: ORCHESTRATOR_HEARTBEAT,
    Actor.GATEWAY: GATEWAY_HEARTBEAT,
}
"""Of the services that are not known by the heartbeat of a host or an engine."""
HOST_HEARTBEAT: Final = _SUPERVISOR.feed(
    "host.<host>.heartbeat", telemetry.HostHeartbeat, Durability.LOSSY, "Once a second from each supervisor."
)
HOST_CONTAINER: Final = _SUPERVISOR.feed(
    "host.<host>.container",
    session.ContainerFacts,
    Durability.LOSSY,
    "A container of ours changed; a hint only, the list is the truth.",
)
HOST_COMMAND: Final = _SUPERVISOR.feed(
    "host.<host>.command",
    audit.HostCommand,
    Durability.EVENTS,
    "A change that the supervisor was asked for directly, and what came of it: emergency stops above all.",
)
HOST_STRANGER: Final = _SUPERVISOR.feed(
    "host.<host>.stranger",
    session.Stranger,
    Durability.EVENTS,
    "Somebody besides its sidecar was seen on the bus with a session's credential.",
)
GATEWAY_REFUSAL: Final = _GATEWAY.feed(
    "gateway.refusal",
    audit.GatewayRefusal,
    Durability.EVENTS,
    "Requests that the gateway turned away itself: no good token, too low a role, a body that makes no sense.",
)
FLEET_STATE: Final = _ORCHESTRATOR.feed(
    "fleet.engine.<instance_id>.state",
    engine.EngineView,
    Durability.EVENTS,
    "The engine as the record has it, after each change.",
)
FLEET_ALERT: Final = _ORCHESTRATOR.feed(
    "fleet.alert",
    telemetry.FleetAlert,
    Durability.EVENTS,
    "Something about the fleet that somebody should look at.",
)
ALERT_CHANGE: Final = _NOTIFIER.feed(
    "fleet.alert_change",
    alerting.AlertChange,
    Durability.EVENTS,
    "An alert was opened, repeated, acknowledged or resolved, as people are told of it.",
)
NOTIFIER_COMMAND: Final = _NOTIFIER.feed(
    "notifier.command",
    audit.NotifierCommand,
    Durability.EVENTS,
    "A change that the notifier was asked for, and what came of it, for the audit.",
)
FLEET_STOP_ORDER: Final = _ORCHESTRATOR.feed(
    "fleet.stop_order",
    session.StopOrder,
    Durability.STOPS,
    "An emergency stop, or its lifting, by whoever asks hosts for it; each host reads what it was not asked itself.",
)
FLEET_AUDIT_ENTRY: Final = _ORCHESTRATOR.feed(
    "fleet.audit_entry",
    audit.WaitingEntry,
    Durability.EVENTS,
    "What the audit has still to record, for whoever is the orchestrator once the record can be reached.",
)
FLEET_AUDIT_HEAD: Final = _ORCHESTRATOR.feed(
    "fleet.audit_head",
    audit.AuditHead,
    Durability.AUDIT,
    "The last entry of the audit, once a minute when it is another, where the database cannot reach.",
)
FLEET_PROBE: Final = _ORCHESTRATOR.feed(
    "fleet.probe",
    telemetry.StoreProbe,
    Durability.EVENTS,
    "Nothing happened: a write that tries whether the stream stores, every ten seconds and while it does not.",
)
TRIAL_QUEUE: Final = _ORCHESTRATOR.feed(
    "trial.queue", backtest.TrialJob, Durability.TRIALS, "Work for whichever worker has room."
)
TRIAL_EVENT: Final = _SIDECAR.feed(
    "engine.<instance_id>.trial",
    backtest.TrialEvent,
    Durability.RESULTS,
    "A trial started, gave a piece of its result, failed or was cancelled.",
)
TRIAL_BEAT: Final = _SIDECAR.feed(
    "engine.<instance_id>.trial_beat",
    backtest.TrialBeat,
    Durability.LOSSY,
    "How far a worker's trials are, twice a second.",
)
FLEET_BACKTEST: Final = _ORCHESTRATOR.feed(
    "fleet.backtest.<backtest_id>.state",
    backtest.BacktestView,
    Durability.EVENTS,
    "The backtest as the record has it, after each change.",
)
FLEET_PROGRESS: Final = _ORCHESTRATOR.feed(
    "fleet.backtest.<backtest_id>.progress",
    backtest.BacktestView,
    Durability.LOSSY,
    "The backtest with its progress, while it runs.",
)

ENGINE_EVENT_FEEDS: Final = (STATE, ORDER, FILL, POSITION, ACCOUNT, ALERT)
OBSERVED_FEEDS: Final = (HEARTBEAT, METRICS, *ENGINE_EVENT_FEEDS, FLEET_STATE, FLEET_ALERT)
"""What an observer hears: what engines are and do, and nothing of what people wrote or keep."""

FOLLOWED_FEEDS: Final = (STATE, ALERT, ORDER, POSITION, FILL, FLEET_STATE, FLEET_ALERT, FLEET_BACKTEST)
"""What the notifier reads from the stream, so that it misses nothing while it is away."""
WATCHED_FEEDS: Final = (HEARTBEAT, METRICS, HOST_HEARTBEAT)
"""What it hears besides, as it is said."""

_ROWS: Final = tuple(globals().values())
CALLS: Final[tuple[Call[Any, Any], ...]] = (
    *(row for row in _ROWS if isinstance(row, Call)),
    *HEALTH.values(),
)
"""Every call above, in this order."""
FEEDS: Final[tuple[Feed[Any], ...]] = tuple(row for row in _ROWS if isinstance(row, Feed))
"""Every feed above, in this order."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A JetStream stream: file storage, limits retention; the limits bound it per engine and in all."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: float
    max_bytes: int
    max_per_subject: int = -1
    is_append_only: bool = False
    """No message is deleted but by the limits."""


STREAMS: Final = (
    Stream(
        name="EVENTS",
        subjects=(
            *(f"engine.*.{kind}" for kind in telemetry.EventKind),
            "host.*.command",
            "host.*.stranger",
            "gateway.refusal",
            "fleet.audit_entry",
            "fleet.engine.*.state",
            "fleet.backtest.*.state",
            "fleet.alert",
            "fleet.alert_change",
            "notifier.command",
            "fleet.probe",
        ),
        max_age_s=7 * 86_400.0,
        max_bytes=4 << 30,
    ),
    Stream(
        name="LOGS",
        subjects=("engine.*.log",),
        max_age_s=7 * 86_400.0,
        max_bytes=1 << 30,
        max_per_subject=1_000,
    ),
    Stream(name="TRIALS", subjects=("trial.queue",), max_age_s=30 * 86_400.0, max_bytes=2 << 30),
    Stream(name="RESULTS", subjects=("engine.*.trial",), max_age_s=7 * 86_400.0, max_bytes=8 << 30),
    # A stop is in force until it is lifted, however long that takes.
    Stream(
        name="STOPS", subjects=("fleet.stop_order",), max_age_s=0.0, max_bytes=64 << 20, max_per_subject=1_000
    ),
    Stream(
        name="AUDIT",
        subjects=("fleet.audit_head",),
        max_age_s=0.0,
        max_bytes=64 << 20,
        is_append_only=True,
    ),
)
