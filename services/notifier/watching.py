"""Hears the fleet: feeds of the stream so that nothing is missed, telemetry as it is said, and the time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery, Follower
from flotilla.schemas import contract
from flotilla.schemas.alerts import ENGINE_RESTARTED
from flotilla.schemas.backtest import BacktestView
from flotilla.schemas.contract import HEALTH, Actor
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultError
from flotilla.schemas.health import ReadHealth
from flotilla.schemas.subjects import parse
from flotilla.schemas.telemetry import (
    Alert,
    EngineEvent,
    EngineMetrics,
    Fill,
    FleetAlert,
    Heartbeat,
    HostHeartbeat,
    OrderUpdate,
    PositionUpdate,
    StateChange,
)
from flotilla.services.notifier.core import book, engines, fleet
from flotilla.services.notifier.core.fleet import Surroundings
from flotilla.services.notifier.core.signals import FLEET
from flotilla.services.notifier.ledger import Ledger, Turn

log = get_logger(__name__)

TICK_S: Final = 1.0
_WRITE_EVERY: Final = 10
"""Ticks after which what is known of engines is written in any case."""
_ASK_S: Final = 5.0
_ANSWER_S: Final = 3.0
Taker = Callable[[Turn, bytes], None]


class Watch:
    """Takes what is said, each thing in a turn of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._bus: Bus | None = None
        self._around = Surroundings(bus_lost_at=ledger.clock(), orchestrator_says="it was not asked yet")
        self._takers: Mapping[str, Taker] = {
            contract.FLEET_STATE.subject: self._view,
            contract.FLEET_ALERT.subject: self._fleet_alert,
            contract.FLEET_BACKTEST.subject: self._backtest,
            contract.STATE.subject: self._state,
            contract.ALERT.subject: self._alert,
            contract.ORDER.subject: self._order,
            contract.POSITION.subject: self._position,
            contract.FILL.subject: self._fill,
        }
        self.unreadable = 0
        """How many messages made no sense."""

    async def listen(self, bus: Bus) -> None:
        """Hears telemetry on this bus from now on."""
        self._bus = bus
        await bus.listen(contract.HEARTBEAT, self._heard(self._beat))
        await bus.listen(contract.METRICS, self._heard(self._metrics))
        await bus.listen(contract.HOST_HEARTBEAT, self._heard(self._host_beat))

    def _heard[T](
        self, taker: Callable[[T], Awaitable[None]]
    ) -> Callable[[T, Mapping[str, str]], Awaitable[None]]:
        """Telemetry is said again in a second: what cannot be written now is passed over."""

        async def take(said: T, _: Mapping[str, str]) -> None:
            if not self._ledger.is_loaded:
                return
            try:
                await taker(said)
            except FaultError as error:
                log.info("telemetry passed over: the record is away", error=str(error))

        return take

    async def follow(self, bus: Bus) -> None:
        """Reads the stream from where it was left, until cancelled."""
        follower = Follower(bus, contract.FOLLOWED_FEEDS, self.take, durable=str(Actor.NOTIFIER))
        await follower.run()

    async def take(self, batch: Sequence[Delivery]) -> None:
        """A batch in one turn; raises when it must be tried again."""
        first = self._ledger.first_start
        for is_silent in (True, False):
            part = [one for one in batch if (one.at < first) == is_silent]
            if not part:
                continue
            async with self._ledger.turn(is_silent=is_silent, is_whole=True) as turn:
                for one in part:
                    self._take_one(turn, one)

    def _take_one(self, turn: Turn, delivery: Delivery) -> None:
        found = (
            taker for subject, taker in self._takers.items() if parse(subject, delivery.subject) is not None
        )
        taker = next(found, None)
        if taker is None:
            return
        try:
            taker(turn, delivery.data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self.unreadable += 1
            log.warning("unreadable message", subject=delivery.subject, error=str(error))

    def _view(self, turn: Turn, data: bytes) -> None:
        view = msgspec.json.decode(data, type=EngineView)
        memory, signals = engines.of_view(turn.engine(view.instance_id), view, turn.now)
        if memory.state is None and memory.session_id == "":
            return
        turn.keep(memory)
        turn.say(signals)

    def _fleet_alert(self, turn: Turn, data: bytes) -> None:
        alert = msgspec.json.decode(data, type=FleetAlert)
        turn.say(fleet.of_disk(alert))
        memory = turn.engine(alert.instance_id or FLEET)
        if alert.code == ENGINE_RESTARTED.code and alert.instance_id is not None:
            memory, signals = engines.of_restart(memory, turn.now, self._ledger.thresholds)
            turn.keep(memory)
            turn.say(signals)
        happened = f"{alert.at.isoformat()}-{alert.session_id}-{alert.host}-{alert.container}"
        turn.say(engines.of_alert(memory, alert.code, alert.severity, alert.message, happened))

    def _backtest(self, turn: Turn, data: bytes) -> None:
        view = msgspec.json.decode(data, type=BacktestView)
        queue, signals = fleet.of_backtest(turn.queue or self._ledger.queue, view, turn.now)
        turn.queue = queue
        turn.say(signals)

    def _state(self, turn: Turn, data: bytes) -> None:
        event = msgspec.json.decode(data, type=EngineEvent[StateChange])
        if memory := _counted(turn, event):
            turn.keep(memory)
            turn.say(engines.of_state_change(memory, event.data))

    def _alert(self, turn: Turn, data: bytes) -> None:
        event = msgspec.json.decode(data, type=EngineEvent[Alert])
        if memory := _counted(turn, event):
            turn.keep(memory)
            happened = f"{event.session_id}-{event.seq}"
            alert = event.data
            turn.say(engines.of_alert(memory, alert.code, alert.severity, alert.message, happened))

    def _order(self, turn: Turn, data: bytes) -> None:
        event = msgspec.json.decode(data, type=EngineEvent[OrderUpdate])
        if memory := _counted(turn, event):
            memory, signals = engines.of_order(memory, event.data, turn.now, self._ledger.thresholds)
            turn.keep(memory)
            turn.say(signals)

    def _position(self, turn: Turn, data: bytes) -> None:
        event = msgspec.json.decode(data, type=EngineEvent[PositionUpdate])
        if memory := _counted(turn, event):
            memory, signals = engines.of_position(memory, event.data, self._ledger.thresholds)
            turn.keep(memory)
            turn.say(signals)

    def _fill(self, turn: Turn, data: bytes) -> None:
        event = msgspec.json.decode(data, type=EngineEvent[Fill])
        if memory := _counted(turn, event):
            turn.keep(memory)
            turn.say(engines.of_fill(memory, event.data)[1])

    async def _beat(self, beat: Heartbeat) -> None:
        if beat.is_worker:
            return
        async with self._ledger.turn() as turn:
            memory, signals = engines.of_beat(turn.engine(beat.instance_id), beat.session_id, turn.now)
            turn.keep(memory)
            turn.say(signals)

    async def _metrics(self, metrics: EngineMetrics) -> None:
        async with self._ledger.turn() as turn:
            known = turn.engine(metrics.instance_id)
            memory, signals = engines.of_metrics(known, metrics, turn.now, self._ledger.thresholds)
            if memory is not known:
                turn.keep(memory)
            turn.say(signals)

    async def _host_beat(self, beat: HostHeartbeat) -> None:
        async with self._ledger.turn(is_whole=beat.host not in self._ledger.hosts) as turn:
            memory, signals = fleet.of_host(beat.host, turn.now)
            turn.hosts[beat.host] = memory
            turn.say(signals)

    async def run(self) -> None:
        """Looks at the time once a second, until cancelled. While the store is away it is looked at again."""
        ticks = 0
        while True:
            ticks += 1
            try:
                await self.tick(is_whole=ticks % _WRITE_EVERY == 0)
            except FaultError as error:
                log.info("the time waits for the record", error=str(error))
            await asyncio.sleep(TICK_S)

    async def tick(self, *, is_whole: bool = False) -> None:
        """What follows from time alone."""
        self._look_at_bus()
        async with self._ledger.turn(is_whole=is_whole) as turn:
            thresholds, heard_since = self._ledger.thresholds, self._around.bus_since
            for known in list(self._ledger.engines.values()):
                memory, signals = engines.of_tick(known, turn.now, thresholds, heard_since)
                if memory is not known:
                    turn.keep(memory)
                turn.say(signals)
            hosts = tuple(self._ledger.hosts.values())
            turn.say(fleet.of_hosts_tick(hosts, turn.now, thresholds, heard_since))
            turn.say(fleet.of_queue_tick(self._ledger.queue, turn.now, thresholds))
            turn.say(fleet.of_surroundings(self._around, turn.now, thresholds))
            turn.say(fleet.of_certificate(self._around, turn.now, thresholds))
            for record in list(self._ledger.records.values()):
                if step := book.settled(record, turn.now):
                    turn.make(step)

    async def ask(self, bus: Bus) -> None:
        """Asks the orchestrator every few seconds whether it is well, until cancelled."""
        while True:
            says = await _ask(bus)
            at = self._around.orchestrator_at if says else self._ledger.clock()
            self._around = msgspec.structs.replace(self._around, orchestrator_at=at, orchestrator_says=says)
            await asyncio.sleep(_ASK_S)

    def _look_at_bus(self) -> None:
        is_there = self._bus is not None and self._bus.is_connected
        around, now = self._around, self._ledger.clock()
        if self._bus is not None and is_there and around.bus_since is None:
            ends = self._bus.certificate_ends
            self._around = msgspec.structs.replace(
                around, bus_since=now, bus_lost_at=None, certificate_ends=ends
            )
        elif not is_there and around.bus_lost_at is None:
            self._around = msgspec.structs.replace(around, bus_since=None, bus_lost_at=now)

    def checks(self) -> dict[str, str]:
        """Whether the bus is there."""
        return {"bus": "ok" if self._around.bus_since is not None else "not connected"}


async def _ask(bus: Bus) -> str:
    """What is wrong with the orchestrator; "" for nothing."""
    try:
        health = await bus.call(HEALTH[Actor.ORCHESTRATOR], ReadHealth(), timeout_s=_ANSWER_S)
    except FaultError as error:
        return error.fault.message
    wrong = [f"{name}: {state}" for name, state in health.checks.items() if state != "ok"]
    return "" if health.is_ready else "; ".join(wrong) or "it is not ready"


def _counted(turn: Turn, event: EngineEvent[Any]) -> engines.EngineMemory | None:
    return engines.numbered(turn.engine(event.instance_id), event.session_id, event.seq)
