"""A gateway on a real bus and a real port, with an orchestrator and supervisors that answer what a test tells them to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.discovery import Discovery
from flotilla.bus.streams import ensure_streams
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.alert_rules import RULES, AlertAbout
from flotilla.schemas.alerting import (
    AlertList,
    AlertState,
    AlertView,
    Channel,
    ChannelList,
    ChannelTested,
    ChannelView,
    MuteList,
    RuleList,
)
from flotilla.schemas.audit import AuditList
from flotilla.schemas.catalog import (
    CatalogEntry,
    CatalogView,
    Parameter,
    StrategyVerdict,
    TemplateFault,
    TemplateList,
    TemplateView,
)
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import HEALTH, Actor, Call
from flotilla.schemas.data import (
    Chart,
    ChartPoint,
    DataGap,
    DataGaps,
    DataRemoved,
    DataRows,
    DataUploaded,
    ImportList,
    ImportOptions,
    ImportState,
    ImportView,
)
from flotilla.schemas.engine import (
    EngineAccepted,
    EngineList,
    EngineLogs,
    EngineView,
    EventList,
    FleetStatus,
    Holdings,
    SessionList,
    SessionView,
)
from flotilla.schemas.fault import FaultError
from flotilla.schemas.health import Health
from flotilla.schemas.history import DayStart, DayStarts, History
from flotilla.schemas.host import HostList, HostView
from flotilla.schemas.instrument import InstrumentChange
from flotilla.schemas.instrument_classes import InstrumentClass
from flotilla.schemas.ledger import LedgerPage
from flotilla.schemas.logs import FoundLogs
from flotilla.schemas.package import ChunkKept, PackageList, PackageRemoved, PackageStrategy, PackageView
from flotilla.schemas.session import (
    CleanupReport,
    ContainerFacts,
    ContainerList,
    ContainerStatus,
    EmergencyReceipt,
    EmergencyStop,
    HostStopped,
    LiftStop,
    StopFlags,
    container_name,
)
from flotilla.schemas.states import ClientState, DesiredState, RunState, StopPolicy
from flotilla.schemas.strategy import StrategyList, StrategyView
from flotilla.schemas.telemetry import HostHeartbeat, Resources, Severity, StopFlag, StopReport
from flotilla.services.gateway.routes.route import Route
from flotilla.services.gateway.service import GatewayProbe, serve
from flotilla.services.gateway.settings import GatewaySettings
from tests.access import create_token
from tests.documented import comparing
from tests.integration import gateway_backtests
from tests.integration.conftest import ConnectAs

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
API = "/api/v1/nautilus"
ENGINE = f"{API}/engine"


def session(session_id: str = "s1", instance_id: str = "e1", **changes: Any) -> SessionView:
    known: dict[str, Any] = {
        "session_id": session_id,
        "instance_id": instance_id,
        "generation": 1,
        "state": RunState.TRADING,
        "container_name": container_name(session_id),
        "created_at": NOW,
        "started_at": NOW,
        **changes,
    }
    return SessionView(**known)


def engine(instance_id: str = "e1", session_id: str = "s1", **changes: Any) -> EngineView:
    known: dict[str, Any] = {
        "instance_id": instance_id,
        "state": ClientState.RUNNING,
        "desired": DesiredState.RUNNING,
        "config": EngineConfig(instance_id=instance_id),
        "session": session(session_id, instance_id),
        "heartbeat_age_s": 0.4,
        "resources": Resources(
            cpu_fraction=0.0123, memory_bytes=512 << 20, memory_limit_bytes=2 << 30, pids=7
        ),
        **changes,
    }
    return EngineView(**known)


def accepted(instance_id: str = "e1", session_id: str | None = "s1", **changes: Any) -> EngineAccepted:
    known: dict[str, Any] = {
        "request_id": "replaced",
        "instance_id": instance_id,
        "message": f"engine {instance_id} is starting",
        "state": ClientState.STARTING,
        "session_id": session_id,
        "container_name": container_name(session_id) if session_id else None,
        "started_at": NOW,
        "config": EngineConfig(instance_id=instance_id),
        **changes,
    }
    return EngineAccepted(**known)


TEMPLATE = TemplateView(
    name="ema_cross",
    kind="strategy",
    file="strategies/ema_cross.json",
    description="Crosses two averages.",
    parameters={
        "bar_type": Parameter(type="bar_type", help="Bars.", required=True),
        "fast": Parameter(type="integer", help="Fast.", default=10),
    },
    strategy_class="engine_sidecar.strategies.ema_cross:EMACross",
    config={"bar_type": "{bar_type}", "fast_ema_period": "{fast}"},
)
CONTAINER = ContainerFacts(
    session_id="s1",
    instance_id="e1",
    generation=1,
    host="h1",
    name=container_name("s1"),
    status=ContainerStatus.RUNNING,
    runtime="docker",
    image="flotilla-engine:latest",
    created_at=NOW,
    started_at=NOW,
)
HOST = HostView(
    host="h1",
    is_in_sight=True,
    heartbeat_age_s=0.4,
    labels={"zone": "b"},
    runtime="docker",
    is_runtime_up=True,
    cpus=2,
    memory_bytes=4 << 30,
    sessions=1,
    version="1",
    has_cache=True,
    stop_flags=(StopFlag(since=NOW),),
)
STRATEGIES = StrategyList(
    instance_id="e1",
    session_id="s1",
    strategies=(StrategyView(strategy_id="EMACross-001", state="RUNNING", strategy_class="EMACross"),),
    message="EMACross-001 runs",
)


CHART = Chart(
    identifier="SPX.SIM-1-DAY-LAST-EXTERNAL",
    data_type="bars",
    made_of="bars",
    events=5,
    is_down_sampled=True,
    bucket_s=172_800.0,
    points=(ChartPoint(first=NOW, last=NOW, open=1.0, high=2.0, low=0.5, close=1.5, volume=7.0, events=5),),
)
GAPS = DataGaps(
    identifier="SPX.SIM-1-DAY-LAST-EXTERNAL",
    data_type="bars",
    events=5,
    usual_s=86_400.0,
    factor=5.0,
    gap_count=1,
    gaps=(DataGap(first=NOW, last=NOW),),
)


IMPORT = ImportView(
    import_id="i1",
    host="h1",
    file="eurusd.csv",
    state=ImportState.COMPLETED,
    asked_at=NOW,
    options=ImportOptions(type="quotes", instrument="EUR/USD.SIM"),
    ended_at=NOW,
    reports=({"event": "imported", "rows": 2},),
)
PACKAGE = PackageView(
    name="mine",
    version="2",
    digest="ab" * 32,
    size_bytes=9,
    files=(),
    pushed_at=NOW,
    strategies=(PackageStrategy(template="mine", strategy_class="Mine"),),
    is_newest=True,
)

ALERT = AlertView(
    alert_id="ab" * 12,
    rule="engine_failed",
    about_kind=AlertAbout.ENGINE,
    about="e1",
    severity=Severity.WARNING,
    text="failed (crash)",
    state=AlertState.OPEN,
    opened_at=NOW,
    changed_at=NOW,
    acknowledged_by="admin",
)


class Orchestrator:
    """Answers every call of the fleet with what stands in `answers` by subject: a value, a fault, or a function."""

    def __init__(self, bus: Bus, notifier: Bus | None = None) -> None:
        self.bus = bus
        self._notifier = notifier
        self.requests: list[Any] = []
        self.answers: dict[str, Any] = {
            "fleet.engine.start": accepted(),
            "fleet.engine.stop": accepted(message="engine e1 is stopping", state=ClientState.STOPPING),
            "fleet.engine.restart": accepted(session_id="s2", message="engine e1 is restarting"),
            "fleet.engine.status": FleetStatus(engine=engine(), active=(engine(),)),
            "fleet.engine.list": EngineList(engines=(engine(),), total_count=1),
            "fleet.engine.sessions": SessionList(sessions=(session(),)),
            "fleet.engine.logs": EngineLogs(instance_id="e1", lines=("one", "two"), total_lines=2),
            "fleet.log.search": FoundLogs(
                lines=(), next="9-5-0", end="9-8-0", looked_back_to=NOW, looked_bytes=7
            ),
            "fleet.engine.events": EventList(session_id="s1", events=(msgspec.Raw(b'{"seq":1}'),)),
            "fleet.engine.configure": accepted(message="stored", state=ClientState.STOPPED, session_id=None),
            "fleet.engine.remove": accepted(message="forgotten", state=ClientState.STOPPED, session_id=None),
            **{
                f"fleet.engine.{verb}": accepted(message="done", state=ClientState.ERROR, is_taken=True)
                for verb in ("halt", "reduce", "resume", "cancel_orders", "flatten", "accept")
            },
            "fleet.engine.holdings": Holdings(held={}),
            "fleet.alert.list": AlertList(alerts=(ALERT,)),
            "fleet.alert.ack": ALERT,
            "fleet.alert.mute": MuteList(mutes=()),
            **{
                f"fleet.alert.{verb}": RuleList(rules=tuple(RULES.values()), settings=())
                for verb in ("rules", "set_rule")
            },
            **{
                f"fleet.alert.{verb}": ChannelList(
                    channels=(ChannelView(channel=Channel(name="desk", secret="desk_mail")),)
                )
                for verb in ("channels", "set_channel", "remove_channel")
            },
            "fleet.alert.test_channel": ChannelTested(name="desk", is_sent=True),
            "fleet.audit.list": AuditList(entries=()),
            "fleet.host.list": HostList(hosts=(HOST,)),
            "fleet.history.read": History(
                instance_id="e1", since=NOW, until=NOW, width_s=60.0, step_s=5.0, at=(NOW,), samples=(12,)
            ),
            "fleet.history.days": DayStarts(
                since=NOW, days={"e1": DayStart(amount=Decimal("100.10"), currency="USDT", at=NOW)}
            ),
            **{
                f"fleet.ledger.{name}": LedgerPage(rows=())
                for name in ("orders", "fills", "positions", "accounts")
            },
            "fleet.container.list": ContainerList(containers=(CONTAINER,)),
            "fleet.container.cleanup": CleanupReport(cleaned=(CONTAINER,)),
            **{f"fleet.strategy.{verb}": STRATEGIES for verb in ("list", "add", "start", "stop", "remove")},
            "fleet.engine.signal": STRATEGIES,
            "fleet.strategy.validate": StrategyVerdict(
                is_valid=True, message="sound", required_parameters=("bar_type",), config={"fast": 10}
            ),
            "fleet.template.list": TemplateList(
                templates=(TEMPLATE,),
                faults=(TemplateFault(file="broken.json", kind="strategy", message="not JSON"),),
            ),
            **gateway_backtests.answers(),
            "fleet.package.list": PackageList(packages=(PACKAGE,)),
            "fleet.package.upload": lambda piece: ChunkKept(digest=piece.digest, index=piece.index),
            "fleet.package.push": PACKAGE,
            "fleet.package.remove": PackageRemoved(name="mine", version="2", digest="ab" * 32, used_by=()),
            "fleet.catalog.chart": CHART,
            "fleet.catalog.gaps": GAPS,
            "fleet.catalog.rows": DataRows(
                identifier="SPX.SIM-1-DAY-LAST-EXTERNAL", data_type="bars", rows=({"close": "1.0"},)
            ),
            "fleet.catalog.upload": lambda piece: DataUploaded(
                import_id=piece.import_id, size_bytes=piece.offset + len(piece.data)
            ),
            "fleet.catalog.import": IMPORT,
            "fleet.catalog.imports": ImportList(imports=(IMPORT,)),
            "fleet.catalog.remove": DataRemoved(
                identifier="EUR/USD.SIM", data_type="quotes", rows=2_000, is_whole=True
            ),
            "fleet.catalog.remove_instrument": InstrumentChange(
                id="EUR/USD.SIM",
                outcome="removed",
                instrument_class=InstrumentClass.CURRENCY_PAIR,
                data=("quote tick EUR/USD.SIM",),
            ),
            "fleet.catalog.list": CatalogView(
                path="/secret/place",
                entries=(
                    CatalogEntry(
                        data_type="bars",
                        identifier="SPX.SIM-1-DAY-LAST-EXTERNAL",
                        instrument_id="SPX.SIM",
                        start=NOW,
                        end=NOW,
                        files=1,
                        size_bytes=9,
                    ),
                ),
            ),
            HEALTH[Actor.ORCHESTRATOR].subject: Health(
                service="orchestrator", version="1", is_ready=True, started_at=NOW, metrics={"engines": 2.0}
            ),
        }

    async def start(self) -> None:
        for call in contract.CALLS:
            if call.subject in self.answers:
                bus = self._notifier if call.owner == Actor.NOTIFIER else self.bus
                if bus is not None:
                    await bus.serve(call, self._answer(call))

    def _answer(self, call: Call[Any, Any]) -> Callable[[Any], Awaitable[Any]]:
        async def answer(request: Any) -> Any:
            if call is not HEALTH[Actor.ORCHESTRATOR]:
                self.requests.append(request)
            reply = self.answers[call.subject]
            reply = reply(request) if callable(reply) else reply
            reply = await reply if asyncio.iscoroutine(reply) else reply
            if isinstance(reply, FaultError):
                raise reply
            if isinstance(reply, EngineAccepted) and reply.request_id == "replaced":
                reply = msgspec.structs.replace(reply, request_id=request.request_id)
            return reply

        return answer

    async def publish(self, view: EngineView) -> None:
        """Tells the fleet of an engine."""
        await self.bus.publish(contract.FLEET_STATE, view, instance_id=view.instance_id)


def receipt(instance_id: str = "e1", host: str = "h1", **changes: Any) -> EmergencyReceipt:
    known: dict[str, Any] = {
        "instance_id": instance_id,
        "session_id": f"s-{instance_id}",
        "host": host,
        "is_flat": True,
        "is_gone": True,
        "stop": StopReport(
            policy=StopPolicy.FLATTEN,
            orders_cancelled=2,
            positions_closed=1,
            is_flat=True,
            cancel_ms=1.5,
            close_ms=2.5,
            stop_ms=3.5,
        ),
        "engine_ms": 10.0,
        "gone_ms": 20.0,
        **changes,
    }
    return EmergencyReceipt(**known)


class Supervisor:
    """One host that answers an emergency stop with `receipts`, or with a fault, and lifts every stop."""

    def __init__(self, bus: Bus, host: str = "h1") -> None:
        self.bus = bus
        self.host = host
        self.receipts: tuple[EmergencyReceipt, ...] = ()
        self.flags: tuple[StopFlag, ...] = ()
        self.trouble: FaultError | None = None
        self.requests: list[EmergencyStop | LiftStop] = []

    async def start(self) -> None:
        """Answers, and lets itself be found."""
        await self.bus.serve(contract.HOST_EMERGENCY_STOP, self._stop, host=self.host)
        await self.bus.serve(contract.HOST_LIFT_STOP, self._lift, host=self.host)
        await Discovery(self.bus, Actor.SUPERVISOR, self.host, "1.0.0", {"host": self.host}).start()
        await self.beat()

    async def beat(self) -> None:
        """One heartbeat."""
        beat = HostHeartbeat(
            host=self.host, runtime="docker", at_ns=1, cpus=2, memory_bytes=4 << 30, sessions=0, version="1"
        )
        await self.bus.publish(contract.HOST_HEARTBEAT, beat, host=self.host)
        await self.bus.flush()

    async def _stop(self, request: EmergencyStop) -> HostStopped:
        self.requests.append(request)
        if self.trouble is not None:
            raise self.trouble
        others = (flag for flag in self.flags if flag.instance_id != request.instance_id)
        own = StopFlag(since=NOW, instance_id=request.instance_id, reason=request.reason)
        self.flags = (*others, own)
        return HostStopped(host=self.host, receipts=self.receipts, flags=self.flags)

    async def _lift(self, request: LiftStop) -> StopFlags:
        self.requests.append(request)
        if self.trouble is not None:
            raise self.trouble
        self.flags = tuple(
            flag
            for flag in self.flags
            if request.instance_id is not None and flag.instance_id != request.instance_id
        )
        return StopFlags(flags=self.flags)


def concrete(route: Route) -> str:
    """A path of the route, with an id in each place."""
    known = {
        "instance_id": "e1",
        "name": "ema_cross",
        "strategy_id": "EMACross-001",
        "kind": "engine",
        "backtest_id": "bt1",
        "study_id": "st1",
        "part": "trades",
        "import_id": "i1",
        "version": "2",
        "alert_id": "ab" * 12,
        "rule": "host_lost",
    }
    return route.path.format_map(known)


class Stage:
    """What a test plays on: `http` speaks as an admin."""

    def __init__(
        self, address: str, http: aiohttp.ClientSession, orchestrator: Orchestrator, tokens: dict[Role, str]
    ) -> None:
        self.address = address
        self.http = http
        self.orchestrator = orchestrator
        self.tokens = tokens

    def bearer(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}


@asynccontextmanager
async def staged(
    connect_as: ConnectAs, folder: Path, *, answers: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Stage]:
    """A gateway with its orchestrator, whose other `answers` it has from the beginning."""
    file = folder / "tokens.jsonl"
    tokens = {role: create_token(file, str(role), role) for role in Role}
    bus = await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(bus)
    orchestrator = Orchestrator(bus, await connect_as(Actor.NOTIFIER))
    orchestrator.answers |= answers or {}
    await orchestrator.start()
    gateway = await connect_as(Actor.GATEWAY, pushes=True)
    # Tests ask faster than people, and often without a good token.
    usual = {"tokens_file": file, "port": 0, "rate": 100_000.0, "failures": 100_000, "pushes": True}
    chosen = msgspec.structs.replace(GatewaySettings.from_env({}), **{**usual, **settings})
    async with (
        serve(gateway, chosen) as probe,
        aiohttp.ClientSession(
            probe.address,
            headers={"Authorization": f"Bearer {tokens[Role.ADMIN]}"},
            trace_configs=[comparing()],
        ) as http,
    ):
        await _fleet_known(probe)
        orchestrator.requests.clear()
        yield Stage(probe.address, http, orchestrator, tokens)


async def _fleet_known(probe: GatewayProbe) -> None:
    """The gateway asks for all there is when it starts: what a test looks at comes after that."""
    async with asyncio.timeout(10):
        while not probe.metrics()["fleet_complete"]:
            await asyncio.sleep(0.01)
