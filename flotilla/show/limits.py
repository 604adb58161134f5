"""Loss limits and trading hours of an engine, as lines that people read."""

from collections.abc import Iterator
from decimal import Decimal

from rich.text import Text

from flotilla.schemas.loss_limits import LossesView, LossLimit, LossMeasure, Mark
from flotilla.schemas.trading_hours import HoursView
from flotilla.show import formats


def loss_lines(losses: LossesView) -> Iterator[tuple[str, Text]]:
    """A row for each limit (what was lost of what), for what it was reached by, and for what is not known."""
    currency = losses.limits.currency if losses.limits else losses.kept.currency
    if losses.last is not None:
        yield "equity", Text(f"{_mark(losses.last, currency)}")
    if losses.unknown:
        yield (
            "",
            Text(f"not known now, so that no limit is watched: {', '.join(losses.unknown)}", style="red"),
        )
    for limit in losses.limits.limits if losses.limits else ():
        yield "loss limit", Text(_limit(losses, limit, currency))
    for trip in losses.kept.tripped:
        text = (
            f"{trip.limit.text} reached at {formats.moment(trip.at)}: {_amount(trip.lost)} {currency} lost at an equity of"
            f" {_amount(trip.equity)} {currency}; {_until(trip.limit)}"
        )
        yield "", Text(text, style="bold red")


def hours_text(hours: HoursView) -> str:
    """`open until 2026-11-30 16:00 EST`, `closed until …: only orders that reduce pass`."""
    until = f"until {hours.until:%a %Y-%m-%d %H:%M %Z}" if hours.until else "always"
    return f"open {until}" if hours.is_open else f"closed {until}: only orders that reduce pass, and cancels"


def _limit(losses: LossesView, limit: LossLimit, currency: str) -> str:
    base, lost = losses.kept.base(limit.measure), losses.lost(limit.measure)
    if base is None:
        return f"{limit.text}: counts from the next mark"
    most = f"{_amount(limit.amount(base.equity))} {currency}"
    of = "the day's first" if limit.measure == LossMeasure.DAY else "the highest"
    used = "an unknown amount" if lost is None else f"{_amount(max(lost, Decimal(0)))} {currency}"
    return f"{limit.text}: {used} lost of {most}, from {of} equity {_mark(base, currency)}"


def _until(limit: LossLimit) -> str:
    return (
        "until it is resumed" if limit.until == "resume" else "until it is resumed, or the next trading day"
    )


def _mark(mark: Mark, currency: str) -> str:
    return f"{_amount(mark.equity)} {currency} at {formats.moment(mark.at)}"


def _amount(value: Decimal) -> str:
    return formats.amount(f"{value:.2f}")
