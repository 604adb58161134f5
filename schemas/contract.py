"""Every subject, once: what is said on it, who answers or publishes, who may ask, and how long an answer may take.

Publishers, subscribers, permissions, discovery, AsyncAPI and the documentation all come from these rows.
"""

from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec

from flotilla.schemas import audit, backtest, catalog, engine, health, session, strategy, telemetry
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
    payload: Any
    owner: Actor
    durability: Durability
    summary: str


_PEOPLE: Final = (Actor.GATEWAY, Actor.OPERATOR)
_CONTROL: Final = (Actor.ORCHESTRATOR, Actor.OPERATOR)
# An emergency stop must not need the orchestrator.
_EMERGENCY: Final = (Actor.ORCHESTRATOR, Actor.GATEWAY, Actor.OPERATOR)
_ENGINE_EMERGENCY: Final = (Actor.SUPERVISOR, Actor.ORCHESTRATOR, Actor.GATEWAY, Actor.OPERATOR)
TRIAL_CONSUMER: Final = "workers"
"""The place in the queue of trials that all workers share."""
EMERGENCY_TIMEOUT_S: Final = 150.0
"""The longest deadline of an emergency stop, and what killing and answering take after it."""

ENGINE_START: Final = Call(
    subject="fleet.engine.start",
    request=engine.StartEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Start a new session of an engine.",
    is_command=True,
)
ENGINE_STOP: Final = Call(
    subject="fleet.engine.stop",
    request=engine.StopEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Stop an engine; stopping a stopped one is a success. Answered once the engine has taken it, or after two seconds.",
    is_command=True,
    timeout_s=10.0,
)
ENGINE_RESTART: Final = Call(
    subject="fleet.engine.restart",
    request=engine.RestartEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Stop an engine if it runs, then start a new session with its last configuration.",
    is_command=True,
)
ENGINE_CONFIGURE: Final = Call(
    subject="fleet.engine.configure",
    request=engine.ConfigureEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Store a configuration for the engine's next start.",
    is_command=True,
)
ENGINE_REMOVE: Final = Call(
    subject="fleet.engine.remove",
    request=engine.RemoveEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Forget an engine that is not active; its sessions and events stay on record.",
    is_command=True,
)
EMERGENCY_STOP: Final = Call(
    subject="fleet.engine.emergency_stop",
    request=session.EmergencyStop,
    reply=session.FleetStopped,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Make one engine or all flat and gone, now; they stay stopped until that is lifted.",
    is_command=True,
    timeout_s=EMERGENCY_TIMEOUT_S,
)
LIFT_STOP: Final = Call(
    subject="fleet.engine.lift_stop",
    request=session.LiftStop,
    reply=session.StopFlags,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Lift the stop flags that an emergency stop left.",
    is_command=True,
)
AUDIT_LIST: Final = Call(
    subject="fleet.audit.list",
    request=audit.ReadAudit,
    reply=audit.AuditList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Every change that was asked for: by whom, from where, what was sent, and what came of it; newest first.",
)
ENGINE_STATUS: Final = Call(
    subject="fleet.engine.status",
    request=engine.WhichEngine,
    reply=engine.FleetStatus,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="State, metrics and resources of one engine.",
)
ENGINE_LIST: Final = Call(
    subject="fleet.engine.list",
    request=engine.ListEngines,
    reply=engine.EngineList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Engines, most recent first.",
)
ENGINE_SESSIONS: Final = Call(
    subject="fleet.engine.sessions",
    request=engine.ListSessions,
    reply=engine.SessionList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The sessions of an engine, newest first.",
)
ENGINE_LOGS: Final = Call(
    subject="fleet.engine.logs",
    request=engine.ReadLogs,
    reply=engine.EngineLogs,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The last lines of an engine's log, also after its container is gone.",
)
ENGINE_EVENTS: Final = Call(
    subject="fleet.engine.events",
    request=engine.ReadEvents,
    reply=engine.EventList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Durable events of a session, from the record.",
)
ENGINE_HOLDINGS: Final = Call(
    subject="fleet.engine.holdings",
    request=engine.ReadHoldings,
    reply=engine.Holdings,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="What sessions held when they were last heard, by their events on record.",
)
CONTAINER_LIST: Final = Call(
    subject="fleet.container.list",
    request=session.ListContainers,
    reply=session.ContainerList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The engine containers of every host in sight.",
)
CONTAINER_CLEANUP: Final = Call(
    subject="fleet.container.cleanup",
    request=session.Cleanup,
    reply=session.CleanupReport,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Remove the containers of ended sessions; with force those of active ones too.",
    is_command=True,
    timeout_s=60.0,
)
STRATEGY_LIST: Final = Call(
    subject="fleet.strategy.list",
    request=strategy.ListStrategies,
    reply=strategy.StrategyList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The strategies of a running engine.",
    timeout_s=10.0,
)
STRATEGY_ADD: Final = Call(
    subject="fleet.strategy.add",
    request=strategy.AddStrategy,
    reply=strategy.StrategyList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Add a strategy to a running engine.",
    is_command=True,
    timeout_s=30.0,
)
STRATEGY_START: Final = Call(
    subject="fleet.strategy.start",
    request=strategy.WhichStrategy,
    reply=strategy.StrategyList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Start a strategy of a running engine.",
    is_command=True,
    timeout_s=30.0,
)
STRATEGY_STOP: Final = Call(
    subject="fleet.strategy.stop",
    request=strategy.WhichStrategy,
    reply=strategy.StrategyList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Stop a strategy of a running engine by policy; the others trade on.",
    is_command=True,
    timeout_s=45.0,
)
STRATEGY_REMOVE: Final = Call(
    subject="fleet.strategy.remove",
    request=strategy.WhichStrategy,
    reply=strategy.StrategyList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Stop a strategy by policy and remove it from a running engine.",
    is_command=True,
    timeout_s=45.0,
)
STRATEGY_VALIDATE: Final = Call(
    subject="fleet.strategy.validate",
    request=catalog.ValidateStrategy,
    reply=catalog.StrategyVerdict,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Whether a strategy template takes these parameters; nothing is started.",
    timeout_s=45.0,
)
TEMPLATE_LIST: Final = Call(
    subject="fleet.template.list",
    request=catalog.ListTemplates,
    reply=catalog.TemplateList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Engine or strategy templates.",
)
CATALOG_LIST: Final = Call(
    subject="fleet.catalog.list",
    request=catalog.ListCatalog,
    reply=catalog.CatalogView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="What the data catalog holds.",
)

BACKTEST_RUN: Final = Call(
    subject="fleet.backtest.run",
    request=backtest.RunBacktest,
    reply=backtest.BacktestView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Put a backtest into the queue.",
    is_command=True,
)
BACKTEST_GET: Final = Call(
    subject="fleet.backtest.get",
    request=backtest.WhichBacktest,
    reply=backtest.BacktestView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="One backtest.",
)
BACKTEST_LIST: Final = Call(
    subject="fleet.backtest.list",
    request=backtest.ListBacktests,
    reply=backtest.BacktestList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Backtests, newest first.",
)
BACKTEST_RESULT: Final = Call(
    subject="fleet.backtest.result",
    request=backtest.ReadResult,
    reply=backtest.ResultPage,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="A part of a completed backtest's result.",
    timeout_s=15.0,
)
BACKTEST_CANCEL: Final = Call(
    subject="fleet.backtest.cancel",
    request=backtest.WhichBacktest,
    reply=backtest.BacktestView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Cancel a backtest; its process is gone when this answers.",
    is_command=True,
    timeout_s=15.0,
)
BACKTEST_VERIFY: Final = Call(
    subject="fleet.backtest.verify",
    request=backtest.VerifyBacktest,
    reply=backtest.BacktestVerdict,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Run a backtest again from its manifest and compare; asked again, how that stands.",
    is_command=True,
)
BACKTEST_COMPARE: Final = Call(
    subject="fleet.backtest.compare",
    request=backtest.CompareBacktests,
    reply=backtest.Comparison,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Backtests side by side.",
)
STUDY_RUN: Final = Call(
    subject="fleet.study.run",
    request=backtest.RunStudy,
    reply=backtest.StudyView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Put a study into the queue.",
    is_command=True,
    timeout_s=15.0,
)
STUDY_GET: Final = Call(
    subject="fleet.study.get",
    request=backtest.WhichStudy,
    reply=backtest.StudyView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="One study.",
)
STUDY_LIST: Final = Call(
    subject="fleet.study.list",
    request=backtest.ListStudies,
    reply=backtest.StudyList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Studies, newest first.",
)
STUDY_CANCEL: Final = Call(
    subject="fleet.study.cancel",
    request=backtest.WhichStudy,
    reply=backtest.StudyView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Cancel what is left of a study.",
    is_command=True,
    timeout_s=30.0,
)
TRIAL_CLAIM: Final = Call(
    subject="fleet.trial.claim",
    request=backtest.ClaimTrial,
    reply=backtest.TrialClaimed,
    owner=Actor.ORCHESTRATOR,
    callers=(Actor.WORKER, Actor.OPERATOR),
    summary="Whether a worker shall run a trial that it took from the queue.",
    is_command=True,
)

SESSION_START: Final = Call(
    subject="engine.start",
    request=session.StartSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Make a session run on this host.",
    is_command=True,
    timeout_s=30.0,
)
SESSION_CALL_OFF: Final = Call(
    subject="engine.call_off",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="See to it that a session which has not begun never does; one that has is reported and left alone.",
    is_command=True,
    timeout_s=5.0,
)
SESSION_STOP: Final = Call(
    subject="engine.stop",
    request=session.StopSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Stop a session's container: SIGTERM, then SIGKILL.",
    is_command=True,
    # It is answered before the session ends: who waits for longer waits for a supervisor that died, and the engine trades on.
    timeout_s=3.0,
)
SESSION_KILL: Final = Call(
    subject="engine.kill",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="SIGKILL a session's container.",
    is_command=True,
    timeout_s=10.0,
)
SESSION_REMOVE: Final = Call(
    subject="engine.remove",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Remove what is left of an ended session; a running one is refused.",
    is_command=True,
    timeout_s=10.0,
)
SESSION_INSPECT: Final = Call(
    subject="engine.inspect",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_EMERGENCY,
    summary="What the runtime says of a session.",
)
SESSION_LIST: Final = Call(
    subject="engine.list",
    request=session.ListContainers,
    reply=session.ContainerList,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="The engine containers of this host.",
)

HOST_EMERGENCY_STOP: Final = Call(
    subject="engine.emergency_stop",
    request=session.EmergencyStop,
    reply=session.HostStopped,
    owner=Actor.SUPERVISOR,
    callers=_EMERGENCY,
    summary="Set the stop flag of this host, make its engines flat and gone, kill what is not by the deadline.",
    is_command=True,
    timeout_s=EMERGENCY_TIMEOUT_S,
)
HOST_LIFT_STOP: Final = Call(
    subject="engine.lift_stop",
    request=session.LiftStop,
    reply=session.StopFlags,
    owner=Actor.SUPERVISOR,
    callers=_EMERGENCY,
    summary="Lift stop flags of this host.",
    is_command=True,
)
PLAN_CHECK: Final = Call(
    subject="engine.check",
    request=session.PlanCheck,
    reply=session.PlanProblems,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Have NautilusTrader itself say whether it would take classes and configs; nothing is started.",
    timeout_s=40.0,
)

COMMAND_STOP: Final = Call(
    subject="engine.<instance_id>.command.stop",
    request=session.EngineCommand,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Stop trading by policy and end the session. Answered once the engine has taken it, or after a second and a half.",
    is_command=True,
)
COMMAND_CANCEL_ORDERS: Final = Call(
    subject="engine.<instance_id>.command.cancel_orders",
    request=session.EngineCommand,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Cancel every open order.",
    is_command=True,
)
COMMAND_FLATTEN: Final = Call(
    subject="engine.<instance_id>.command.flatten",
    request=session.EngineCommand,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Cancel every open order and close every position.",
    is_command=True,
)
COMMAND_END_NOW: Final = Call(
    subject="engine.<instance_id>.command.end_now",
    request=session.EndNow,
    reply=session.SessionEnded,
    owner=Actor.SIDECAR,
    callers=_ENGINE_EMERGENCY,
    summary="Cancel, close and end within a deadline; answers when that is done.",
    is_command=True,
    timeout_s=EMERGENCY_TIMEOUT_S,
)
COMMAND_CANCEL_TRIAL: Final = Call(
    subject="engine.<instance_id>.command.cancel_trial",
    request=backtest.CancelTrial,
    reply=backtest.TrialGone,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="End a trial that this worker runs; answers when its process is gone.",
    is_command=True,
    timeout_s=10.0,
)
COMMAND_RENEW_LEASE: Final = Call(
    subject="engine.<instance_id>.command.renew_lease",
    request=session.RenewLease,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=(Actor.ORCHESTRATOR,),
    summary="Renew the lease on the engine's accounts.",
    is_command=True,
)
COMMAND_DESCRIBE: Final = Call(
    subject="engine.<instance_id>.command.describe",
    request=strategy.LookIntoEngine,
    reply=session.SessionSpec,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="What the sidecar was told to run.",
)
COMMAND_LIST_STRATEGIES: Final = Call(
    subject="engine.<instance_id>.command.list_strategies",
    request=strategy.LookIntoEngine,
    reply=strategy.StrategyList,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="The strategies of the engine.",
)
COMMAND_ADD_STRATEGY: Final = Call(
    subject="engine.<instance_id>.command.add_strategy",
    request=strategy.AddToEngine,
    reply=strategy.StrategyList,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Add a strategy.",
    is_command=True,
    timeout_s=20.0,
)
COMMAND_START_STRATEGY: Final = Call(
    subject="engine.<instance_id>.command.start_strategy",
    request=strategy.ChangeInEngine,
    reply=strategy.StrategyList,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Start a strategy.",
    is_command=True,
    timeout_s=20.0,
)
COMMAND_STOP_STRATEGY: Final = Call(
    subject="engine.<instance_id>.command.stop_strategy",
    request=strategy.ChangeInEngine,
    reply=strategy.StrategyList,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Stop a strategy by policy.",
    is_command=True,
    timeout_s=40.0,
)
COMMAND_REMOVE_STRATEGY: Final = Call(
    subject="engine.<instance_id>.command.remove_strategy",
    request=strategy.ChangeInEngine,
    reply=strategy.StrategyList,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Stop a strategy by policy and remove it.",
    is_command=True,
    timeout_s=40.0,
)


def health_of(actor: Actor) -> Call[health.ReadHealth, health.Health]:
    """The call that asks a service how it is."""
    return Call(
        subject=f"service.{actor}.health",
        request=health.ReadHealth,
        reply=health.Health,
        owner=actor,
        callers=(Actor.GATEWAY, Actor.OPERATOR, Actor.ORCHESTRATOR),
        summary=f"Is the {actor} well, and its figures.",
    )


HEALTH: Final = {actor: health_of(actor) for actor in (Actor.ORCHESTRATOR, Actor.SUPERVISOR, Actor.GATEWAY)}

CALLS: Final[tuple[Call[Any, Any], ...]] = (
    ENGINE_START,
    ENGINE_STOP,
    ENGINE_RESTART,
    ENGINE_CONFIGURE,
    ENGINE_REMOVE,
    EMERGENCY_STOP,
    LIFT_STOP,
    AUDIT_LIST,
    ENGINE_STATUS,
    ENGINE_LIST,
    ENGINE_SESSIONS,
    ENGINE_LOGS,
    ENGINE_EVENTS,
    ENGINE_HOLDINGS,
    CONTAINER_LIST,
    CONTAINER_CLEANUP,
    STRATEGY_LIST,
    STRATEGY_ADD,
    STRATEGY_START,
    STRATEGY_STOP,
    STRATEGY_REMOVE,
    STRATEGY_VALIDATE,
    TEMPLATE_LIST,
    CATALOG_LIST,
    BACKTEST_RUN,
    BACKTEST_GET,
    BACKTEST_LIST,
    BACKTEST_RESULT,
    BACKTEST_CANCEL,
    BACKTEST_VERIFY,
    BACKTEST_COMPARE,
    STUDY_RUN,
    STUDY_GET,
    STUDY_LIST,
    STUDY_CANCEL,
    TRIAL_CLAIM,
    SESSION_START,
    SESSION_CALL_OFF,
    SESSION_STOP,
    SESSION_KILL,
    SESSION_REMOVE,
    SESSION_INSPECT,
    SESSION_LIST,
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    PLAN_CHECK,
    COMMAND_STOP,
    COMMAND_CANCEL_ORDERS,
    COMMAND_FLATTEN,
    COMMAND_END_NOW,
    COMMAND_CANCEL_TRIAL,
    COMMAND_RENEW_LEASE,
    COMMAND_DESCRIBE,
    COMMAND_LIST_STRATEGIES,
    COMMAND_ADD_STRATEGY,
    COMMAND_START_STRATEGY,
    COMMAND_STOP_STRATEGY,
    COMMAND_REMOVE_STRATEGY,
    *HEALTH.values(),
)


def on_host(call: Call[Any, Any]) -> str:
    """The subject of a supervisor's call for one host, `host.<host>.engine.start`; the plain one reaches any host."""
    return f"host.<host>.{call.subject}"


def _engine_feed(kind: str, payload: Any, durability: Durability, summary: str) -> Feed[Any]:
    return Feed(
        subject=f"engine.<instance_id>.{kind}",
        payload=payload,
        owner=Actor.SIDECAR,
        durability=durability,
        summary=summary,
    )


HEARTBEAT: Final = _engine_feed(
    "heartbeat", telemetry.Heartbeat, Durability.LOSSY, "Once a second from the sidecar."
)
METRICS: Final = _engine_feed(
    "metrics", telemetry.EngineMetrics, Durability.LOSSY, "Once a second from the engine."
)
STATE: Final = _engine_feed(
    "state", EngineEvent[telemetry.StateChange], Durability.EVENTS, "The session's state changed."
)
ORDER: Final = _engine_feed(
    "order", EngineEvent[telemetry.OrderUpdate], Durability.EVENTS, "An order changed."
)
FILL: Final = _engine_feed(
    "fill", EngineEvent[telemetry.Fill], Durability.EVENTS, "An order was filled, in part or whole."
)
POSITION: Final = _engine_feed(
    "position", EngineEvent[telemetry.PositionUpdate], Durability.EVENTS, "A position changed."
)
ACCOUNT: Final = _engine_feed(
    "account", EngineEvent[telemetry.AccountUpdate], Durability.EVENTS, "An account changed."
)
ALERT: Final = _engine_feed("alert", EngineEvent[telemetry.Alert], Durability.EVENTS, "Somebody should look.")
LOG: Final = _engine_feed(
    "log", telemetry.LogLines, Durability.LOGS, "Lines of the engine's stdout and stderr."
)

HOST_HEARTBEAT: Final = Feed[telemetry.HostHeartbeat](
    subject="host.<host>.heartbeat",
    payload=telemetry.HostHeartbeat,
    owner=Actor.SUPERVISOR,
    durability=Durability.LOSSY,
    summary="Once a second from each supervisor.",
)
HOST_CONTAINER: Final = Feed[session.ContainerFacts](
    subject="host.<host>.container",
    payload=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    durability=Durability.LOSSY,
    summary="A container of ours changed; a hint only, the list is the truth.",
)
HOST_COMMAND: Final = Feed[audit.HostCommand](
    subject="host.<host>.command",
    payload=audit.HostCommand,
    owner=Actor.SUPERVISOR,
    durability=Durability.EVENTS,
    summary="A change that the supervisor was asked for directly, and what came of it: emergency stops above all.",
)
GATEWAY_REFUSAL: Final = Feed[audit.GatewayRefusal](
    subject="gateway.refusal",
    payload=audit.GatewayRefusal,
    owner=Actor.GATEWAY,
    durability=Durability.EVENTS,
    summary="Requests that the gateway turned away itself: no good token, too low a role, a body that makes no sense.",
)
FLEET_STATE: Final = Feed[engine.EngineView](
    subject="fleet.engine.<instance_id>.state",
    payload=engine.EngineView,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.EVENTS,
    summary="The engine as the record has it, after each change.",
)
FLEET_ALERT: Final = Feed[telemetry.FleetAlert](
    subject="fleet.alert",
    payload=telemetry.FleetAlert,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.EVENTS,
    summary="Something about the fleet that somebody should look at.",
)
FLEET_STOP_ORDER: Final = Feed[session.StopOrder](
    subject="fleet.stop_order",
    payload=session.StopOrder,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.STOPS,
    summary="An emergency stop, or its lifting, by whoever asks hosts for it; each host reads what it was not asked itself.",
)
FLEET_AUDIT_ENTRY: Final = Feed[audit.WaitingEntry](
    subject="fleet.audit_entry",
    payload=audit.WaitingEntry,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.EVENTS,
    summary="What the audit has still to record, for whoever is the orchestrator once the record can be reached.",
)
FLEET_PROBE: Final = Feed[telemetry.StoreProbe](
    subject="fleet.probe",
    payload=telemetry.StoreProbe,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.EVENTS,
    summary="Nothing happened: a write that tries whether the stream stores, every ten seconds and while it does not.",
)
TRIAL_QUEUE: Final = Feed[backtest.TrialJob](
    subject="trial.queue",
    payload=backtest.TrialJob,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.TRIALS,
    summary="Work for whichever worker has room.",
)
TRIAL_EVENT: Final = _engine_feed(
    "trial",
    backtest.TrialEvent,
    Durability.RESULTS,
    "A trial started, gave a piece of its result, failed or was cancelled.",
)
TRIAL_BEAT: Final = _engine_feed(
    "trial_beat", backtest.TrialBeat, Durability.LOSSY, "How far a worker's trials are, twice a second."
)
FLEET_BACKTEST: Final = Feed[backtest.BacktestView](
    subject="fleet.backtest.<backtest_id>.state",
    payload=backtest.BacktestView,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.EVENTS,
    summary="The backtest as the record has it, after each change.",
)
FLEET_PROGRESS: Final = Feed[backtest.BacktestView](
    subject="fleet.backtest.<backtest_id>.progress",
    payload=backtest.BacktestView,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.LOSSY,
    summary="The backtest with its progress, while it runs.",
)

ENGINE_EVENT_FEEDS: Final = (STATE, ORDER, FILL, POSITION, ACCOUNT, ALERT)
FEEDS: Final[tuple[Feed[Any], ...]] = (
    HEARTBEAT,
    METRICS,
    *ENGINE_EVENT_FEEDS,
    LOG,
    HOST_HEARTBEAT,
    HOST_CONTAINER,
    HOST_COMMAND,
    GATEWAY_REFUSAL,
    FLEET_STATE,
    FLEET_ALERT,
    FLEET_STOP_ORDER,
    FLEET_AUDIT_ENTRY,
    FLEET_PROBE,
    TRIAL_QUEUE,
    TRIAL_EVENT,
    TRIAL_BEAT,
    FLEET_BACKTEST,
    FLEET_PROGRESS,
)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A JetStream stream: file storage, limits retention; the limits bound it per engine and in all."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: float
    max_bytes: int
    max_per_subject: int = -1


STREAMS: Final = (
    Stream(
        name="EVENTS",
        subjects=(
            *(f"engine.*.{kind}" for kind in telemetry.EventKind),
            "host.*.command",
            "gateway.refusal",
            "fleet.audit_entry",
            "fleet.engine.*.state",
            "fleet.backtest.*.state",
            "fleet.alert",
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
)
