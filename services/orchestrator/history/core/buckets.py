"""What an engine measures within a few seconds, as one row."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from flotilla.schemas.telemetry import EngineMetrics, MarkedEquity, Resources

STEP: Final = timedelta(seconds=5)
"""How long what is heard once a second is put together before it is kept."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_COUNT: Final = 2**62
_MAX_NAMES: Final = 50
_MAX_TEXT: Final = 200
_MAX_DIGITS: Final = 15
_MAX_DECIMALS: Final = 30
NOT_MARKED: Final = "the engine marks no equity"
_NO_FIGURE: Final = "the engine's own figure is no sound number"


class Bucket(msgspec.Struct, kw_only=True):
    """A step of one engine from `at` on: it takes what is heard until it is closed. Of figures it has the last, of equity what it came through."""

    instance_id: str
    at: datetime
    session_id: str
    samples: int = 0
    equity_currency: str | None = None
    equity_first: Decimal | None = None
    equity_min: Decimal | None = None
    equity_max: Decimal | None = None
    equity_last: Decimal | None = None
    equity_unknown: tuple[str, ...] = ()
    realized_pnl: Mapping[str, str] = {}
    unrealized_pnl: Mapping[str, str] = {}
    net_positions: Mapping[str, str] = {}
    orders_open: int = 0
    positions_open: int = 0
    fills_total: int = 0
    memory_bytes: int | None = None
    cpu_fraction: float | None = None

    def take(self, metrics: EngineMetrics, resources: Resources | None) -> None:
        """Takes what the engine measured, and what its session used by then."""
        self.samples += 1
        self.session_id = metrics.session_id
        self.realized_pnl = metrics.realized_pnl
        self.unrealized_pnl = metrics.unrealized_pnl
        self.net_positions = metrics.net_positions
        self.orders_open = _count(metrics.orders_open)
        self.positions_open = _count(metrics.positions_open)
        self.fills_total = _count(metrics.fills_total)
        self._take_equity(metrics.equity)
        if resources is not None:
            self.memory_bytes = max(self.memory_bytes or 0, _count(resources.memory_bytes))
            before = (self.cpu_fraction or 0.0) * (self.samples - 1)
            self.cpu_fraction = (before + min(max(resources.cpu_fraction, 0.0), 1e6)) / self.samples

    def _take_equity(self, equity: MarkedEquity | None) -> None:
        if equity is None:
            self.equity_unknown = (NOT_MARKED,)
            return
        amount, currency = equity.amount, _text(equity.currency)
        self.equity_unknown = tuple(map(_text, equity.unknown[:_MAX_NAMES]))
        if amount is None:
            return
        if not is_sound(amount):
            self.equity_unknown = (_NO_FIGURE,)
            return
        if currency != self.equity_currency:
            self.equity_currency = currency
            self.equity_first = self.equity_min = self.equity_max = amount
        self.equity_first = amount if self.equity_first is None else self.equity_first
        self.equity_min = amount if self.equity_min is None else min(self.equity_min, amount)
        self.equity_max = amount if self.equity_max is None else max(self.equity_max, amount)
        self.equity_last = amount


def step_of(now: datetime) -> datetime:
    """Where the step begins that `now` lies in."""
    return _EPOCH + (now - _EPOCH) // STEP * STEP


def is_sound(amount: Decimal) -> bool:
    """True for a number that an account can hold, with decimals that a currency can have."""
    if not amount.is_finite():
        return False
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MAX_DECIMALS and amount.adjusted() < _MAX_DIGITS


def by_name(figures: Mapping[str, str]) -> dict[str, str]:
    """Figures as they are kept: the first fifty, none longer than anybody's."""
    return {_text(name): _text(value) for name, value in islice(figures.items(), _MAX_NAMES)}


def _text(value: str) -> str:
    return value[:_MAX_TEXT].replace("\x00", "\ufffd")


def _count(value: int) -> int:
    return min(max(value, 0), _MAX_COUNT)
