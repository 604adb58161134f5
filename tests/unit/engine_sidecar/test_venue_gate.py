"""The gate before strategies: what holds it, what opens it, and what it says meanwhile. Venues and node are scripted, time is given."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide

from flotilla.engine_sidecar.engine.venues import gate as module
from flotilla.engine_sidecar.engine.venues.comparison import Side, in_words
from flotilla.engine_sidecar.engine.venues.gate import VenueGate
from flotilla.engine_sidecar.engine.venues.reconnects import POLL_S
from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed
from flotilla.schemas.states import StopPolicy

CLIENT = SimpleNamespace(id="V", account_id="V-1")
NOTHING = Side({}, {})
ONE = Side({"X.V": Decimal(1)}, {})


class Bus:
    def subscribe(self, *_: Any) -> None:
        """Nobody is filled here."""

    unsubscribe = subscribe


class Cache:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.positions: list[Any] = []

    def add(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def positions_open(self, account_id: Any = None) -> list[Any]:
        return self.positions

    def order(self, _: object) -> Any:
        return SimpleNamespace(ts_init=7)


class Venue:
    """What it says next, and what the node believes; a text is a report that fails."""

    def __init__(self, *says: Side | str, believed: Side = NOTHING) -> None:
        self.clients: tuple[Any, ...] = (CLIENT,)
        self._says, self._believed = list(says), believed
        self.reconcile_faults: list[str] = []
        self.asked: list[object] = []
        self.asked_for_fills: list[dict[str, int]] = []
        self.on_way: dict[tuple[str, str], Decimal] = {}

    def forget_faults(self) -> None:
        """Each fault is heard once."""

    def check_faults(self) -> None:
        if self.reconcile_faults:
            raise ReportsFailed(self.reconcile_faults.pop())

    async def of(self, _: Any, instruments: object = None) -> Side:
        self.asked.append(instruments)
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(said, str):
            raise ReportsFailed(said)
        return said

    def believed(self, _: Any) -> Side:
        return self._believed

    def on_their_way(self, _: Any) -> dict[tuple[str, str], Decimal]:
        return self.on_way

    async def fills(self, _: Any, since_ns: dict[str, int]) -> list[Any]:
        self.asked_for_fills.append(since_ns)
        return []


def held(quantity: int) -> Any:
    return SimpleNamespace(
        instrument_id=SimpleNamespace(value="X.V"), signed_decimal_qty=lambda: Decimal(quantity)
    )


def others_buy(made: VenueGate) -> None:
    """One unit, by an order that NautilusTrader made from a report."""
    order = SimpleNamespace(ts_submitted=0)
    fill = SimpleNamespace(
        account_id="V-1",
        order_side=OrderSide.BUY,
        instrument_id=SimpleNamespace(value="X.V"),
        last_qty=SimpleNamespace(as_decimal=lambda: Decimal(1)),
    )
    made._foreign.add(order, fill)


def gate(venue: Venue, cache: Cache | None = None) -> tuple[VenueGate, list[str]]:
    said: list[str] = []
    kernel = SimpleNamespace(
        cache=cache or Cache(),
        msgbus=Bus(),
        logger=SimpleNamespace(warning=lambda _: None),
        trader=SimpleNamespace(is_running=True),
    )
    made = VenueGate(
        kernel,
        venue,
        lambda found: said.append(in_words(found)),
        asyncio.get_running_loop().time,
        tell_order=lambda order, filled: said.append(f"{order} {filled}"),
    )
    return made, said


async def start(made: VenueGate, reconcile: Callable[[], Any] | None = None, within_s: float = 1.0) -> bool:
    async def well() -> bool:
        return True

    return await made.reconciled(reconcile or well, lambda: None, within_s)


@asynccontextmanager
async def under_way[T](work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        yield task
        task.cancel()


async def held_by(made: VenueGate) -> None:
    async with asyncio.timeout(5):
        while not made.told:
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(module, "ASK_AGAIN_S", 0.01)


async def test_it_opens_at_once_where_both_sides_agree() -> None:
    made, said = gate(Venue(ONE, believed=ONE), cache := Cache())
    cache.positions = [held(1)]
    assert await start(made)
    assert said == []


async def test_what_differs_for_a_moment_is_told_to_nobody() -> None:
    made, said = gate(Venue(ONE, NOTHING))
    assert await start(made)
    assert said == []


async def test_what_an_order_on_its_way_at_each_look_does_not_explain_is_told_once_its_trades_were_asked_for() -> (
    None
):
    def rests(quantity: int) -> Side:
        return Side({"X.V": Decimal(quantity)}, {("X.V", "O-1"): Decimal(quantity)})

    venue = Venue(rests(3), believed=rests(0))
    venue.on_way = {("X.V", "O-2"): Decimal(1)}
    made, said = gate(venue)
    assert await start(made)
    async with under_way(made.watch()):
        await held_by(made)
    assert venue.asked_for_fills == [{"X.V": 7}]
    assert said == [
        "V: position of X.V is 3 at the venue, 0 in the engine; V: order O-1 of X.V is filled 3 at the venue, 0 in the engine"
    ]


async def test_what_an_order_on_its_way_explains_is_told_to_nobody() -> None:
    venue = Venue(ONE)
    venue.on_way = {("X.V", "O-2"): Decimal(1)}
    made, said = gate(venue)
    assert await start(made)
    async with under_way(made.watch()), asyncio.timeout(5):
        while len(venue.asked) < 20:
            await asyncio.sleep(0.001)
    assert said == []


async def test_it_waits_while_they_differ_and_opens_once_they_agree() -> None:
    made, said = gate(Venue(ONE, ONE, ONE, ONE, NOTHING))
    assert await start(made)
    assert said == ["V: position of X.V is 1 at the venue, 0 in the engine", ""]


async def test_a_person_who_accepts_opens_it_and_the_engine_that_comes_back_remembers() -> None:
    cache = Cache()
    made, said = gate(Venue(ONE), cache)
    async with under_way(start(made)) as waiting:
        await held_by(made)
        assert [str(each) for each in made.accept()] == [said[0]]
        assert await waiting
    again, told = gate(Venue(ONE), cache)
    assert await start(again)
    assert told == []
    other, told = gate(Venue(Side({"X.V": Decimal(2)}, {})), cache)
    async with under_way(start(other)):
        await held_by(other)
    assert told == ["V: position of X.V is 2 at the venue, 0 in the engine"]


async def test_what_was_accepted_and_went_is_told_when_it_comes_back() -> None:
    cache = Cache()
    made, _ = gate(Venue(ONE), cache)
    async with under_way(start(made)) as waiting:
        await held_by(made)
        made.accept()
        assert await waiting
    again, _ = gate(Venue(NOTHING), cache)
    assert await start(again)
    third, told = gate(Venue(ONE), cache)
    async with under_way(start(third)):
        await held_by(third)
    assert len(told) == 1


async def test_a_stop_is_not_confirmed_by_what_a_person_accepted() -> None:
    made, _ = gate(Venue(ONE))
    async with under_way(start(made)) as waiting:
        await held_by(made)
        made.accept()
        assert await waiting
    until = asyncio.get_running_loop().time() + 1
    assert await made.not_agreed(StopPolicy.FLATTEN, until) == (
        "V: position of X.V is 1 at the venue, 0 in the engine",
    )
    assert await made.not_agreed(StopPolicy.CANCEL, until) == ()
    assert await made.not_agreed(StopPolicy.LEAVE, until) == ()


async def test_at_a_stop_a_venue_whose_report_failed_is_asked_again_and_may_confirm() -> None:
    venue = Venue("busy", "busy", NOTHING)
    made, _ = gate(venue)
    assert await made.not_agreed(StopPolicy.FLATTEN, asyncio.get_running_loop().time() + 5) == ()
    assert len(venue.asked) == 3


async def test_at_a_stop_a_venue_that_never_reports_is_asked_less_and_less_until_the_time_is_over() -> None:
    venue = Venue("busy")
    made, _ = gate(venue)
    (said,) = await made.not_agreed(StopPolicy.FLATTEN, asyncio.get_running_loop().time() + 0.4)
    assert said == "not confirmed by the venue: busy"
    assert 2 <= len(venue.asked) <= 6


async def test_what_others_did_waits_for_a_person_also_after_a_crash() -> None:
    cache = Cache()
    made, said = gate(Venue(ONE, believed=ONE), cache)
    cache.positions = [held(1)]

    async def reconcile() -> bool:
        others_buy(made)
        return True

    async with under_way(start(made, reconcile)):
        await held_by(made)
    assert said == ["V: position of X.V is 1, and by the engine's own orders it would be 0"]
    again, told = gate(Venue(ONE, believed=ONE), cache)
    async with under_way(start(again)) as waiting:
        await held_by(again)
        assert told == said
        again.accept()
        assert await waiting
    third, told = gate(Venue(ONE, believed=ONE), cache)
    assert await start(third)
    assert told == []


async def test_what_others_did_is_over_once_nothing_is_left_of_it() -> None:
    cache = Cache()
    made, said = gate(Venue(NOTHING), cache)
    cache.positions = [held(1)]
    others_buy(made)
    cache.positions = []
    assert await start(made)
    assert said == []


async def test_a_position_that_others_closed_waits_for_a_person_also_after_a_crash() -> None:
    cache = Cache()
    for is_over in (False, True):
        made, said = gate(Venue(NOTHING), cache)

        async def reconcile(made: VenueGate = made, is_over: bool = is_over) -> bool:
            if not is_over:
                others_buy(made)  # of a short position, by which it is flat
            return True

        async with under_way(start(made, reconcile)) as waiting:
            await held_by(made)
            assert said == ["V: position of X.V is 0, and by the engine's own orders it would be -1"]
            if is_over:
                made.forget_closed()
                assert await waiting
                assert said[1:] == [""]


async def test_a_look_that_takes_too_long_is_given_up_though_the_adapter_does_not_stop() -> None:
    stubborn, began = asyncio.Event(), asyncio.get_running_loop().time()

    async def swallow() -> bool:
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await stubborn.wait()
        return True

    made, _ = gate(Venue(NOTHING))
    with pytest.raises(ReportsFailed, match="in time"):
        await start(made, swallow, within_s=0.05)
    assert asyncio.get_running_loop().time() - began < 2
    stubborn.set()


async def test_a_venue_that_does_not_report_is_a_problem_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    made, _ = gate(Venue("V openOrders: 503", "V openOrders: 503", NOTHING))
    async with under_way(made.watch()), asyncio.timeout(5):
        while not made.not_compared():
            await asyncio.sleep(0.001)
        assert made.not_compared() == ("V does not report its orders and positions: V openOrders: 503",)
        while made.not_compared():
            await asyncio.sleep(0.001)


async def test_most_looks_ask_for_the_orders_that_the_engine_has_to_do_with() -> None:
    venue = Venue(ONE, believed=ONE)
    made, _ = gate(venue)
    async with under_way(made.watch()), asyncio.timeout(5):
        while len(venue.asked) < 2 * module.WHOLE_EVERY:
            await asyncio.sleep(0.001)
    assert venue.asked[0] == {"X.V"}
    assert venue.asked.count(None) == 2


async def test_a_report_that_failed_is_not_an_empty_one() -> None:
    made, said = gate(Venue("V openOrders: 503"))
    with pytest.raises(ReportsFailed, match="503"):
        await start(made, within_s=0.05)
    assert said == []
    once, said = gate(Venue("V openOrders: 503", NOTHING))
    assert await start(once)
    assert said == []


async def test_nautilus_trader_reconciles_again_where_an_adapter_swallowed_a_report() -> None:
    venue, times = Venue(NOTHING), 0

    async def reconcile() -> bool:
        nonlocal times
        times += 1
        return True

    venue.reconcile_faults = ["V userTrades: 503"]
    made, _ = gate(venue)
    assert await start(made, reconcile)
    assert times == 2


async def test_a_reconciliation_that_hangs_ends_in_time() -> None:
    async def hang() -> bool:
        await asyncio.Event().wait()
        return True

    made, _ = gate(Venue(NOTHING))
    with pytest.raises(ReportsFailed, match="in time"):
        await start(made, hang, within_s=0.05)


async def test_while_it_trades_a_difference_is_told_when_it_lasts_and_when_it_is_over() -> None:
    made, said = gate(Venue(NOTHING, ONE, NOTHING, ONE, ONE, "away", ONE, NOTHING))
    async with under_way(made.watch()), asyncio.timeout(5):
        while len(said) < 2:
            await asyncio.sleep(0.005)
    assert said == ["V: position of X.V is 1 at the venue, 0 in the engine", ""]


async def test_it_looks_at_once_when_a_private_stream_was_connected_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600.0)
    is_up = True
    venue = Venue(ONE, believed=NOTHING)
    venue.clients = (SimpleNamespace(id="V", account_id="V-1", _ws_client=Socket(lambda: is_up)),)
    made, said = gate(venue)
    async with under_way(made.watch()), asyncio.timeout(5):
        await asyncio.sleep(2 * POLL_S)
        assert (said, made.reconnects) == ([], {"V": 0})
        is_up = False
        await asyncio.sleep(2 * POLL_S)
        is_up = True
        while not said:
            await asyncio.sleep(0.001)
    assert made.reconnects == {"V": 1}


async def test_an_order_of_an_instrument_that_the_engine_has_nothing_of_is_told_by_two_looks() -> None:
    other = Side({}, {("Y.V", "O-1"): Decimal()})
    venue = Venue(other)
    made, said = gate(venue)
    async with under_way(made.watch()), asyncio.timeout(5):
        while not said:
            await asyncio.sleep(0.001)
    assert said == [
        "V: order O-1 of Y.V is open at the venue (filled 0), and the engine has no such open order"
    ]
    assert {"Y.V"} in venue.asked


class Socket:
    """A connection of an adapter in Rust."""

    def __init__(self, is_active: Callable[[], bool]) -> None:
        self.is_active = is_active
