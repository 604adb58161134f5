"""A gateway with a fleet that is only said to be there: engines and hosts that speak on a real bus as sidecars and supervisors do.

It runs in a thread of its own, since who drives a browser waits for it.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sin
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.tokens import add_code
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.alert_rules import RULES, AlertAbout
from flotilla.schemas.alerting import (
    AlertChange,
    AlertChangeKind,
    AlertList,
    AlertState,
    AlertView,
    Channel,
    ChannelList,
    ChannelTested,
    ChannelView,
    Mute,
    MuteAlerts,
    MuteList,
    RuleList,
    RuleSetting,
    SetRule,
)
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, EngineView, FleetStatus, SessionList
from flotilla.schemas.history import DayStart, DayStarts, EquityHistory, History, ReadHistory
from flotilla.schemas.ids import InstanceId
from flotilla.schemas.ledger import AccountRow, LedgerPage, OrderRow, PositionRow, ReadOrders
from flotilla.schemas.loss_limits import KeptLosses, LossesView, Mark
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from flotilla.schemas.telemetry import (
    Balance,
    EngineEvent,
    EngineMetrics,
    EventKind,
    FeedProgress,
    Fill,
    Heartbeat,
    HostHeartbeat,
    MarkedEquity,
    Resources,
    Severity,
)
from flotilla.services.gateway.service import serve
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.ports import free_port
from tests.access import create_token
from tests.e2e import stand_research
from tests.e2e.desks import Desk
from tests.integration import gateways
from tests.integration.logins import engine_login

HOSTS: Final = ("ldn-1", "ny-1", "ny-2")
CURRENCIES: Final = ("USD", "USDT", "EUR", "BTC")
LIVE, PAPER = 3, 60
IMPAIRED: Final = "BYBIT quotes are 48 s old; the limit is 10 s"
_STRATEGIES: Final = ("ema-cross", "grid-maker", "basis", "trend", "breakout", "vwap")


def name_of(index: int) -> str:
    """As a person might name it."""
    return f"{_STRATEGIES[index % len(_STRATEGIES)]}-{index:03}"


def session_of(index: int) -> str:
    return f"20260131-142501-{index:012x}"


def config_of(index: int) -> EngineConfig:
    kinds = {"engine_type": "live", "trading_mode": "live" if index < LIVE else "paper"}
    if index >= PAPER:
        kinds = {"engine_type": "sandbox", "trading_mode": "paper"}
    desk = ("rates", "fx", "crypto")[index % 3]
    return EngineConfig(instance_id=name_of(index), template="sandbox_engine", labels={"desk": desk}, **kinds)


def state_of(index: int) -> RunState:
    """Most trade; one of the live ones is impaired."""
    if index == 1 or index % 29 == 17:
        return RunState.IMPAIRED
    if index % 31 == 23:
        return RunState.FAILED
    return RunState.STOPPED if index % 19 == 11 else RunState.TRADING


def view_of(index: int, state: RunState | None = None, **changes: Any) -> EngineView:
    """The engine as the orchestrator has it on record."""
    run = state or state_of(index)
    now = datetime.now(UTC)
    began = now - timedelta(minutes=7 + index)
    session = gateways.session(
        session_of(index),
        name_of(index),
        state=run,
        generation=1 + index % 5,
        host=HOSTS[index % len(HOSTS)],
        created_at=began,
        started_at=began,
        ended_at=now - timedelta(seconds=60 + index) if run.is_terminal else None,
        reason=FailureReason.OOM if run is RunState.FAILED else None,
        detail="out of memory at 2 GB" if run is RunState.FAILED else IMPAIRED if run is RunState.IMPAIRED else None,
        exit_code=137 if run is RunState.FAILED else None,
    )  # fmt: skip
    known: dict[str, Any] = {
        "instance_id": name_of(index),
        "state": run.for_clients,
        "desired": DesiredState.STOPPED if run is RunState.STOPPED else DesiredState.RUNNING,
        "config": config_of(index),
        "session": session,
        "restarts": 1 if run is RunState.FAILED else 0,
        **changes,
    }
    return EngineView(**known)


def losses_of(index: int) -> LossesView:
    """Somewhat below the highest equity: by 1, 2 and 3 per cent."""
    at = datetime.now(UTC)
    highest = Decimal(20_000 + index * 613)
    last = highest * (99 - index) / 100
    return LossesView(kept=KeptLosses(currency="USD", peak=Mark(highest, at)), last=Mark(last, at))


def beat_of(index: int, number: int, state: RunState) -> Heartbeat:
    return Heartbeat(
        instance_id=name_of(index),
        session_id=session_of(index),
        generation=1 + index % 5,
        beat=number,
        at_ns=number,
        state=state,
        problems=(IMPAIRED,) if state is RunState.IMPAIRED else (),
        lease_s=22.0,
        losses=losses_of(index) if index < LIVE else None,
        resources=Resources(
            cpu_fraction=0.02 + (index * 7 + number) % 30 / 100,
            memory_bytes=(300 + index) << 20,
            memory_limit_bytes=2 << 30,
            pids=5,
        ),
    )


def metrics_of(index: int, number: int) -> EngineMetrics:
    """Money that moves; the same each time."""
    currency = "USD" if index < LIVE else CURRENCIES[index % len(CURRENCIES)]
    swing = Decimal(round(900 * sin(index + number / 5) + 400 * sin(index * 3 + number / 2))) / 10
    equity = Decimal(3) + swing / 100 if currency == "BTC" else Decimal(20_000 + index * 613) + swing
    return EngineMetrics(
        instance_id=name_of(index),
        session_id=session_of(index),
        at_ns=number,
        orders_open=index % 9,
        orders_total=40 + index + number,
        fills_total=30 + index,
        positions_open=index % 4,
        equity=MarkedEquity(currency=currency, amount=equity),
        balances={currency: str(equity)},
        realized_pnl={currency: str(Decimal(index % 13 - 5) * 91 / 10)},
        unrealized_pnl={currency: str(swing)},
        strategies={f"{_STRATEGIES[index % 6].title().replace('-', '')}-000": "RUNNING"},
        feeds=(FeedProgress(venue="BYBIT", events=number, age_s=48.0 if state_of(index) is RunState.IMPAIRED else 0.4),),
    )  # fmt: skip


def days_of(engines: int) -> DayStarts:
    """All but the last of them were known this morning."""
    began = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {}
    for index in range(engines - 1):
        currency = "USD" if index < LIVE else CURRENCIES[index % len(CURRENCIES)]
        amount = Decimal(3) if currency == "BTC" else Decimal(20_000 + index * 613 - 500)
        days[name_of(index)] = DayStart(amount=amount, currency=currency, at=began)
    return DayStarts(since=began, days=days)


def alert_of(number: int, about: str, severity: Severity, **changes: Any) -> AlertView:
    """One that has been open for some minutes."""
    at = datetime.now(UTC) - timedelta(minutes=3 + number)
    known: dict[str, Any] = {
        "alert_id": f"{number:024x}",
        "rule": "engine_impaired",
        "about_kind": AlertAbout.ENGINE,
        "about": about,
        "severity": severity,
        "text": IMPAIRED,
        "state": AlertState.OPEN,
        "opened_at": at,
        "changed_at": at,
        "labels": {"desk": "fx"},
        **changes,
    }
    return AlertView(**known)


ORDERS: Final = 1_200
"""On record, over all engines, the newest first."""


def ledger_order(number: int, *, is_open: bool = False) -> OrderRow:
    """Those that are open are of the engine of that number, the others of each in turn."""
    index = number % 200
    at = datetime.now(UTC) - timedelta(seconds=40 + 30 * number)
    return OrderRow(
        instance_id=name_of(index), session_id=session_of(index), at=at, seq=1, venue="BYBIT", last_at=at, last_seq=2, is_open=is_open,
        is_continued=False, instrument_id="BTCUSDT.BYBIT", strategy_id="EmaCross-000", client_order_id=f"O-{number}", event="OrderAccepted",
        status="ACCEPTED" if is_open else ("FILLED", "CANCELED", "REJECTED")[number % 3], side=("BUY", "SELL")[number % 2],
        order_type="LIMIT", quantity="0.250", filled_qty="0.000" if is_open else "0.250", time_in_force="GTC", ts_event=1, price="64250.10",
        reason="insufficient margin" if number % 3 == 2 and not is_open else None,
    )  # fmt: skip


def orders_of(asked: ReadOrders) -> LedgerPage[OrderRow]:
    """A page; the cursor is the number of the first row after it."""
    if asked.is_open:
        return LedgerPage(rows=tuple(ledger_order(number, is_open=True) for number in (0, 4, 6)))
    rows = [
        one
        for one in map(ledger_order, range(ORDERS))
        if (not asked.instance_ids or one.instance_id in asked.instance_ids)
        and (not asked.sides or one.side in asked.sides)
    ]
    first = int(asked.cursor or 0)
    after = first + asked.limit
    return LedgerPage(rows=tuple(rows[first:after]), next=str(after) if after < len(rows) else None)


def positions_of(_: object) -> LedgerPage[PositionRow]:
    at = datetime.now(UTC) - timedelta(minutes=9)
    row = PositionRow(
        instance_id=name_of(4), session_id=session_of(4), at=at, seq=1, venue="BYBIT", last_at=at, last_seq=2, is_open=True,
        is_continued=False, instrument_id="BTCUSDT.BYBIT", strategy_id="EmaCross-000", position_id="P-1", event="PositionOpened",
        side="LONG", quantity="0.250", signed_qty="0.25", avg_px_open="64250.1", currency="USDT", realized_pnl="-12.40 USDT",
        ts_event=1, ts_opened=1, ts_closed=0,
    )  # fmt: skip
    return LedgerPage(rows=(row,))


def accounts_of(_: object) -> LedgerPage[AccountRow]:
    row = AccountRow(
        instance_id=name_of(4), session_id=session_of(4), at=datetime.now(UTC), seq=1, venue="BYBIT", account_id="BYBIT-001",
        account_type="MARGIN", balances=(Balance(currency="USDT", total="22452.00", free="20000.00", locked="2452.00"),), ts_event=1,
        is_latest=True,
    )  # fmt: skip
    return LedgerPage(rows=(row,))


def history_of(asked: ReadHistory) -> History:
    """An hour of minutes that end now, with a gap in their middle and 5 per cent below the highest at the end."""
    until = datetime.now(UTC).replace(microsecond=0)
    at = tuple(until - timedelta(minutes=60 - number) for number in range(60))
    known = [None if number == 30 else Decimal(20_000 + min(number, 50) * 10) for number in range(60)]
    values = tuple(value * 95 / 100 if value and number > 55 else value for number, value in enumerate(known))
    return History(
        instance_id=asked.instance_id, since=asked.since or at[0], until=until, width_s=60.0, step_s=5.0, at=at, samples=(12,) * 60,
        equity=EquityHistory(
            currency=tuple("USD" if value else None for value in values), first=values, min=values, max=values, last=values,
            unknown=((),) * 60,
        ),
    )  # fmt: skip


class Notifier:
    """Alerts, mutes, rules and channels in memory; what becomes of an alert is told to the fleet."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        over = {"state": AlertState.RESOLVED, "resolved_at": datetime.now(UTC)}
        alerts = (
            alert_of(1, name_of(1), Severity.CRITICAL),
            alert_of(2, "ldn-1", Severity.WARNING, rule="host_lost", about_kind=AlertAbout.HOST, text="silent for 21 s"),
            alert_of(3, name_of(46), Severity.WARNING, acknowledged_by="anna", note="asked the venue", times=3),
            alert_of(4, name_of(5), Severity.WARNING, text="it was stale for 3 min", **over),
        )  # fmt: skip
        self.alerts = {one.alert_id: one for one in alerts}
        self.mutes: tuple[Mute, ...] = ()
        self.settings: tuple[RuleSetting, ...] = ()
        self.channels = {"desk": ChannelView(channel=Channel(name="desk", secret="desk_mail"))}

    def answers(self) -> dict[str, Any]:
        return {
            "fleet.alert.list": lambda asked: AlertList(
                alerts=tuple(
                    one for one in self.alerts.values() if asked.is_all or one.state == AlertState.OPEN
                ),
                mutes=self.mutes,
            ),
            "fleet.alert.ack": self._ack,
            "fleet.alert.mute": self._mute,
            "fleet.alert.rules": lambda _: self._rules(),
            "fleet.alert.set_rule": self._set_rule,
            "fleet.alert.channels": lambda _: self._list(),
            "fleet.alert.set_channel": self._set_channel,
            "fleet.alert.remove_channel": self._remove_channel,
            "fleet.alert.test_channel": lambda asked: ChannelTested(
                name=asked.name,
                is_sent=asked.name == "desk",
                problem="" if asked.name == "desk" else "no secret of that name",
                elapsed_ms=312.0,
            ),
        }

    async def _ack(self, asked: Any) -> AlertView:
        now = datetime.now(UTC)
        changes = {"acknowledged_by": "trader", "acknowledged_at": now, "note": asked.note, "changed_at": now}
        alert = msgspec.structs.replace(self.alerts[asked.alert_id], **changes)
        self.alerts[asked.alert_id] = alert
        change = AlertChange(change=AlertChangeKind.ACKNOWLEDGED, at=now, alert=alert)
        await self.bus.publish(contract.ALERT_CHANGE, change)
        return alert

    async def open_again(self) -> None:
        """What somebody took on is as it was: nobody has."""
        for alert in [one for one in self.alerts.values() if one.acknowledged_by]:
            again = msgspec.structs.replace(alert, acknowledged_by="", acknowledged_at=None, note="")
            self.alerts[alert.alert_id] = again
            change = AlertChange(change=AlertChangeKind.OPENED, at=datetime.now(UTC), alert=again)
            await self.bus.publish(contract.ALERT_CHANGE, change)

    def _mute(self, asked: MuteAlerts) -> MuteList:
        until = datetime.now(UTC) + timedelta(seconds=asked.for_s)
        self.mutes = () if not asked.for_s else (
            Mute(mute_id="c" * 24, until=until, by="admin", rule=asked.rule, about=asked.about),
        )  # fmt: skip
        return MuteList(mutes=self.mutes)

    def _rules(self) -> RuleList:
        return RuleList(rules=tuple(RULES.values()), settings=self.settings)

    def _set_rule(self, asked: SetRule) -> RuleList:
        setting = RuleSetting(
            rule=asked.rule, is_on=asked.is_on, severity=asked.severity, threshold=asked.threshold
        )
        self.settings = () if asked.is_reset else (setting,)
        return self._rules()

    def _list(self) -> ChannelList:
        return ChannelList(channels=tuple(self.channels.values()))

    def _set_channel(self, asked: Any) -> ChannelList:
        channel = Channel(name=asked.name, secret=asked.secret, severity=asked.severity)
        self.channels[asked.name] = ChannelView(channel=channel)
        return self._list()

    def _remove_channel(self, asked: Any) -> ChannelList:
        self.channels.pop(asked.name)
        return self._list()


class Stand:
    """The fleet. What a test changes it tells by `say`; `orchestrator.answers` are what is answered to commands."""

    def __init__(self, folder: Path, nats: NatsServer, engines: int) -> None:
        self.tokens = folder / "tokens.jsonl"
        self.engines = engines
        self.address = ""
        self.printed = stand_research.Printed()
        self.imports = stand_research.Imports()
        self._nats = nats
        self._states = {index: state_of(index) for index in range(engines)}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand")
        self._parts = AsyncExitStack()
        self._gateway = AsyncExitStack()
        self._sidecars: dict[int, Bus] = {}
        self.settings = msgspec.structs.replace(
            GatewaySettings.from_env({}), tokens_file=self.tokens, port=free_port("127.0.0.1")
        )

    def start(self) -> None:
        for role in Role:
            create_token(self.tokens, str(role), role)
        self._thread.start()
        self.run(self._start(), 60)
        self.open()

    def stop(self) -> None:
        self.close()
        self.run(self._parts.aclose(), 60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run[T](self, work: Coroutine[Any, Any, T], timeout_s: float = 20) -> T:
        """Does it in the thread of the stand."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def open(self) -> None:
        """Starts the gateway, on the port that it had."""
        self.address = self.run(self._open())

    def close(self) -> None:
        """Ends the gateway."""
        self.run(self._gateway.aclose())

    def link(self, role: Role = Role.ADMIN, place: str = "") -> str:
        """An address that signs in once."""
        code, _ = add_code(self.tokens, str(role), now=datetime.now(UTC))
        return f"{self.address}/{place}#code={code}"

    def say(self, index: int, state: RunState, **changes: Any) -> None:
        """What the orchestrator puts on record of an engine, and tells."""
        self._states[index] = state
        self.run(self.orchestrator.publish(view_of(index, state, **changes)))

    def fill(self, index: int, number: int, side: str = "BUY") -> None:
        """Lets an engine tell of an execution."""
        data = Fill(
            trade_id=f"T-{number}", client_order_id=f"O-{number}", instrument_id="BTCUSDT.BYBIT", strategy_id="EmaCross-000", side=side,
            last_qty="0.25", last_px="64250.10", currency="USDT", commission="0.40 USDT", liquidity_side="TAKER", ts_event=number,
        )  # fmt: skip
        event = EngineEvent(
            instance_id=name_of(index), session_id=session_of(index), generation=1 + index % 5, seq=number, at_ns=time.time_ns(),
            kind=EventKind.FILL, data=data,
        )  # fmt: skip
        bus = self._sidecars[index]
        self.run(bus.publish(contract.FILL, event, instance_id=name_of(index)))

    def view(self, index: int) -> EngineView:
        """The engine as it is on record."""
        return view_of(index, self._states[index])

    async def _start(self) -> None:
        bus = await self._connect(self._nats.settings(Actor.ORCHESTRATOR))
        await gateways.ensure_streams(bus)
        notifier = await self._connect(self._nats.settings(Actor.NOTIFIER))
        self.notifier = Notifier(notifier)
        self.orchestrator = gateways.Orchestrator(bus, notifier)
        self.desk = Desk(bus, name_of(4), session_of(4))
        views = tuple(view_of(index) for index in range(self.engines))
        self.orchestrator.answers |= {
            **self.notifier.answers(),
            **self.desk.answers(),
            **stand_research.answers(self.printed, self.imports, self.desk.answers()),
            "fleet.ledger.orders": orders_of,
            "fleet.ledger.positions": positions_of,
            "fleet.ledger.accounts": accounts_of,
            "fleet.history.read": history_of,
            "fleet.history.days": lambda _: days_of(self.engines),
            "fleet.engine.list": EngineList(engines=views, total_count=len(views)),
            "fleet.engine.status": lambda asked: FleetStatus(engine=self._view(asked.instance_id), active=()),
            "fleet.engine.sessions": lambda asked: SessionList(sessions=(self._session(asked.instance_id),)),
        }
        await self.orchestrator.start()
        supervisor = await self._connect(self._nats.settings(Actor.SUPERVISOR))
        self.hosts = {host: gateways.Supervisor(supervisor, host) for host in HOSTS}
        for host in self.hosts.values():
            await host.start()
        for index in range(self.engines):
            if not self._states[index].is_terminal:
                login = engine_login(self._nats, name_of(index), session_of(index))
                self._sidecars[index] = await self._connect(login)
        beating = asyncio.ensure_future(self._keep_beating(supervisor))  # noqa: TID251 - ended with the stand
        self._parts.push_async_callback(_ended, beating)

    async def _connect(self, settings: Any) -> Bus:
        bus = await connect(settings)
        self._parts.push_async_callback(bus.client.close)
        return bus

    async def _open(self) -> str:
        bus = await connect(self._nats.settings(Actor.GATEWAY))
        self._gateway.push_async_callback(bus.client.close)
        return (await self._gateway.enter_async_context(serve(bus, self.settings))).address

    async def _keep_beating(self, supervisor: Bus) -> None:
        number = 0
        while True:
            number += 1
            for index, bus in self._sidecars.items():
                state = self._states[index]
                if not state.is_terminal:
                    name = name_of(index)
                    await bus.publish(contract.HEARTBEAT, beat_of(index, number, state), instance_id=name)
                    await bus.publish(contract.METRICS, metrics_of(index, number), instance_id=name)
            for host in HOSTS:
                beat = HostHeartbeat(host=host, runtime="docker", at_ns=number, cpus=16, memory_bytes=64 << 30,
                                     sessions=self.engines // 3, version="0.1.0", has_cache=True)  # fmt: skip
                await supervisor.publish(contract.HOST_HEARTBEAT, beat, host=host)
            await asyncio.sleep(1)

    def _view(self, instance_id: InstanceId) -> EngineView:
        index = next(one for one in range(self.engines) if name_of(one) == instance_id)
        return self.view(index)

    def _session(self, instance_id: InstanceId) -> Any:
        return self._view(instance_id).session


async def _ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def standing(folder: Path, engines: int = 200) -> Iterator[Stand]:
    """A stand on a bus of its own. To be called by the main thread: servers are started by no other."""
    nats = NatsServer(folder / "nats", FleetKeys(folder / "keys"))
    nats.start()
    stand = Stand(folder, nats, engines)
    stand.start()
    try:
        yield stand
    finally:
        stand.stop()
        nats.stop()
