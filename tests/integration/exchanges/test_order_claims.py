"""What NautilusTrader says of an order's end, and what the exchange has of it: engines of ours tell the second too."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from flotilla.engine_sidecar.engine.venues.gate import LOOK_EVERY_S
from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ZygoteProcess
from tests.integration.exchanges.engines import Engine, run_on, trades
from tests.integration.exchanges.running import Venue, exchange_here, until

ORDER: Final = "/fapi/v1/order"
UNKNOWN: Final = {
    "status": 408,
    "code": -1007,
    "msg": "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
}
LEAVE: Final = Stop(StopPolicy.LEAVE, 10.0)


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as made:
        yield made


async def test_an_order_that_was_said_to_be_rejected_and_is_open_is_told_and_so_is_its_end(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("fault", on=f"POST {ORDER}", kind="unknown", times=1, **UNKNOWN)
    engine = Engine(zygote, run_on(venue, quantity="0", resting="0.010"))
    await engine.phase(RunState.TRADING)
    mismatch = await engine.phase(RunState.MISMATCH, 10.0)
    (order,) = (await venue.account())["orders"]
    name = order["clientOrderId"]
    assert f"order {name} of BTCUSDT-PERP.BINANCE is open at the venue (filled 0)" in mismatch.detail
    assert _ends(engine, name) == [("OrderRejected", "REJECTED", "0.000", True)]
    assert _looked_up(engine, name) == [("ACCEPTED", "0.000")]
    await venue.control("fill", client_id=name, price=order["price"])
    await engine.phase(RunState.TRADING, 10.0)
    assert _looked_up(engine, name) == [("ACCEPTED", "0.000"), ("FILLED", "0.010")]
    await engine.net("0.010")
    engine.process.send(LEAVE)
    await engine.ended()


async def test_a_market_order_that_was_said_to_be_rejected_and_is_filled_is_told(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("fault", on=f"POST {ORDER}", kind="unknown", times=1, **UNKNOWN)
    engine = Engine(zygote, run_on(venue))
    await engine.net("0.030")
    (order,) = (await venue.account())["orders"]
    name = order["clientOrderId"]
    if _ends(engine, name):  # The fill may come before the answer: then nothing was rejected.
        await engine.until(lambda _: _looked_up(engine, name) or None, 10.0)
        assert _looked_up(engine, name) == [("FILLED", "0.030")]
    assert RunState.MISMATCH not in engine.phases()
    engine.process.send(LEAVE)
    await engine.ended()


@pytest.mark.parametrize("parts", [1, 3])
async def test_what_a_rejected_order_was_filled_is_taken_where_no_private_stream_tells_it(
    zygote: ZygoteProcess, venue: Venue, parts: int
) -> None:
    """It is the venue's own word on an order of the engine's: nobody needs to decide anything."""
    await venue.control("conduct", parts=parts)
    await venue.control("stream", mute=True)
    await venue.control("fault", on=f"POST {ORDER}", kind="unknown", times=1, **UNKNOWN)
    engine = Engine(zygote, run_on(venue))
    await engine.until(lambda _: len(trades(engine)) == parts or None, 20.0)
    assert trades(engine) == await venue.trades()
    await engine.net("0.030")
    assert RunState.MISMATCH not in engine.phases()
    (order,) = (await venue.account())["orders"]
    assert _looked_up(engine, order["clientOrderId"]) == [("FILLED", "0.030")]
    await engine.hears_for(2 * LOOK_EVERY_S)
    assert len(trades(engine)) == parts
    engine.process.send(LEAVE)
    await engine.ended()


async def test_what_the_venue_refused_is_borne_out(zygote: ZygoteProcess, venue: Venue) -> None:
    await venue.control(
        "fault", on=f"POST {ORDER}", kind="reject", status=400, code=-2019, msg="Margin is insufficient."
    )
    engine = Engine(zygote, run_on(venue, quantity="0", resting="0.010"))
    rejected = await engine.until(lambda _: _of(engine, "OrderRejected"), 20.0)
    assert rejected["is_claim"] is True
    looked_up = await engine.until(lambda _: _of(engine, "OrderLookedUp"), 10.0)
    assert (looked_up["status"], looked_up["is_claim"]) == ("REJECTED", False)
    assert looked_up["client_order_id"] == rejected["client_order_id"]
    assert RunState.MISMATCH not in engine.phases()
    engine.process.send(LEAVE)
    await engine.ended()


async def test_an_order_that_was_said_to_be_cancelled_and_is_open_is_told_and_no_stop_calls_it_gone(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    for method, kind in (("DELETE", "hang"), ("GET", "reject")):
        await venue.control("fault", on=f"{method} {ORDER}", kind=kind, status=503)
    quick = {
        "inflight_check_interval_ms": 100,
        "inflight_check_threshold_ms": 200,
        "inflight_check_retries": 1,
    }
    engine = Engine(zygote, run_on(venue, quantity="0", resting="0.010", cancels=True, exec_engine=quick))
    cancelled = await engine.until(lambda _: _of(engine, "OrderCanceled"), 20.0)
    name = cancelled["client_order_id"]
    assert cancelled["is_claim"] is True
    mismatch = await engine.phase(RunState.MISMATCH, 10.0)
    assert f"order {name} of BTCUSDT-PERP.BINANCE is open at the venue" in mismatch.detail
    assert _looked_up(engine, name) == [("ACCEPTED", "0.000")]
    engine.process.send(Stop(StopPolicy.CANCEL, 10.0))
    ended = await engine.ended()
    assert any(f"order {name} of" in each and "open at the venue" in each for each in ended.not_confirmed)
    assert ended.stop is not None
    assert ended.stop.orders_cancelled == 0
    order = await until(lambda: venue.order(name), "the order")
    assert order["status"] == "NEW"


def _of(engine: Engine, name: str) -> dict[str, Any] | None:
    """The first event of that name."""
    return next((each for each in engine.process.events(EventKind.ORDER) if each["event"] == name), None)


def _ends(engine: Engine, order: str) -> list[tuple[Any, ...]]:
    ends = ("OrderRejected", "OrderCanceled", "OrderExpired")
    return [
        (each["event"], each["status"], each["filled_qty"], each["is_claim"])
        for each in engine.process.events(EventKind.ORDER)
        if each["client_order_id"] == order and each["event"] in ends
    ]


def _looked_up(engine: Engine, order: str) -> list[tuple[str, str]]:
    return [
        (each["status"], each["filled_qty"])
        for each in engine.process.events(EventKind.ORDER)
        if (each["client_order_id"], each["event"]) == (order, "OrderLookedUp")
    ]
