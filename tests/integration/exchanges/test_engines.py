"""Engines of ours on the exchange: what they load, what they trade, and what they do when it and they do not agree."""

import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flotilla.engine_sidecar.link.asking import AcceptDifference, Answer, Ask, Intervene
from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ZygoteProcess
from tests.integration.exchanges.engines import INSTRUMENT, KEYS, Engine, fills, fills_at, run_on, trades
from tests.integration.exchanges.running import Venue, exchange_here, until

FLATTEN = Stop(StopPolicy.FLATTEN, 10.0)
LEAVE = Stop(StopPolicy.LEAVE, 10.0)
UP = [RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING]


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as made:
        yield made


async def test_what_a_strategy_names_is_loaded_and_traded_and_the_ledger_has_every_trade(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("conduct", parts=3)
    engine = Engine(zygote, run_on(venue))
    await engine.phase(RunState.TRADING)
    await engine.net("0.030")
    engine.process.send(FLATTEN)
    ended = await engine.ended()
    assert (ended.reason, ended.not_confirmed) == (None, ())
    assert ended.stop is not None
    assert ended.stop.is_flat
    assert len(fills(engine)) >= 4
    assert fills(engine) == await fills_at(venue)
    assert (await venue.account())["positions"] == []
    assert engine.phases() == [*UP, RunState.STOPPING]
    assert engine.alerts() == []


async def test_trades_that_a_private_stream_never_told_are_on_record_one_by_one(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    """NautilusTrader's checks of orders would make one fill of them, with an id of its own."""
    quick = {
        "inflight_check_interval_ms": 100,
        "inflight_check_threshold_ms": 200,
        "open_check_interval_secs": 0.5,
        "open_check_threshold_ms": 200,
    }
    await venue.control("conduct", parts=3)
    await venue.control("stream", mute=True)
    engine = Engine(zygote, run_on(venue, resting="0.010", exec_engine=quick))
    await engine.net("0.030")

    async def rests() -> str | None:
        orders = (await venue.account())["orders"]
        return next((each["clientOrderId"] for each in orders if each["status"] == "NEW"), None)

    order = await until(rests, "an order that rests")
    for _ in range(2):
        await venue.control("fill", client_id=order, qty="0.004")
    await engine.net("0.038")
    assert fills(engine) == await fills_at(venue)
    assert len(fills(engine)) == 5
    engine.process.send(LEAVE)
    await engine.ended()


@pytest.mark.parametrize(
    ("instrument", "told"),
    [
        (
            "BTCUSD-PERP.BINANCE",
            "BINANCE has no instrument BTCUSD-PERP.BINANCE; the nearest are BTCUSDT-PERP.BINANCE, ETHUSDT-PERP.BINANCE",
        ),
        (
            "BTCUSDT-LINEAR.BYBIT",
            "plan.strategies: Buyer-001 names BTCUSDT-LINEAR.BYBIT, and the venues of this engine are BINANCE",
        ),
    ],
)
async def test_an_instrument_that_is_not_there_ends_the_start_with_the_nearest_names(
    zygote: ZygoteProcess, venue: Venue, instrument: str, told: str
) -> None:
    ended = await Engine(zygote, run_on(venue, instrument=instrument)).ended()
    assert (ended.reason, ended.detail) == (FailureReason.CONFIG, told)


async def test_a_wrong_key_is_told_and_ends_the_start_at_once(zygote: ZygoteProcess, venue: Venue) -> None:
    engine = Engine(zygote, run_on(venue, keys=KEYS | {"api_key": "somebody-else"}))
    ended = await engine.ended()
    assert ended.reason is FailureReason.VENUE
    assert "Invalid API-key" in ended.detail, ended
    assert "somebody-else" not in str(engine.process.heard)


async def test_a_venue_that_is_away_is_told_and_ends_the_start_at_once(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("down")
    ended = await Engine(zygote, run_on(venue)).ended()
    assert ended.reason is FailureReason.VENUE
    assert "did not connect: Binance" in ended.detail, ended
    assert "signature" not in ended.detail


async def test_a_position_that_somebody_else_made_waits_for_a_person(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("hand_position", symbol="ETHUSDT", qty="0.5", price="2000")
    engine = Engine(zygote, run_on(venue))
    said = await engine.phase(RunState.MISMATCH)
    assert said.detail == "BINANCE: position of ETHUSDT-PERP.BINANCE is 0.5 at the venue, 0 in the engine"
    await engine.hears_for(2.0)
    by_hand = [each["clientOrderId"] for each in (await venue.account())["orders"]]
    assert [each[:4] for each in by_hand] == ["web_"], "no strategy has started"
    engine.process.send(Ask(1, AcceptDifference()))
    await engine.phase(RunState.TRADING)
    await engine.net("0.030")
    assert "ETHUSDT-PERP.BINANCE" in next(
        each.message for each in engine.process.heard if isinstance(each, Answer)
    )
    assert engine.alerts() == ["mismatch", "agreed"]
    engine.process.send(FLATTEN)
    ended = await engine.ended()
    # It was accepted, and it is there.
    left = "BINANCE: position of ETHUSDT-PERP.BINANCE is 0.5 at the venue, 0 in the engine"
    assert (ended.not_confirmed, ended.stop and ended.stop.is_flat) == ((left,), False)
    assert [each["symbol"] for each in (await venue.account())["positions"]] == ["ETHUSDT"]


async def test_a_position_that_no_own_order_explains_waits_for_a_person_who_has_it_closed(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("hand_position", symbol="BTCUSDT", qty="0.020", price="50000")
    engine = Engine(zygote, run_on(venue, quantity="0"))
    said = await engine.phase(RunState.MISMATCH)
    assert said.detail == (
        f"BINANCE: position of {INSTRUMENT} is 0.020, and by the engine's own orders it would be 0.000"
    )
    engine.process.send(Ask(1, Intervene(StopPolicy.FLATTEN, 10.0)))
    await engine.phase(RunState.TRADING)
    assert (await venue.account())["positions"] == []
    engine.process.send(FLATTEN)
    assert (await engine.ended()).not_confirmed == ()


@pytest.mark.parametrize(
    ("symbol", "told"),
    [
        ("ETHUSDT", "ETHUSDT-PERP.BINANCE is -1 at the venue, 0 in the engine"),
        ("BTCUSDT", f"{INSTRUMENT} is -0.970, and by the engine's own orders it would be 0.030"),
    ],
)
async def test_what_others_do_at_the_venue_while_the_engine_trades_is_told_and_when_it_is_over(
    zygote: ZygoteProcess, venue: Venue, symbol: str, told: str
) -> None:
    engine = Engine(zygote, run_on(venue))
    await engine.net("0.030")
    await venue.control("hand_position", symbol=symbol, qty="-1", price="2000")
    said = await engine.phase(RunState.MISMATCH, 15.0 if symbol == "BTCUSDT" else 80.0)
    assert told in said.detail
    await venue.control("hand_position", symbol=symbol, qty="1", price="2000")
    await engine.phase(RunState.TRADING, 15.0)
    engine.process.send(FLATTEN)
    assert (await engine.ended()).not_confirmed == ()


@pytest.mark.parametrize("path", ["/fapi/v1/openOrders", "/fapi/v1/userTrades"])
async def test_a_report_that_fails_is_asked_for_again_and_no_engine_starts_blind(
    zygote: ZygoteProcess, venue: Venue, path: str
) -> None:
    first = Engine(zygote, run_on(venue, resting="0.010"))
    await first.net("0.030")
    first.process.send(LEAVE)
    await first.ended()
    await venue.control("fault", on=path, kind="reject", status=503, code=-1000, msg="no", times=2)
    engine = Engine(zygote, run_on(venue))
    said = await engine.phase(RunState.MISMATCH)
    assert f"position of {INSTRUMENT} is 0.030" in said.detail
    engine.process.send(LEAVE)
    await engine.ended()
    await venue.control("fault", on=path, kind="reject", status=503, code=-1000, msg="no")
    blind = Engine(zygote, run_on(venue))
    ended = await blind.ended()
    assert ended.reason is FailureReason.VENUE, ended
    assert RunState.TRADING not in blind.phases()


async def test_what_happened_while_a_killed_engine_was_down_is_adopted_where_its_own_orders_explain_it(
    zygote: ZygoteProcess, venue: Venue, cache: CacheAccess
) -> None:
    first = Engine(zygote, run_on(venue, cache=cache, resting="0.010"))
    await first.net("0.030")
    order = await until(lambda: _resting(venue), "the order that rests")
    await first.hears_for(1.0)
    os.kill(first.process.pid, signal.SIGKILL)
    await venue.control("fill", client_id=order["clientOrderId"], qty="0.004")
    again = Engine(zygote, run_on(venue, cache=cache, session="session-2"))
    await again.phase(RunState.TRADING)
    await again.net("0.034")
    assert RunState.MISMATCH not in again.phases()
    told = again.process.events(EventKind.FILL)
    assert [(each["last_qty"], each["is_restored"]) for each in told] == [("0.030", True), ("0.004", False)]
    assert told[-1]["client_order_id"] == order["clientOrderId"]
    assert len((await venue.account())["orders"]) == 2, "nothing was sent twice"
    os.kill(again.process.pid, signal.SIGKILL)
    await venue.control("hand_position", symbol="BTCUSDT", qty="0.005", price="50000")
    third = Engine(zygote, run_on(venue, cache=cache, session="session-3"))
    said = await third.phase(RunState.MISMATCH)
    assert said.detail == (
        f"BINANCE: position of {INSTRUMENT} is 0.039, and by the engine's own orders it would be 0.034"
    )
    third.process.send(FLATTEN)
    ended = await third.ended()
    assert RunState.TRADING not in third.phases()
    assert not any("Buyer" in line and "RUNNING" in line for line in third.process.log)
    assert ended.not_confirmed == ()
    account = await venue.account()
    assert (account["positions"], await _resting(venue)) == ([], None)


async def _resting(venue: Venue) -> dict[str, Any] | None:
    orders = (await venue.account())["orders"]
    return next((each for each in orders if each["status"] in ("NEW", "PARTIALLY_FILLED")), None)


async def test_of_an_account_of_many_trades_an_engine_that_starts_anew_has_each(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    await venue.control("conduct", parts=600)
    for _ in range(2):
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.600"}
        await venue.control("place", order=order)
    there = await venue.trades()
    assert len(there) == 1_200
    engine = Engine(zygote, run_on(venue))
    await engine.phase(RunState.MISMATCH)
    assert trades(engine) == there
    engine.process.send(LEAVE)
    await engine.ended()
