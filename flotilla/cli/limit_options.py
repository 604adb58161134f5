"""The options of loss limits and trading hours, and the fields of a configuration that they come to."""

from collections.abc import Iterable
from typing import Any, Final

import click

from flotilla.schemas.trading_hours import Weekday

LOSS_LIMIT: Final = "day|drawdown=AT,action=ACTION[,until=next_day]"
TRADING_HOURS: Final = "DAYS HH:MM-HH:MM"
OPTIONS: Final = (
    click.option(
        "--loss-limit",
        "loss_limit",
        multiple=True,
        metavar=LOSS_LIMIT,
        help="What may be lost in a day, or since the highest equity: an amount or a share, such as day=2%,action=flatten; ACTION is alert, "
        "reduce, flatten or stop; may be repeated.",
    ),
    click.option("--equity-currency", metavar="CODE", help="What loss limits count in, such as USDT."),
    click.option("--rollover", metavar="HH:MM", help="When a trading day begins.  [default: 00:00]"),
    click.option(
        "--trading-hours",
        "trading_window",
        multiple=True,
        metavar=TRADING_HOURS,
        help="When it may open or add, such as 'mon-fri 09:30-16:00'; may be repeated.",
    ),
    click.option("--timezone", metavar="ZONE", help="Of --rollover and --trading-hours.  [default: UTC]"),
)


def limit_fields(
    loss_limit: Iterable[str],
    trading_window: Iterable[str],
    *,
    equity_currency: str | None,
    rollover: str | None,
    timezone: str | None,
) -> dict[str, Any]:
    """`loss_limits` and `trading_hours` as far as they were given. Raises click.UsageError for options that do not go together."""
    limits, windows = [_limit(each) for each in loss_limit], [_window(each) for each in trading_window]
    zone = {"timezone": timezone} if timezone else {}
    fields: dict[str, Any] = {}
    if limits:
        if equity_currency is None:
            raise click.UsageError("--loss-limit needs --equity-currency")
        day = {"rollover": rollover} if rollover else {}
        fields["loss_limits"] = {"currency": equity_currency, "limits": limits, **day, **zone}
    elif equity_currency or rollover:
        raise click.UsageError("--equity-currency and --rollover need --loss-limit")
    if windows:
        fields["trading_hours"] = {"windows": windows, **zone}
    if zone and not fields:
        raise click.UsageError("--timezone needs --loss-limit or --trading-hours")
    return fields


def _limit(option: str) -> dict[str, str]:
    fields = dict(_pair(each, option) for each in option.split(","))
    measure = next(iter(fields))
    return {"measure": measure, "at": fields.pop(measure), **fields}


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise click.UsageError(f"--loss-limit {option!r}: write it as {LOSS_LIMIT}")
    return key, value


def _window(option: str) -> dict[str, Any]:
    names, _, times = option.strip().partition(" ")
    opens, dash, closes = times.strip().partition("-")
    if not (names and dash):
        raise click.UsageError(f"--trading-hours {option!r}: write it as {TRADING_HOURS}")
    days = [day for each in names.lower().split(",") for day in _days(each, option)]
    return {"days": list(dict.fromkeys(days)), "opens": opens, "closes": closes}


def _days(text: str, option: str) -> list[str]:
    """`mon-fri` as its days, `sat` as itself."""
    week = list(map(str, Weekday))
    first, _, last = text.partition("-")
    last = last or first
    if first not in week or last not in week:
        raise click.UsageError(
            f"--trading-hours {option!r}: days are {', '.join(week)}, or a span such as mon-fri"
        )
    start, count = week.index(first), (week.index(last) - week.index(first)) % 7 + 1
    return [week[(start + ahead) % 7] for ahead in range(count)]
