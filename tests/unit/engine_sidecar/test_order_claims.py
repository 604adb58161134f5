"""Ends of orders as NautilusTrader tells of them, until a venue bears them out. The venue is scripted."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.live.reconciliation import create_order_canceled_event
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.venues.claims import MOST_ASKED, Claims, Found
from flotilla.engine_sidecar.engine.venues.comparison import Difference, Side
from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed

NOTHING = Side({}, {})
BTC = TestInstrumentProvider.btcusdt_binance()


def claims(end: str, *, client: str = "V") -> tuple[Claims, Any, list[Found | None]]:
    """Claims that heard of the end of an order, the order, and what is told of it."""
    made = TestExecStubs.make_accepted_order if end == "canceled" else TestExecStubs.make_submitted_order
    order = made(instrument=BTC)
    event = getattr(TestEventStubs, f"order_{end}")(order)
    order.apply(event)
    made, told = claims_of(event, client=client)
    return made, order, told


def claims_of(*events: Any, client: str = "V") -> tuple[Claims, list[Found | None]]:
    """Claims that heard of these ends, and what is told of them."""
    told: list[Found | None] = []
    heard: list[Any] = []
    orders = {
        each.client_order_id: SimpleNamespace(**named(each), filled_qty=Quantity.from_int(1), ts_init=1)
        for each in events
    }
    kernel = SimpleNamespace(
        cache=SimpleNamespace(order=orders.get),
        msgbus=SimpleNamespace(subscribe=lambda _, handler: heard.append(handler)),
    )
    clients = [SimpleNamespace(id=client, account_id=events[0].account_id)]
    found = Claims(kernel, clients, lambda _, what: told.append(what))
    found.begin()
    for each in events:
        heard[0](each)
        assert found.is_claim(each)
    return found, told


def submitted(name: str) -> Any:
    order = TestExecStubs.limit_order(instrument=BTC, client_order_id=ClientOrderId(name))
    return TestExecStubs.make_submitted_order(order)


def named(event: Any) -> dict[str, Any]:
    return {"instrument_id": event.instrument_id, "client_order_id": event.client_order_id}


async def nobody_asks(_: Any) -> None:
    raise AssertionError("the venue is not asked")


async def test_a_cancel_is_borne_out_once_the_order_is_not_open_any_more() -> None:
    made, order, told = claims("canceled")
    key = order.instrument_id.value, order.client_order_id.value
    await made.settle("V", made.noted(), Side({}, {key: Decimal()}), nobody_asks)
    assert told == []
    assert made.instruments("V") == {key[0]}
    await made.settle("V", made.noted(), NOTHING, nobody_asks)
    assert told == [None]
    assert made.instruments("V") == set()


async def test_of_a_rejected_order_the_venue_is_asked_until_it_says() -> None:
    made, _, told = claims("rejected")
    answers: list[Found | ReportsFailed | None] = [ReportsFailed("503"), ("FILLED", Decimal(1))]

    async def ask(_: Any) -> Found | None:
        answer = answers.pop(0)
        if isinstance(answer, ReportsFailed):
            raise answer
        return answer

    await made.settle("V", made.noted(), NOTHING, ask)
    assert told == []
    await made.settle("V", made.noted(), NOTHING, ask)
    assert told == [("FILLED", Decimal(1))]


@pytest.mark.parametrize(("filled", "instruments"), [(1, set()), (2, {BTC.id.value})])
async def test_what_the_venue_has_filled_further_is_said(filled: int, instruments: set[str]) -> None:
    made, told = claims_of(TestEventStubs.order_rejected(TestExecStubs.make_submitted_order(instrument=BTC)))

    async def ask(_: Any) -> Found:
        return "FILLED", Decimal(filled)

    assert (await made.settle("V", made.noted(), NOTHING, ask)).keys() == instruments
    assert told == [("FILLED", Decimal(filled))]


async def test_of_an_order_that_is_only_supposed_to_be_cancelled_the_venue_is_asked() -> None:
    order = TestExecStubs.make_accepted_order(instrument=BTC)
    made, told = claims_of(supposed := create_order_canceled_event(order=order, ts_now=1))
    assert supposed.reconciliation

    async def ask(_: Any) -> Found:
        return "FILLED", Decimal(1)

    await made.settle("V", made.noted(), NOTHING, ask)
    assert told == [("FILLED", Decimal(1))]


async def test_one_look_asks_of_so_many_orders_and_of_none_after_one_that_failed() -> None:
    orders = [submitted(f"O-{number}") for number in range(MOST_ASKED + 3)]
    made, told = claims_of(*(TestEventStubs.order_rejected(each) for each in orders))
    asked: list[Any] = []
    is_away = False

    async def ask(order: Any) -> Found:
        asked.append(order.client_order_id)
        if is_away:
            raise ReportsFailed("503")
        return "REJECTED", Decimal()

    await made.settle("V", made.noted(), NOTHING, ask)
    assert len(asked) == len(told) == MOST_ASKED
    asked.clear()
    is_away = True
    for _ in range(3):
        await made.settle("V", made.noted(), NOTHING, ask)
    assert len(set(asked)) == len(asked) == 3
    assert len(told) == MOST_ASKED
    is_away = False
    await made.settle("V", made.noted(), NOTHING, ask)
    assert len(told) == len(orders)
    assert made.noted() == ()


async def test_what_is_open_is_told_once_and_its_end_too() -> None:
    made, order, told = claims("canceled")
    seen = Difference("V", "order", order.instrument_id.value, order.client_order_id.value, venue=Decimal(1))
    made.deny([seen])
    made.deny([seen])
    assert told == [("PARTIALLY_FILLED", Decimal(1))]

    async def ask(_: Any) -> Found:
        return "CANCELED", Decimal(1)

    await made.settle("V", made.noted(), NOTHING, ask)
    assert told[1:] == [("CANCELED", Decimal(1))]


async def test_what_ended_after_the_venue_was_asked_is_left_for_the_next_look() -> None:
    made, _, told = claims("canceled")
    await made.settle("V", frozenset(), NOTHING, nobody_asks)
    await made.settle("W", made.noted(), NOTHING, nobody_asks)
    assert told == []
