"""All trades of an account that traded much, the newest above all, whether or not it is said since when."""

from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.engine.repairs.binance_trades import repair_binance_trades

FIRST_MS = 1_700_000_000_000
MOST = 10_000


class Venue:
    """Tells trades as Binance does: from a time on the oldest, else the newest, 1,000 at most. Three are of one millisecond."""

    def __init__(self, count: int) -> None:
        self.trades = [SimpleNamespace(id=number, time=FIRST_MS + number // 3) for number in range(count)]
        self.asked = 0

    async def query_user_trades(
        self,
        symbol: str,
        start_time: int | None = None,
        end_time: int | None = None,
        limit: int = 500,
        order_id: int | None = None,
    ) -> list[Any]:
        self.asked += 1
        found = [
            one
            for one in self.trades
            if (start_time is None or one.time >= start_time) and (end_time is None or one.time <= end_time)
        ]
        return found[:limit] if start_time is not None else found[-limit:]


def client_of(venue: Venue, *, reports: bool) -> Any:
    client = SimpleNamespace(_http_account=venue, reconciliation_active=reports)
    repair_binance_trades(client)
    return client


@pytest.mark.parametrize("count", [0, 3, 999, 1_000, 1_001, 5_000, 9_900])
@pytest.mark.parametrize("since", [None, FIRST_MS])
async def test_all_are_told_in_their_order(count: int, since: int | None) -> None:
    venue = Venue(count)
    client_of(venue, reports=True)
    found = await venue.query_user_trades("X", since)
    assert [one.id for one in found] == list(range(count))


@pytest.mark.parametrize("since", [None, FIRST_MS])
async def test_of_more_than_can_be_asked_for_the_newest_are_there(since: int | None) -> None:
    venue = Venue(2 * MOST)
    client_of(venue, reports=True)
    ids = [one.id for one in await venue.query_user_trades("X", since)]
    assert venue.asked == 10
    # Of each page but the first those of its last millisecond were known.
    assert ids == list(range(2 * MOST - len(ids), 2 * MOST))
    assert len(ids) > MOST - 30


async def test_nothing_from_before_the_time_is_told() -> None:
    venue = Venue(5_000)
    client_of(venue, reports=True)
    since = FIRST_MS + 1_000
    assert [one.id for one in await venue.query_user_trades("X", since)] == list(range(3_000, 5_000))
    assert venue.asked == 3


async def test_one_order_is_asked_about_in_one_page() -> None:
    venue = Venue(5_000)
    client_of(venue, reports=False)
    assert len(await venue.query_user_trades("X", order_id=7)) == 1_000
    assert len(await venue.query_user_trades("X")) == 1_000
    assert venue.asked == 2


async def test_those_since_a_moment_are_the_newest_too() -> None:
    venue = Venue(2_500)
    client_of(venue, reports=False)
    found = await venue.query_user_trades("X", FIRST_MS + 1)
    assert [found[0].time, found[-1].time] == [FIRST_MS + 1, FIRST_MS + 833]
