"""What may be said of loss limits and trading hours, when a trading day begins, and when a schedule changes."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultError
from flotilla.schemas.local_times import trading_day
from flotilla.schemas.loss_limits import LossesView, LossMeasure, Mark, resumed
from flotilla.schemas.trading_hours import TradingHours, hours_at
from tests.unit.schemas.losses import kept, limits, trip

NEW_YORK = ZoneInfo("America/New_York")
DAY = {"measure": "day", "at": "500", "action": "flatten"}
WINDOW = {"days": ["mon"], "opens": "09:30", "closes": "16:00"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"loss_limits": {"limits": [DAY]}}, "config.loss_limits.currency"),
        ({"loss_limits": {"currency": "usd", "limits": [DAY]}}, "config.loss_limits.currency"),
        ({"loss_limits": {"currency": "USD", "limits": []}}, "config.loss_limits.limits"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY, DAY]}}, "config.loss_limits.limits"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY], "timezone": "Mars"}}, "config.loss_limits.timezone"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY], "rollover": "24:00"}}, "config.loss_limits.rollover"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY | {"at": 500}]}}, "config.loss_limits.limits[0].at"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY | {"at": "0"}]}}, "config.loss_limits.limits[0].at"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY | {"at": "-5%"}]}}, "config.loss_limits.limits[0].at"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY | {"at": "101%"}]}}, "config.loss_limits.limits[0].at"),
        ({"loss_limits": {"currency": "USD", "limits": [DAY | {"action": "sell"}]}}, "config.loss_limits.limits[0].action"),
        (
            {"loss_limits": {"currency": "USD", "limits": [DAY | {"measure": "drawdown", "until": "next_day"}]}},
            "config.loss_limits.limits[0].until",
        ),
        ({"trading_hours": {"windows": []}}, "config.trading_hours.windows"),
        ({"trading_hours": {"windows": [WINDOW | {"days": ["monday"]}]}}, "config.trading_hours.windows[0].days[0]"),
        ({"trading_hours": {"windows": [WINDOW | {"opens": "9:30"}]}}, "config.trading_hours.windows[0].opens"),
        ({"trading_hours": {"windows": [WINDOW], "timezone": "../UTC"}}, "config.trading_hours.timezone"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_its_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(FaultError) as refused:
        convert(given, EngineConfig, "config")
    assert [each.field for each in refused.value.fault.errors] == [field]


@pytest.mark.parametrize(
    ("local", "rollover", "day"),
    [
        ("2026-03-06T16:59:59", "17:00", date(2026, 3, 5)),
        ("2026-03-06T17:00:00", "17:00", date(2026, 3, 6)),
        ("2026-01-01T00:00:00", "00:00", date(2026, 1, 1)),
        # Clocks go forward on 8 March 2026: 02:30 does not exist, and the day begins an hour after 01:30.
        ("2026-03-08T01:59:59", "02:30", date(2026, 3, 7)),
        ("2026-03-08T03:29:59", "02:30", date(2026, 3, 7)),
        ("2026-03-08T03:30:00", "02:30", date(2026, 3, 8)),
        # Clocks go back on 1 November 2026: 01:30 comes twice, and the day begins at the first.
        ("2026-11-01T01:29:59", "01:30", date(2026, 10, 31)),
        ("2026-11-01T01:30:00", "01:30", date(2026, 11, 1)),
    ],
)
def test_a_trading_day_begins_at_the_rollover_of_its_zone(local: str, rollover: str, day: date) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=NEW_YORK)
    assert trading_day(at.astimezone(UTC), "America/New_York", rollover) == day


@pytest.mark.parametrize("rollover", ["00:00", "01:30", "02:30", "17:00"])
@pytest.mark.parametrize("around", [datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)])
def test_no_day_begins_twice_when_clocks_change(rollover: str, around: datetime) -> None:
    moments = [around + timedelta(minutes=10 * step) for step in range(-200, 200)]
    days = [trading_day(at, "America/New_York", rollover) for at in moments]
    assert days == sorted(days)
    assert len(set(days)) == (days[-1] - days[0]).days + 1


def schedule(*windows: tuple[str, str, str], timezone: str = "America/New_York") -> TradingHours:
    made = [{"days": days.split(), "opens": opens, "closes": closes} for days, opens, closes in windows]
    return msgspec.convert({"windows": made, "timezone": timezone}, TradingHours)


WEEK = "mon tue wed thu fri"
STOCKS = schedule((WEEK, "09:30", "16:00"))
FUTURES = schedule(("sun mon tue wed thu", "18:00", "17:00"))


@pytest.mark.parametrize(
    ("hours", "local", "is_open", "until"),
    [
        (STOCKS, "2026-11-30T09:29:59", False, "2026-11-30T09:30:00"),
        (STOCKS, "2026-11-30T09:30:00", True, "2026-11-30T16:00:00"),
        (STOCKS, "2026-11-30T16:00:00", False, "2026-12-01T09:30:00"),
        (STOCKS, "2026-11-27T16:00:01", False, "2026-11-30T09:30:00"),
        # Over a change of clocks the opening is at the local time that is said.
        (STOCKS, "2026-03-06T20:00:00", False, "2026-03-09T09:30:00"),
        # A window that closes on the next day, and the break between two.
        (FUTURES, "2026-11-30T03:00:00", True, "2026-11-30T17:00:00"),
        (FUTURES, "2026-11-30T17:30:00", False, "2026-11-30T18:00:00"),
        (FUTURES, "2026-11-28T12:00:00", False, "2026-11-29T18:00:00"),
        # Windows that meet are one.
        (schedule((WEEK, "09:30", "12:00"), (WEEK, "12:00", "16:00")), "2026-11-30T10:00:00", True, "2026-11-30T16:00:00"),
        (schedule((f"{WEEK} sat sun", "00:00", "00:00")), "2026-11-30T10:00:00", True, None),
    ],
)  # fmt: skip
def test_a_schedule_says_what_is_open_and_when_that_changes(
    hours: TradingHours, local: str, is_open: bool, until: str | None
) -> None:
    found = hours_at(hours, datetime.fromisoformat(local).replace(tzinfo=NEW_YORK).astimezone(UTC))
    assert found.is_open is is_open
    assert (found.until and found.until.replace(tzinfo=None).isoformat()) == until


def test_what_was_lost_is_unknown_until_there_is_a_mark_and_is_no_zero() -> None:
    view = LossesView(limits=limits(), kept=kept("1000"), last=None)
    assert view.lost(LossMeasure.DAY) is None
    known = msgspec.structs.replace(view, last=Mark(Decimal(940), datetime(2026, 1, 5, tzinfo=UTC)))
    assert known.lost(LossMeasure.DAY) == 60
    assert msgspec.structs.replace(known, kept=kept(None)).lost(LossMeasure.DAY) is None


def test_who_resumes_has_only_that_counted_anew_which_a_limit_was_reached_by() -> None:
    before = kept("1000", peak="1200", tripped=(trip("day", "100", "flatten"),))
    after = resumed(before)
    assert (after.counted_from, after.peak, after.tripped) == (None, before.peak, ())
    both = kept("1000", peak="1200", tripped=(trip("drawdown", "10%", "reduce"),))
    assert (resumed(both).counted_from, resumed(both).peak) == (both.counted_from, None)
    untouched = kept("1000", peak="1200")
    assert resumed(untouched) == untouched
