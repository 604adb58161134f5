"""Ends of orders as NautilusTrader tells of them, until a venue bears them out. The venue is scripted."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.venues.claims import Claims, Found
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
    told: list[Found | None] = []
    heard: list[Any] = []
    kernel = SimpleNamespace(
        cache=SimpleNamespace(order=lambda _: order),
        msgbus=SimpleNamespace(subscribe=lambda _, handler: heard.append(handler)),
    )
    clients = [SimpleNamespace(id=client, account_id=event.account_id)]
    found = Claims(kernel, clients, lambda _, what: told.append(what))
    found.begin()
    heard[0](event)
    assert found.is_claim(event)
    return found, order, told


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
