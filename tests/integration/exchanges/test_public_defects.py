"""Public defects of NautilusTrader's reconciliation, their situations rebuilt on the exchange: what engines of ours make of each.

The numbers are of https://github.com/nautechsystems/nautilus_trader/issues; `docs/venues.md` has the table. That of the doubled position is
in `test_reconnects.py` and, on the stock adapter, in `test_repairs.py`.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import pytest

from flotilla.engine_sidecar.link.asking import AcceptDifference, Answer, Ask, Intervene
from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ZygoteProcess
from tests.integration.exchanges.engines import INSTRUMENT, Engine, run_on
from tests.integration.exchanges.running import Venue, exchange_here

FLATTEN: Final = Stop(StopPolicy.FLATTEN, 10.0)
OLD: Final = 30
"""Days: Binance tells of seven."""


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as made:
        yield made


@pytest.mark.parametrize("age_days", [0, OLD])
async def test_3054_a_position_that_was_closed_elsewhere_waits_for_a_person_and_flatten_nets_contrary_ones(
    zygote: ZygoteProcess, venue: Venue, cache: CacheAccess, age_days: int
) -> None:
    """Caught: a mismatch. What the venue tells no more of NautilusTrader explains by a second, contrary position, as in the report."""
    await _killed(zygote, venue, cache)
    await _by_hand(venue, "-0.030", age_days)
    engine = Engine(zygote, run_on(venue, cache=cache, session="session-2"))
    told = await engine.phase(RunState.MISMATCH)
    assert told.detail == (
        f"BINANCE: position of {INSTRUMENT} is 0, and by the engine's own orders it would be 0.03"
    )
    engine.process.send(Ask(1, AcceptDifference()))
    await engine.phase(RunState.TRADING)
    await engine.net("0.030")  # The strategy has bought again.
    contrary = [each["signed_qty"] for each in engine.positions() if each["event"] != "PositionRestored"]
    assert contrary == (["0.000", "0.030"] if age_days == 0 else ["-0.030", "0.060"])
    await _ends_flat_by_one_order(engine, venue)


async def test_3104_a_position_older_than_the_lookback_waits_for_a_person(
    zygote: ZygoteProcess, venue: Venue, cache: CacheAccess
) -> None:
    """Caught: a mismatch, with the venue's quantity, where the report has an engine that does not start and does not say more."""
    await _by_hand(venue, "-0.095", OLD)
    await venue.control("place", order=_order("MARKET", quantity="0.030"))
    engine = Engine(zygote, run_on(venue, cache=cache))
    told = await engine.phase(RunState.MISMATCH)
    assert f"position of {INSTRUMENT} is -0.065" in told.detail
    assert sum(Decimal(each["signed_qty"]) for each in engine.positions()) == Decimal("-0.065")
    await _ends_flat_by_one_order(engine, venue)


async def test_3176_4736_restarts_with_a_cache_send_nothing_again_and_keep_the_position(
    zygote: ZygoteProcess, venue: Venue, cache: CacheAccess
) -> None:
    """Absent: neither orders that come twice (#3176) nor a position that is flattened in the cache (#4736), though it was flat between."""
    first = Engine(zygote, run_on(venue, cache=cache))
    await first.net("0.030")
    first.process.send(FLATTEN)
    await first.ended()
    await _killed(zygote, venue, cache, resting="0.010")
    before = (await venue.account())["orders"]
    for number in range(2):
        engine = Engine(zygote, run_on(venue, cache=cache, session=f"session-{number + 3}"))
        await engine.phase(RunState.TRADING)
        await engine.net("0.030")
        await engine.hears_for(1.0)
        resting = [each["clientOrderId"] for each in before if each["status"] == "NEW"]
        told = engine.process.events(EventKind.ORDER)
        assert [(each["event"], each["client_order_id"]) for each in told] == [("OrderRestored", *resting)]
        assert [each["signed_qty"] for each in engine.positions()] == ["0.030"]
        assert engine.process.metrics()[-1].orders_total == len(before)
        await _kill(engine)
    assert (await venue.account())["orders"] == before


async def test_4619_a_repair_that_was_not_made_and_is_called_a_success_starts_no_strategy(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    """Caught: a mismatch. NautilusTrader reconciles with True and has no position."""
    await _by_hand(venue, "-0.095", OLD)
    engine = Engine(zygote, run_on(venue, exec_engine={"generate_missing_orders": False}))
    told = await engine.phase(RunState.MISMATCH)
    assert told.detail == f"BINANCE: position of {INSTRUMENT} is -0.095 at the venue, 0 in the engine"
    assert RunState.TRADING not in engine.phases()
    assert engine.positions() == []
    await _kill(engine)


async def test_5000_5057_an_order_of_before_is_named_though_the_fills_do_not_add_up_and_can_be_cancelled(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    """Absent: a working order that is dropped (#5000), or that nobody can cancel after a restart (#5057). It is a mismatch besides."""
    await _by_hand(venue, "-0.095", OLD)
    await venue.control("place", order=_order("MARKET", quantity="0.030"))
    limit = _order("LIMIT", quantity="0.020", price="30000", timeInForce="GTC")
    order = await venue.control("place", order=limit)
    name = order["clientOrderId"]
    engine = Engine(zygote, run_on(venue, external_order_claims=[]))
    told = await engine.phase(RunState.MISMATCH)
    while f"order {name} of {INSTRUMENT} is open at the venue" not in told.detail:
        told = await engine.phase(RunState.MISMATCH)
    assert f"position of {INSTRUMENT} is -0.065" in told.detail
    engine.process.send(Ask(1, Intervene(StopPolicy.CANCEL, 10.0)))
    answer = await engine.until(lambda said: said if isinstance(said, Answer) else None)
    assert (answer.fault, answer.not_confirmed, answer.orders_cancelled) == (None, (), 1)
    assert ((await venue.order(name)) or {})["status"] == "CANCELED"
    await _kill(engine)


async def _killed(zygote: ZygoteProcess, venue: Venue, cache: CacheAccess, **buyer: str) -> None:
    """An engine buys 0.030, and is killed once its cache has that."""
    engine = Engine(zygote, run_on(venue, cache=cache, **buyer))
    await engine.net("0.030")
    await engine.hears_for(1.0)
    await _kill(engine)


async def _kill(engine: Engine) -> None:
    os.kill(engine.process.pid, signal.SIGKILL)
    await asyncio.to_thread(engine.process.until_exited)


async def _by_hand(venue: Venue, qty: str, age_days: int) -> None:
    await venue.control("hand_position", symbol="BTCUSDT", qty=qty, price="50000", age_days=age_days)


def _order(kind: str, **more: str) -> dict[str, str]:
    return {"symbol": "BTCUSDT", "side": "BUY", "type": kind, **more}


async def _ends_flat_by_one_order(engine: Engine, venue: Venue) -> None:
    """Flattens: one order that the venue takes, whatever positions the engine has."""
    asked = len(await venue.control("requests"))
    engine.process.send(FLATTEN)
    ended = await engine.ended()
    assert (ended.not_confirmed, ended.stop and ended.stop.is_flat) == ((), True)
    sent: list[Any] = await venue.control("requests", since=asked)
    answers = [
        each["status"] for each in sent if (each["method"], each["path"]) == ("POST", "/fapi/v1/order")
    ]
    assert answers == [200]
    assert [each for each in (await venue.account())["positions"] if Decimal(each["amount"])] == []
