"""Engines of ours on the OKX and the Interactive Brokers exchange: trades are the ledger's, and restarts and gaps lose none."""

import dataclasses
import os
import signal
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from flotilla.engine_sidecar.engine.venues.gate import LOOK_EVERY_S
from flotilla.engine_sidecar.link.asking import AcceptDifference, Ask, Intervene
from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from tests.engine_processes import ZygoteProcess
from tests.integration.exchanges.desks import Desk, Ib, Okx, desk
from tests.integration.exchanges.engines import Engine, run_at, trades
from tests.integration.exchanges.ib_running import gateway_here
from tests.integration.exchanges.okx_running import OkxVenue
from tests.integration.exchanges.okx_running import exchange_here as okx_here
from tests.integration.exchanges.running import until

FLATTEN = Stop(StopPolicy.FLATTEN, 10.0)
LEAVE = Stop(StopPolicy.LEAVE, 10.0)
UP = [RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING]


@pytest.fixture(params=["OKX", "IB"])
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with desk(request.param) as made:
        yield made


async def flat(engine: Engine, at: Desk) -> None:
    """Has it flatten and stop, confirmed by the venue."""
    engine.process.send(FLATTEN)
    ended = await engine.ended()
    assert (ended.reason, ended.not_confirmed) == (None, ())
    assert ended.stop is not None
    assert ended.stop.is_flat
    assert (await at.held(), await at.resting()) == (0, None)


async def test_what_a_strategy_names_is_traded_and_a_restart_that_knows_nothing_waits_for_a_person(
    zygote: ZygoteProcess, at: Desk
) -> None:
    await at.in_parts(3)
    first = Engine(zygote, run_at(at.reached(), quantity="30"))
    await first.phase(RunState.TRADING)
    await first.holds(30)
    first.process.send(LEAVE)
    await first.ended()
    assert len(trades(first)) >= 3
    assert trades(first) == await at.trades()
    assert first.phases() == [*UP, RunState.STOPPING]
    assert first.alerts() == []

    cold = Engine(zygote, run_at(at.reached(), quantity="30"))
    said = await cold.phase(RunState.MISMATCH)
    assert f"{at.name}: position of {at.instrument} is 30" in said.detail
    assert "by the engine's own orders it would be 0" in said.detail
    cold.process.send(Ask(1, AcceptDifference()))
    await cold.phase(RunState.TRADING)
    await cold.holds(30)
    await flat(cold, at)
    assert (await at.trades())[-1] in trades(cold)


async def test_a_position_made_by_hand_waits_for_a_person_who_has_it_closed(
    zygote: ZygoteProcess, at: Desk
) -> None:
    await at.hand("20")
    engine = Engine(zygote, run_at(at.reached(), quantity="0"))
    said = await engine.phase(RunState.MISMATCH)
    assert f"{at.name}: position of {at.instrument} is 20" in said.detail
    engine.process.send(Ask(1, Intervene(StopPolicy.FLATTEN, 10.0)))
    await engine.phase(RunState.TRADING)
    assert await at.held() == 0
    await flat(engine, at)


async def test_credentials_that_the_venue_does_not_know_end_the_start(
    zygote: ZygoteProcess, at: Desk
) -> None:
    engine = Engine(zygote, run_at(at.reached(is_known=False)))
    ended = await engine.ended()
    assert ended.reason is FailureReason.VENUE
    assert at.wrong in ended.detail, ended
    assert "somebody-else" not in str(engine.process.heard)


async def test_an_engine_killed_between_fills_has_all_of_them_after_its_restart(
    zygote: ZygoteProcess, at: Desk, cache: CacheAccess
) -> None:
    first = Engine(zygote, run_at(at.reached(), cache=cache, quantity="30", resting="10"))
    await first.holds(30)
    order = await until(at.resting, "the order that rests")
    await at.fill(order, "4")
    await first.holds(34)
    await first.hears_for(1.0)
    os.kill(first.process.pid, signal.SIGKILL)
    await at.fill(order, "2")
    second = Engine(zygote, run_at(at.reached(), cache=cache, session="session-2"))
    await second.phase(RunState.TRADING)
    await second.holds(36)
    await at.fill(order, "2")
    await second.holds(38)
    await second.hears_for(1.0)
    os.kill(second.process.pid, signal.SIGKILL)
    await at.fill(order, "2")
    third = Engine(zygote, run_at(at.reached(), cache=cache, session="session-3"))
    await third.phase(RunState.TRADING)
    await third.holds(40)
    # A session of a kept state begins with fills of the last minute before.
    assert sorted({*trades(first), *trades(second), *trades(third)}) == await at.trades()
    assert await at.orders() == 2, "nothing was sent twice"
    assert RunState.MISMATCH not in second.phases() + third.phases()
    await third.hears_for(1.0)
    os.kill(third.process.pid, signal.SIGKILL)
    await at.hand("5")
    fourth = Engine(zygote, run_at(at.reached(), cache=cache, session="session-4"))
    said = await fourth.phase(RunState.MISMATCH)
    assert f"position of {at.instrument} is 45" in said.detail
    assert "by the engine's own orders it would be 40" in said.detail
    await flat(fourth, at)


async def test_what_filled_while_the_engine_was_not_connected_is_found_with_its_own_id_and_fee(
    zygote: ZygoteProcess, at: Desk
) -> None:
    engine = Engine(zygote, run_at(at.reached(), quantity="30", resting="10"))
    await engine.holds(30)
    order = await until(at.resting, "the order that rests")
    async with at.away():
        await at.fill(order, "4")
    await engine.holds(34)
    assert trades(engine) == await at.trades()
    await engine.hears_for(1.0)
    assert RunState.MISMATCH not in engine.phases()
    await flat(engine, at)


async def test_the_fee_of_a_fill_in_a_gap_is_charged_once_where_the_next_fill_on_okx_comes_before_it_is_found(
    zygote: ZygoteProcess,
) -> None:
    async with okx_here() as venue:
        at = Okx(venue)
        engine = Engine(zygote, run_at(at.reached(), quantity="30", resting="10"))
        await engine.holds(30)
        order = await until(at.resting, "the order that rests")
        async with at.away():
            await at.fill(order, "4")
        await at.fill(order, "2")
        await engine.holds(36)
        await at.fill(order, "2")
        await engine.holds(38)
        here, there = trades(engine), await at.trades()
        assert [each[:3] for each in here] == [each[:3] for each in there]
        assert sum(each[3] for each in here) == sum(each[3] for each in there)
        # The fill that was heard first has the fee of both.
        assert [each[3] for each in here].count(Decimal()) == 1
        await flat(engine, at)


async def test_a_stop_on_okx_outlasts_a_restart_and_closing_orders_are_reduce_only_at_the_venue(
    zygote: ZygoteProcess, cache: CacheAccess
) -> None:
    async with okx_here() as venue:
        at = Okx(venue)
        first = Engine(zygote, run_at(at.reached(), cache=cache, quantity="30", stop="30"))
        await first.holds(30)
        await until(lambda: _stops(venue), "the stop")
        await first.hears_for(2 * LOOK_EVERY_S)
        os.kill(first.process.pid, signal.SIGKILL)
        again = Engine(zygote, run_at(at.reached(), cache=cache, session="session-2"))
        await again.phase(RunState.TRADING)
        assert RunState.MISMATCH not in first.phases() + again.phases()
        await flat(again, at)
        assert await _stops(venue) == []
        assert [each["reduceOnly"] for each in (await venue.account())["orders"]] == ["false", "true"]


async def _stops(venue: OkxVenue) -> list[str]:
    orders = (await venue.account())["algo_orders"]
    return [each["algoClOrdId"] for each in orders if each["state"] == "live"]


@pytest.mark.parametrize(
    ("instrument", "told"),
    [
        ("APPL.NASDAQ", "IB has no instrument APPL.NASDAQ; the nearest are AAPL.NASDAQ"),
        ("QQQQQQ.NASDAQ", "IB has no instrument QQQQQQ.NASDAQ"),
    ],
)
async def test_what_interactive_brokers_does_not_have_ends_the_start_as_soon_as_it_says_so(
    zygote: ZygoteProcess, instrument: str, told: str
) -> None:
    """The adapter would wait for a minute."""
    async with desk("IB") as at:
        began = time.monotonic()
        reached = dataclasses.replace(at.reached(), instrument=instrument)
        ended = await Engine(zygote, run_at(reached)).ended()
        assert (ended.reason, ended.detail) == (FailureReason.CONFIG, told)
        assert time.monotonic() - began < 20


async def test_an_instrument_that_interactive_brokers_does_not_tell_of_is_not_said_to_be_unknown(
    zygote: ZygoteProcess,
) -> None:
    async with gateway_here() as gateway:
        await gateway.control("fault", on="reqContractDetails", kind="hang", times=20)
        reached = Ib(gateway).reached()
        reached = dataclasses.replace(reached, data=reached.data | {"request_timeout_secs": 2})
        ended = await Engine(zygote, run_at(reached)).ended()
        assert ended.reason is FailureReason.VENUE
        assert "has no instrument" not in ended.detail, ended


@pytest.mark.parametrize(
    ("verb", "body", "reason", "told"),
    [
        (
            "permission",
            {"can_trade": False},
            FailureReason.CONFIG,
            "the secret of venue OKX: its key has no permission to trade",
        ),
        (
            "status",
            {"instrument": "BTC-USDT-SWAP", "status": "suspend"},
            FailureReason.VENUE,
            "instrument BTC-USDT-SWAP.OKX does not trade: the venue says suspend",
        ),
    ],
)
async def test_what_only_okx_knows_ends_the_start_before_anything_trades(
    zygote: ZygoteProcess, verb: str, body: dict[str, Any], reason: FailureReason, told: str
) -> None:
    async with okx_here() as venue:
        await venue.control(verb, **body)
        engine = Engine(zygote, run_at(Okx(venue).reached()))
        ended = await engine.ended()
        assert (ended.reason, ended.detail) == (reason, told)
        assert (await venue.account())["orders"] == []
    assert RunState.TRADING not in engine.phases()


async def test_where_okx_does_not_say_whether_a_key_may_trade_the_start_goes_on_and_the_log_says_so(
    zygote: ZygoteProcess,
) -> None:
    async with okx_here() as venue:
        await venue.control("fault", on="/api/v5/account/config", kind="reject", code=50026, msg="no")
        engine = Engine(zygote, run_at(Okx(venue).reached(), quantity="0"))
        await engine.phase(RunState.TRADING)
        assert any("does not say whether its key may trade" in line for line in engine.process.log)
        engine.process.send(LEAVE)
        await engine.ended()
