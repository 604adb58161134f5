"""How figures of backtests are written wherever people read them: tables, plots, tear sheets. The same figure has the same digits."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from flotilla.schemas.backtest import OrderCounts

UNDEFINED: Final = "\N{EN DASH}"
"""Stands for a figure that is not defined: no 0, which would be one."""


class Figure(NamedTuple):
    """A metric's plain name, how it is written, and whether its highest (1) or lowest (-1) value is the best; 0 where there is no best."""

    label: str
    kind: str
    best: int


FIGURES: Final[Mapping[str, Figure]] = {
    "total_return": Figure("return", "share", 1),
    "annualized_return": Figure("return a year", "share", 1),
    "volatility": Figure("volatility a year", "share", -1),
    "max_drawdown": Figure("max drawdown", "share", 1),
    "max_drawdown_days": Figure("drawdown lasted", "days", -1),
    "sharpe_ratio": Figure("Sharpe ratio", "ratio", 1),
    "sortino_ratio": Figure("Sortino ratio", "ratio", 1),
    "calmar_ratio": Figure("Calmar ratio", "ratio", 1),
    "information_ratio": Figure("information ratio", "ratio", 1),
    "alpha": Figure("alpha a year", "share", 1),
    "beta": Figure("beta", "ratio", 0),
    "final_equity": Figure("final equity", "money", 1),
    "profit_factor": Figure("profit factor", "ratio", 1),
    "total_trades": Figure("trades", "count", 0),
    "winning_trades": Figure("trades won", "count", 0),
    "losing_trades": Figure("trades lost", "count", 0),
    "win_rate": Figure("won", "share", 1),
    "average_win": Figure("average win", "money", 1),
    "average_loss": Figure("average loss", "money", 1),
    "largest_win": Figure("best trade", "money", 1),
    "largest_loss": Figure("worst trade", "money", 1),
}
"""The metrics by field. Drawdowns and losses are negative numbers, so that the highest is the smallest loss."""
OF_EQUITY: Final = (
    *("total_return", "annualized_return", "volatility", "max_drawdown", "max_drawdown_days"),
    *("sharpe_ratio", "sortino_ratio", "calmar_ratio"),
)
"""The figures of marked equity, in the order in which people read them."""
OF_TRADES: Final = (
    *("total_trades", "winning_trades", "losing_trades", "win_rate"),
    *("average_win", "average_loss", "largest_win", "largest_loss", "profit_factor"),
)
"""The figures of closed trades."""
_DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS"), 2
    ),
    **dict.fromkeys(
        ("INR", "MXN", "NOK", "NZD", "PLN", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "USD", "ZAR"), 2
    ),
    **dict.fromkeys(("XAG", "XAU"), 2),
    **dict.fromkeys(("JPY", "KRW"), 0),
    **dict.fromkeys(("ADA", "USDC.e", "XRP", "XTZ", "pUSD"), 6),
    "": 2,
}
"""As NautilusTrader has them; every other currency has 8. A figure whose currency is not known has two."""
_DIGITS: Final = 8
"""Of an amount beside its thousands' commas: 12,345.678 USDT says as much as anybody reads."""
_FATES: Final = ("filled", "open", "canceled", "expired", "rejected", "denied", "unsent")


def written(name: str, value: float | None, currency: str = "", *, is_bare: bool = False) -> str:
    """A metric by its field: `-12.05 %`, `1.27`, `1,221`, `-5,897.12 USD`, `1,952 days`, or UNDEFINED; `is_bare` as in `money`."""
    if value is None:
        return UNDEFINED
    match FIGURES[name].kind:
        case "share":
            return share(value)
        case "ratio":
            return ratio(value)
        case "money":
            return money(value, currency, is_bare=is_bare)
        case "days":
            return days(value)
        case _:
            return f"{value:,.0f}"


def share(value: float | None) -> str:
    """A plain number as percent: -0.1205 is `-12.05 %`."""
    return UNDEFINED if value is None else f"{_fixed(value * 100, 2)} %"


def ratio(value: float | None) -> str:
    """`1.27`."""
    return UNDEFINED if value is None else _fixed(value, 2)


def money(value: float | None, currency: str = "", *, is_bare: bool = False) -> str:
    """`-5,897.12 USD`, `0.98577404 BTC`: with the decimals of the currency. `is_bare` leaves its name out, where a heading has it.

    From eight digits on, those after the second decimal are left out.
    """
    if value is None:
        return UNDEFINED
    decimals = _DECIMALS.get(currency, 8)
    if decimals > 2:
        before = len(f"{abs(value):.0f}") if abs(value) >= 1 else 0
        decimals = min(decimals, max(2, _DIGITS - before))
    return _fixed(value, decimals) if is_bare else f"{_fixed(value, decimals)} {currency}".rstrip()


def amount(text: str) -> str:
    """A decimal string with all of its digits and its thousands set apart; what is none is left as it is."""
    try:
        return f"{Decimal(text):,f}"
    except InvalidOperation:
        return text


def amounts(by_currency: Mapping[str, str]) -> str:
    """`1,234.50 USD`; several currencies on one line."""
    return ", ".join(f"{amount(value)} {currency}" for currency, value in sorted(by_currency.items()))


def days(value: float | None) -> str:
    """`1,952 days`; `0.5 days` of fewer than ten."""
    return UNDEFINED if value is None else f"{_fixed(value, 0 if value >= 10 else 1)} days"


def fates(orders: OrderCounts) -> str:
    """What became of a run's orders: `12 filled, 1 open`; empty where there are none."""
    return ", ".join(f"{count:,} {name}" for name in _FATES if (count := getattr(orders, name)))


def _fixed(value: float, digits: int) -> str:
    """With thousands set apart; what rounds to nothing has no sign."""
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text
