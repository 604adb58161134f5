"""In which currency a backtest counts and where its days end: what can be told of that before it is run."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.fault import FieldError


def currency_errors(
    base_currency: str | None, instruments: Iterable[str], field: str = "config.base_currency"
) -> list[FieldError]:
    """What is wrong with the base currency, as far as symbols tell: that of BTC/USDT.X is settled in USDT.

    Without one all instruments must be settled in the same; another one must be reached from each by pairs of the run. Other symbols do
    not tell: such a run is refused by its trial or engine.
    """
    pairs = [pair for name in instruments if (pair := _pair(name))]
    quotes = sorted({quote for _, quote in pairs})
    if base_currency is None:
        if len(quotes) < 2:
            return []
        text = f"must be given: instruments are quoted in {', '.join(quotes)}, and results are counted in one currency"
        return [FieldError(field, text)]
    reached = _reached(base_currency, pairs)
    return [
        FieldError(
            field,
            f"{base_currency} has no rate to {quote}, which instruments are quoted in: leave it out, give {quote}, "
            "or add a pair of both to the instruments",
        )
        for quote in quotes
        if quote not in reached
    ]


def timezone_errors(config: BacktestConfig) -> list[FieldError]:
    """What is wrong with the time zone."""
    try:
        ZoneInfo(config.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return [
            FieldError("config.timezone", "is no time zone of the IANA database, such as America/New_York")
        ]
    return []


def _pair(instrument: str) -> tuple[str, str] | None:
    """Base and quote, where the symbol is made of them."""
    base, slash, quote = instrument.rpartition(".")[0].partition("/")
    return (base, quote) if slash and base.isalnum() and quote.isalnum() else None


def _reached(start: str, pairs: Iterable[tuple[str, str]]) -> set[str]:
    """The currencies that pairs lead to, one after the other."""
    found, rest = {start}, list(pairs)
    while near := [pair for pair in rest if found.intersection(pair)]:
        rest = [pair for pair in rest if pair not in near]
        found.update(*near)
    return found
