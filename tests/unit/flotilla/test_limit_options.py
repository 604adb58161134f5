"""Loss limits and trading hours on the command line: what options come to, what is refused, and how people see them."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec
import pytest

from flotilla.cli.engine_options import engine_config
from flotilla.cli.limit_options import limit_fields
from flotilla.schemas.loss_limits import LossesView
from flotilla.schemas.trading_hours import HoursView
from flotilla.show.limits import hours_text, loss_lines
from tests.unit.schemas.losses import kept, limit, limits, mark, trip


def fields(*loss_limit: str, hours: tuple[str, ...] = (), **more: str | None) -> dict[str, Any]:
    given = {"equity_currency": None, "rollover": None, "timezone": None, **more}
    return limit_fields(loss_limit, hours, **given)  # type: ignore[arg-type]


def test_options_come_to_the_fields_of_a_configuration() -> None:
    found = fields(
        "day=2%,action=flatten,until=next_day",
        "drawdown=500,action=stop",
        hours=("mon-wed,fri 09:30-16:00", "sat-sun 10:00-02:00"),
        equity_currency="USDT",
        rollover="17:00",
        timezone="America/New_York",
    )
    config = engine_config(
        name="e1",
        config_file=None,
        param=(),
        strategy=None,
        settings=(),
        loss_limit=("day=2%,action=flatten,until=next_day", "drawdown=500,action=stop"),
        trading_window=("mon-wed,fri 09:30-16:00", "sat-sun 10:00-02:00"),
        equity_currency="USDT",
        rollover="17:00",
        timezone="America/New_York",
    )
    assert config.loss_limits == limits(
        limit("day", "2%", "flatten", "next_day"),
        limit("drawdown", "500", "stop"),
        currency="USDT",
        timezone="America/New_York",
        rollover="17:00",
    )
    assert config.trading_hours is not None
    assert found["trading_hours"] == msgspec.to_builtins(config.trading_hours) | {
        "windows": [
            {"days": ["mon", "tue", "wed", "fri"], "opens": "09:30", "closes": "16:00"},
            {"days": ["sat", "sun"], "opens": "10:00", "closes": "02:00"},
        ]
    }
    assert fields() == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss_limit": ("day=2%,action=stop",)}, "--equity-currency"),
        ({"loss_limit": ("day",), "equity_currency": "USD"}, "write it as"),
        ({"equity_currency": "USD"}, "need --loss-limit"),
        ({"rollover": "17:00"}, "need --loss-limit"),
        ({"timezone": "UTC"}, "--timezone needs"),
        ({"hours": ("09:30-16:00",)}, "write it as"),
        ({"hours": ("mon-fry 09:30-16:00",)}, "days are mon"),
    ],
)
def test_options_that_do_not_go_together_are_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        fields(*given.pop("loss_limit", ()), **given)


def shown(view: LossesView) -> list[str]:
    return [f"{name}: {line.plain}" for name, line in loss_lines(view)]


def test_people_see_what_was_lost_of_what_and_what_was_reached_since_when() -> None:
    view = LossesView(
        limits=limits(limit(at="10%")),
        kept=kept("1000", tripped=(trip("day", "10%", "flatten"),)),
        last=mark("899.5"),
    )
    assert shown(view) == [
        "equity: 899.50 USD at 2026-01-05 15:00:00Z",
        "loss limit: day 10% (flatten): 100.50 USD lost of 100.00 USD, from the day's first equity 1,000.00 USD at 2026-01-05 15:00:00Z",
        ": day 10% (flatten) reached at 2026-01-05 15:00:00Z: 100.00 USD lost at an equity of 900.00 USD; until it is resumed",
    ]


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    view = LossesView(limits=limits(), kept=kept("1000"), unknown=("no price of X.SIM",))
    assert shown(view) == [
        ": not known now, so that no limit is watched: no price of X.SIM",
        "loss limit: day 100 (flatten): an unknown amount lost of 100.00 USD, from the day's first equity 1,000.00 USD at 2026-01-05 15:00:00Z",
    ]
    assert shown(LossesView(limits=limits(), kept=kept(None))) == [
        "loss limit: day 100 (flatten): counts from the next mark"
    ]
    gained = LossesView(limits=limits(), kept=kept("1000"), last=mark("1001"))
    assert "0.00 USD lost of 100.00 USD" in shown(gained)[1]
    assert gained.kept.counted_from is not None
    assert gained.kept.counted_from.equity == Decimal(1000)


def test_hours_say_what_passes_and_when_that_changes() -> None:
    until = datetime(2026, 11, 30, 16, 0, tzinfo=ZoneInfo("America/New_York"))
    assert hours_text(HoursView(is_open=True, until=until)) == "open until Mon 2026-11-30 16:00 EST"
    closed = hours_text(HoursView(is_open=False, until=until))
    assert closed == "closed until Mon 2026-11-30 16:00 EST: only orders that reduce pass, and cancels"
    assert hours_text(HoursView(is_open=True, until=None)) == "open always"
