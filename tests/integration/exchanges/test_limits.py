"""What an engine on an exchange marks its equity at, what it does when its losses are cut, and what its trading hours let pass."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from flotilla.engine_sidecar.link.frames import CutLosses, Stop
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EngineMetrics, EventKind, MarkedEquity
from flotilla.schemas.trading_hours import TradingHours, TradingWindow, Weekday
from tests.engine_processes import ZygoteProcess, zygote_process
from tests.integration.exchanges.engines import Engine, run_on
from tests.integration.exchanges.running import Venue, exchange_here

LEAVE = Stop(StopPolicy.LEAVE, 10.0)


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as made:
        yield made


async def marked(engine: Engine, is_it: Decimal | None = None) -> MarkedEquity:
    """The next mark, or the next at this amount."""

    def look(_: object) -> MarkedEquity | None:
        found: list[EngineMetrics] = engine.process.metrics()
        mark = found[-1].equity if found else None
        return mark if mark is not None and (is_it is None or mark.amount == is_it) else None

    return await engine.until(look)


@pytest.mark.parametrize("chosen", ["USDT", ""])
async def test_equity_is_the_balance_and_what_is_open_at_the_side_that_closes_it(
    zygote: ZygoteProcess, venue: Venue, chosen: str
) -> None:
    """In the currency of the limits, else in the only one that the account has."""
    await venue.control("touch", symbol="BTCUSDT", bid="60000", ask="60001", size="10")
    run = msgspec.structs.replace(run_on(venue, resting="0.010"), equity_currency=chosen)
    engine = Engine(zygote, run)
    await engine.phase(RunState.TRADING)
    await engine.net("0.030")
    (bought,) = (await venue.account())["fills"]
    paid = Decimal(bought["price"]) * Decimal("0.030") + Decimal(bought["commission"])
    mark = await marked(engine, Decimal(100_000) - paid + 60_000 * Decimal("0.030"))
    assert (mark.currency, mark.unknown) == ("USDT", ())
    await venue.control("touch", symbol="BTCUSDT", bid="50000", ask="50001", size="10")
    await marked(engine, Decimal(100_000) - paid + 50_000 * Decimal("0.030"))

    engine.process.send(CutLosses(StopPolicy.CANCEL, 5.0))
    await engine.until(lambda _: "cancel_confirmed" in engine.alerts() or None)
    account = await venue.account()
    assert [each["status"] for each in account["orders"] if each["type"] == "LIMIT"] == ["CANCELED"]
    assert len(account["positions"]) == 1
    engine.process.send(CutLosses(StopPolicy.FLATTEN, 5.0))
    await engine.until(lambda _: "flatten_confirmed" in engine.alerts() or None)
    assert (await venue.account())["positions"] == []
    engine.process.send(LEAVE)
    assert (await engine.ended()).not_confirmed == ()


async def test_a_balance_without_a_rate_leaves_the_equity_unknown(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    engine = Engine(zygote, msgspec.structs.replace(run_on(venue), equity_currency="CHF"))
    await engine.phase(RunState.TRADING)
    await engine.net("0.030")
    mark = await marked(engine)
    assert mark.amount is None
    assert "no rate from USDT to CHF" in mark.unknown
    engine.process.send(Stop(StopPolicy.FLATTEN, 10.0))
    await engine.ended()


async def test_outside_of_its_hours_an_order_that_opens_is_denied(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    far = list(Weekday)[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    hours = TradingHours(windows=(TradingWindow(days=(far,), opens="09:00", closes="10:00"),))
    engine = Engine(zygote, msgspec.structs.replace(run_on(venue), trading_hours=hours))
    await engine.phase(RunState.TRADING)
    denied = await engine.until(
        lambda _: next(
            (each for each in engine.process.events(EventKind.ORDER) if each["event"] == "OrderDenied"), None
        )
    )
    assert "outside of trading hours" in denied["reason"]
    assert (await venue.account())["orders"] == []
    engine.process.send(LEAVE)
    assert (await engine.ended()).reason is None
