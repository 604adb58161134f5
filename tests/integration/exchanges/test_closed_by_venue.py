"""Positions that the venue itself closes: their fills are on record with the venue's own ids and fees."""

from collections.abc import AsyncIterator

import pytest

from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.states import RunState, StopPolicy
from tests.engine_processes import ZygoteProcess
from tests.integration.exchanges.engines import INSTRUMENT, Engine, run_on, trades
from tests.integration.exchanges.running import Venue, exchange_here


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as made:
        yield made


CLAIMED = [INSTRUMENT]


@pytest.mark.parametrize(
    ("verb", "body", "named", "parts", "claims"),
    [
        ("liquidate", {}, "autoclose-", 1, CLAIMED),
        ("liquidate", {}, "autoclose-", 3, []),
        ("delist", {"symbol": "BTCUSDT"}, "settlement_autoclose-", 1, []),
        ("delist", {"symbol": "BTCUSDT"}, "settlement_autoclose-", 3, CLAIMED),
    ],
)
async def test_what_the_venue_closes_is_on_record_with_the_ids_of_its_trades(
    zygote: ZygoteProcess,
    venue: Venue,
    verb: str,
    body: dict[str, str],
    named: str,
    parts: int,
    claims: list[str],
) -> None:
    engine = Engine(zygote, run_on(venue, external_order_claims=claims))
    await engine.net("0.030")
    await venue.control("conduct", parts=parts)
    await venue.control(verb, **body)
    await engine.net("")
    there = await venue.trades()
    assert [each[4].startswith(named) for each in there] == [False] + parts * [True]
    assert trades(engine) == there
    said = await engine.phase(RunState.MISMATCH)
    assert "is 0, and by the engine's own orders it would be 0.03" in said.detail
    engine.process.send(Stop(StopPolicy.LEAVE, 10.0))
    await engine.ended()
