"""One run of one node, from connecting to its last word: every way in which it can end comes together here."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.engine.answering import answer
from flotilla.engine_sidecar.engine.exit.intervening import Intervening
from flotilla.engine_sidecar.engine.exit.stopping import Stopping
from flotilla.engine_sidecar.engine.exit.withdrawing import Withdrawing
from flotilla.engine_sidecar.engine.feeds import Feeds
from flotilla.engine_sidecar.engine.link_thread import LinkThread
from flotilla.engine_sidecar.engine.marked_equity import EquityMarks
from flotilla.engine_sidecar.engine.measuring import measure
from flotilla.engine_sidecar.engine.node_building import build_node
from flotilla.engine_sidecar.engine.order_gate import OpeningHours
from flotilla.engine_sidecar.engine.own_output import OwnOutput
from flotilla.engine_sidecar.engine.running_strategies import RunningStrategies
from flotilla.engine_sidecar.engine.secrets import Secrets
from flotilla.engine_sidecar.engine.starting import (
    not_connected,
    watch_connecting,
    watch_start,
    why_not_trading,
)
from flotilla.engine_sidecar.engine.tap import Tap
from flotilla.engine_sidecar.engine.venues import ib_names
from flotilla.engine_sidecar.engine.venues.book_gaps import watch_books
from flotilla.engine_sidecar.engine.venues.clocks import clock_words
from flotilla.engine_sidecar.engine.venues.comparison import Difference, in_words
from flotilla.engine_sidecar.engine.venues.fitness import ask_okx, unfit
from flotilla.engine_sidecar.engine.venues.gate import Reconcile, VenueGate
from flotilla.engine_sidecar.engine.venues.instruments import ask_for_named, not_at_venue, offer_catalog
from flotilla.engine_sidecar.engine.venues.reach import addresses, heard_of, note_reach, why_not_reached
from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed, VenueReports
from flotilla.engine_sidecar.engine.waiting import Waiting
from flotilla.engine_sidecar.link.asking import Ask
from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    CutLosses,
    Ended,
    EndNow,
    GateShut,
    GoOn,
    HoldLease,
    Measured,
    Phase,
    PutBrake,
    Reduce,
    Run,
    Stop,
)
from flotilla.engine_sidecar.replay.currencies import Conversions
from flotilla.engine_sidecar.replay.messages import ALERTS, REPLAY_ENDED, ReplayEnded
from flotilla.engine_sidecar.strategies.guard import fault_text
from flotilla.engine_sidecar.strategies.packages import OpenPackages
from flotilla.schemas.alerts import AGREED, CLOCK_OFF, MISMATCH, UNEXPECTED_COMMAND
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.states import FailureReason, RunState, StopPolicy

MEASURE_S: Final = 1.0
# How much longer than its stop may take an engine whose sidecar is gone has before its process ends.
PATIENCE_S: Final = 5.0


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why the engine ends, and what is to become of its orders and positions."""

    policy: StopPolicy
    timeout_s: float
    reason: FailureReason | None = None
    detail: str = ""
    is_completed: bool = False


class LiveEngine:
    """Builds the node of `run` (raises PlanRefusedError) and runs it; the first cause to end it counts."""

    def __init__(
        self, run: Run, link: LinkThread, loop: asyncio.AbstractEventLoop, packages: OpenPackages
    ) -> None:
        self._run, self._link, self._loop = run, link, loop
        self._output = OwnOutput()
        link.patience_s = run.stop_timeout_s + PATIENCE_S
        self._ending: asyncio.Future[Ending] = loop.create_future()
        self._node = build_node(run, loop, self._on_strategy_fault, self._on_crash, self._on_reading)
        self._kernel = self._node.kernel
        self._asked = ask_for_named(self._kernel)
        self._of_catalog = offer_catalog(self._kernel, self._asked, Path(run.catalog_path))
        self._tap = Tap(self._kernel, link.send)
        self._conversions = Conversions(self._kernel, self._on_no_rate)
        self._feeds = Feeds(self._kernel, loop.time, run.plan.always_open)
        self._withdrawing = Withdrawing(self._node, loop.time)
        self._hidden = Secrets(run).hidden
        self._venues = VenueGate(
            self._kernel,
            VenueReports(self._kernel, self._hidden),
            self._on_compared,
            loop.time,
            tell_order=self._tap.looked_up,
        )
        self._venues.ask_for_trades_first()
        watch_books(self._kernel.data_engine._clients.values(), self._tap.alert)
        self._tap.is_claim = self._venues.is_claim
        self._waiting = Waiting(self._kernel, self._venues, link.send)
        self._stopping = Stopping(
            self._node,
            self._tap,
            self._withdrawing,
            self._venues,
            now=loop.time,
            on_shut=lambda: link.send(GateShut()),
        )
        self._put(run.brake)
        self._node.gate.hours = OpeningHours(run.trading_hours) if run.trading_hours else None
        self._equity = EquityMarks(self._kernel, run.equity_currency)
        if run.lease_until_s is not None:
            self._node.gate.lease_until_s = run.lease_until_s
        self._intervening = Intervening(
            self._kernel,
            self._tap,
            self._withdrawing,
            venues=self._venues,
            now=loop.time,
        )
        self._strategies = RunningStrategies(
            self._kernel, self._withdrawing, self._on_strategy_fault, loop.time, packages
        )
        self._measure_once = self._tap.guarded(self._take_measure)
        self._under_way: list[asyncio.Task[None]] = []

    @property
    def kernel(self) -> Any:
        """NautilusTrader's, of the node that it built."""
        return self._kernel

    async def live(self) -> Ended:
        """Runs until something ends it, then stops in order; returns the last word."""
        if not self._link.begin():
            self._withdrawing.shut(StopPolicy.CANCEL)
        self._listen()
        async with asyncio.TaskGroup() as tasks:
            node = tasks.create_task(self._run_node(), name="node")
            others = [
                tasks.create_task(self._measure(), name="measuring"),
                tasks.create_task(self._obey(tasks), name="commands"),
                tasks.create_task(self._node.keep_state(), name="keeping state"),
            ]
            watching = [
                tasks.create_task(self._looking("comparing with venues", self._venues.watch())),
                tasks.create_task(self._looking("watching the start", self._waiting.watch())),
            ]
            ending = await self._ending
            for task in watching:
                task.cancel()
            ended = await self._end(ending, node)
            for task in others:
                task.cancel()
        self._send_measure()
        return ended

    def _listen(self) -> None:
        bus = self._kernel.msgbus
        self._tap.subscribe()
        self._tap.restored()
        self._conversions.subscribe()
        bus.subscribe(ALERTS, self._tap.guarded(self._tap.alert))
        bus.subscribe(REPLAY_ENDED, self._on_replay_ended)
        # A strategy that shuts the system down gets the same orderly stop as everybody.
        bus.unsubscribe("commands.system.shutdown", self._kernel._on_shutdown_system)
        bus.subscribe("commands.system.shutdown", self._on_shutdown)
        watch_connecting(self._kernel, self._hidden, self._on_connect_fault)
        watch_start(self._kernel, self._on_connected, self._reconciled, self._on_started)
        self._loop.add_signal_handler(signal.SIGTERM, self._end_with, StopPolicy.CANCEL, None, "SIGTERM")

    async def _run_node(self) -> None:
        self._waiting.begin(RunState.CONNECTING)
        try:
            await self._node.trading.run_async()
        except Exception as error:  # noqa: BLE001 - whatever NautilusTrader raises ends the run, in order
            self._on_crash("the node", error)
        self._end_with(StopPolicy.CANCEL, FailureReason.CRASH, "the node stopped of itself")

    async def _looking(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Whatever is raised in it ends the run in order, with what is open taken care of."""
        try:
            await work
        except Exception as error:
            self._kernel.logger.exception(what, error)  # noqa: TRY401 - it is NautilusTrader's
            self._on_crash(what, error)

    async def _end(self, ending: Ending, node: asyncio.Task[None]) -> Ended:
        self._link.send(Phase(RunState.STOPPING, ending.detail, ending.reason))
        for task in self._under_way:
            task.cancel()
        not_confirmed, report = await self._stopping.stop(ending.policy, ending.timeout_s, node)
        return Ended(ending.reason, ending.detail, not_confirmed, report, ending.is_completed)

    def _end_with(
        self,
        policy: StopPolicy,
        reason: FailureReason | None,
        detail: str,
        timeout_s: float | None = None,
        *,
        is_completed: bool = False,
    ) -> None:
        """Ends the run, unless it is ending already: the first cause is the one that explains the others."""
        if self._ending.done():
            return
        timeout_s = self._run.stop_timeout_s if timeout_s is None else timeout_s
        ending = Ending(
            policy=policy, timeout_s=timeout_s, reason=reason, detail=detail, is_completed=is_completed
        )
        self._ending.set_result(ending)

    async def _on_connect_fault(self, client: Any, error: Exception) -> None:
        asked = [each for each in self._asked if each.client is client]
        # What an adapter of NautilusTrader raises for an instrument that is not there; others load what they find.
        is_unknown = isinstance(error, KeyError) or ib_names.is_unknown(error)
        if is_unknown and (missing := await not_at_venue(asked, self._hidden)):
            self._end_with(StopPolicy.LEAVE, missing.reason, missing.text)
        else:
            if not heard_of(client):
                # Polymarket's says no more than that a request failed.
                note_reach(client, await why_not_reached(addresses(client)))
            found = (not_connected(client), await clock_words(client))
            self._end_with(
                StopPolicy.LEAVE, FailureReason.VENUE, f"did not connect: {'; '.join(filter(None, found))}"
            )

    async def _on_connected(self) -> bool:
        if missing := await not_at_venue(self._asked, self._hidden):
            self._end_with(StopPolicy.LEAVE, missing.reason, missing.text)
            return False
        named = {instrument for each in self._asked for instrument in each.instruments}
        states = await ask_okx(self._kernel, named)
        unfits, reason = unfit(self._kernel, named, self._of_catalog, states)
        if unfits:
            self._end_with(StopPolicy.LEAVE, reason, unfits)
            return False
        if why := self._conversions.why_not():
            self._end_with(StopPolicy.LEAVE, FailureReason.CONFIG, why)
            return False
        clocks = await self._clocks()
        # A stop may have come while venues were asked: nothing is said after it.
        if self._ending.done():
            return False
        self._waiting.begin(RunState.RECONCILING, clocks)
        return True

    async def _clocks(self) -> str:
        """What is wrong with the clock by the venues that are traded at, for which people are alerted."""
        clients = self._kernel.exec_engine._clients.values()
        said = await asyncio.gather(*map(clock_words, clients))
        text = "; ".join(
            f"{client.id}: {words}" for client, words in zip(clients, said, strict=True) if words
        )
        if text:
            self._tap.alert(CLOCK_OFF.alert(text))
        return text

    async def _reconciled(self, reconcile: Reconcile) -> bool:
        within_s = float(self._kernel._config.timeout_reconciliation)
        try:
            is_agreed = await self._venues.reconciled(reconcile, self._on_reconciled, within_s)
        except ReportsFailed as error:
            self._end_with(
                StopPolicy.LEAVE, FailureReason.VENUE, f"orders and positions are not known: {error}"
            )
            return False
        # A stop may have come while it waited.
        return is_agreed and not self._ending.done()

    def _on_reconciled(self) -> None:
        self._stopping.is_reconciled = True

    def _on_compared(self, found: tuple[Difference, ...]) -> None:
        self._withdrawing.hold(is_held=bool(found))
        if self._ending.done():
            return
        self._waiting.over()
        if found:
            text = in_words(found)
            self._link.send(Phase(RunState.MISMATCH, text))
            self._tap.alert(MISMATCH.alert(text))
        else:
            self._tap.alert(AGREED.alert("engine and venue agree on orders and positions"))
            if self._kernel.trader.is_running:
                self._link.send(Phase(RunState.TRADING))

    def _on_started(self) -> None:
        self._waiting.over()
        if self._ending.done():
            return
        if self._kernel.trader.is_running:
            # Whether it trades is judged by the measure, so that has to be there first.
            self._tap.guarded(self._take_whole_measure)(None)
            self._link.send(Phase(RunState.TRADING))
        else:
            self._end_with(StopPolicy.LEAVE, FailureReason.VENUE, why_not_trading(self._kernel))

    def _on_strategy_fault(self, strategy_id: str, method: str, error: BaseException) -> None:
        reason, text = _blame(strategy_id, method, error)
        self._kernel.logger.exception(text, error)
        self._end_with(StopPolicy.CANCEL, reason, text)

    def _on_reading(self, how_far: str) -> None:
        self._link.send(Phase(RunState.BOOTING, how_far))

    def _on_crash(self, where: str, error: BaseException) -> None:
        self._end_with(StopPolicy.CANCEL, FailureReason.CRASH, f"{where}: {fault_text(error)}")

    def _on_no_rate(self, why: str) -> None:
        self._end_with(StopPolicy.CANCEL, FailureReason.CONFIG, why)

    def _on_replay_ended(self, ended: ReplayEnded) -> None:
        if ended.error:
            reason = FailureReason.CONFIG if ended.is_refused else FailureReason.CRASH
            self._end_with(StopPolicy.CANCEL, reason, f"replay {ended.venue}: {ended.error}")
        elif ended.must_stop and not self._ending.done():
            # How it stands when the data is through, before the stop does away with it.
            self._tap.guarded(self._take_whole_measure)(None)
            self._end_with(self._run.stop_policy, None, "the replay is finished", is_completed=True)

    def _on_shutdown(self, command: Any) -> None:
        self._end_with(self._run.stop_policy, None, f"shut down by {command.component_id}: {command.reason}")

    async def _obey(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            match await self._link.receive():
                case Stop(policy=policy, timeout_s=timeout_s):
                    self._end_with(policy, None, "", timeout_s)
                case EndNow(timeout_s=timeout_s):
                    self._stopping.hurry(timeout_s)
                    self._end_with(StopPolicy.FLATTEN, None, "", timeout_s)
                case PutBrake(brake=brake):
                    self._put(brake)
                    self._begin(tasks, self._tell_taken(brake), "brake")
                case CutLosses() as losses:
                    self._begin(tasks, self._intervening.cut(losses), "cutting losses")
                case Reduce():
                    self._withdrawing.limit(is_reducing=True)
                case GoOn():
                    self._withdrawing.limit(is_reducing=False)
                case HoldLease(until_s=until_s):
                    self._node.gate.lease_until_s = until_s
                case Ask() as asked:
                    self._begin(tasks, self._answer(asked), "answer")
                case Run():
                    self._tap.alert(UNEXPECTED_COMMAND.alert("the engine runs already"))
                case None:
                    self._output.swallow()
                    self._end_with(StopPolicy.CANCEL, None, "the sidecar is gone")
                    return

    async def _answer(self, asked: Ask) -> None:
        await answer(
            asked,
            self._strategies,
            self._intervening,
            self._venues,
            kernel=self._kernel,
            send=self._link.send,
        )

    def _put(self, brake: EngineBrake) -> None:
        self._brake = brake
        self._withdrawing.brake(brake.brake)

    async def _tell_taken(self, brake: EngineBrake) -> None:
        await self._withdrawing.has_left()
        # One that was put on meanwhile is told of by its own.
        if brake == self._brake:
            self._link.send(BrakeTaken(brake))

    def _begin(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> None:
        self._under_way = [task for task in self._under_way if not task.done()]
        self._under_way.append(tasks.create_task(work, name=name))

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(MEASURE_S)
            self._send_measure()

    def _send_measure(self) -> None:
        self._measure_once(None)

    def _take_measure(self, _: object) -> None:
        self._link.send(self._measured(), is_lossy=True)

    def _take_whole_measure(self, _: object) -> None:
        self._link.send(self._measured())

    def _measured(self) -> Measured:
        measured = measure(self._run, self._kernel, self._tap, self._feeds, self._venues)
        measured = msgspec.structs.replace(measured, equity=self._equity.mark())
        return Measured(msgspec.json.encode(measured))


def _blame(strategy_id: str, method: str, error: BaseException) -> tuple[FailureReason, str]:
    """What a strategy's exception comes down to: one that exits has crashed the engine as surely as by `os._exit`."""
    if isinstance(error, SystemExit):
        return FailureReason.CRASH, f"{strategy_id} exited with {error.code} in {method}: {fault_text(error)}"
    reason = FailureReason.OOM if isinstance(error, MemoryError) else FailureReason.STRATEGY
    return reason, f"{strategy_id} raised in {method}: {fault_text(error)}"
