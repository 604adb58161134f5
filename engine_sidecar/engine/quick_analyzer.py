"""NautilusTrader's portfolio analyzer without its quadratic cost: it rebuilds whole pandas series at every closed position.

The same numbers in the same order come out, as the tests compare; only the series are built when they are read. Seen in 1.231.0:
`PortfolioAnalyzer._append_pnl_record` and `add_position_return`, called by the portfolio for each closed position, and
`_returns_to_dict`, called for each statistic of the same returns: a tenth of a trial of 5,000 bars.
"""

from typing import Any, Final

import pandas as pd
from nautilus_trader.analysis.analyzer import PortfolioAnalyzer
from nautilus_trader.core.datetime import unix_nanos_to_dt

_READ: Final = PortfolioAnalyzer.realized_pnls
_STATISTICS: Final = PortfolioAnalyzer._calculate_returns_stats
_BY_MOMENT: Final = PortfolioAnalyzer._returns_to_dict


class _Growing:
    """Stands in for a series that is still growing: what was there, and what came since."""

    def __init__(self, base: pd.Series | None, dtype: Any) -> None:
        self._base, self._dtype = base, dtype
        self._index: list[str] = []
        self._values: list[Any] = []

    def add(self, key: str, value: Any) -> None:
        self._index.append(key)
        self._values.append(value)

    def series(self) -> pd.Series:
        grown = pd.Series(self._values, index=self._index, dtype=self._dtype)
        return grown if self._base is None else pd.concat([self._base, grown])


def quicken() -> None:
    """Puts the quick methods in the place of the slow ones, for this process."""
    PortfolioAnalyzer._append_pnl_record = _append_pnl_record
    PortfolioAnalyzer.realized_pnls = _realized_pnls
    PortfolioAnalyzer.add_positions = _add_positions
    PortfolioAnalyzer._calculate_returns_stats = _calculate_returns_stats


def _append_pnl_record(
    _: Any,
    pnls: dict[Any, Any],
    timestamps: dict[Any, Any],
    position_id: Any,
    realized_pnl: Any,
    ts_event: int | None,
) -> None:
    currency, key = realized_pnl.currency, position_id.value
    _growing(pnls, currency, "float64").add(key, realized_pnl.as_double())
    _growing(timestamps, currency, object).add(key, int(ts_event) if ts_event is not None else None)


def _growing(kept: dict[Any, Any], currency: Any, dtype: Any) -> _Growing:
    found = kept.get(currency)
    if not isinstance(found, _Growing):
        found = kept[currency] = _Growing(found, dtype)
    return found


def _realized_pnls(self: Any, currency: Any = None) -> Any:
    for kept in (
        self._realized_pnls,
        self._realized_pnl_timestamps,
        self._recorded_realized_pnls,
        self._recorded_realized_pnl_timestamps,
    ):
        for key, found in kept.items():
            if isinstance(found, _Growing):
                kept[key] = found.series()
    return _READ(self, currency)


def _add_positions(self: Any, positions: list[Any]) -> None:
    self._positions += positions
    returns: dict[Any, float] = {}
    for position in positions:
        if position.realized_pnl is None:
            continue
        self.add_trade(position.id, position.realized_pnl, position.ts_last)
        if position.ts_closed > 0:
            moment = unix_nanos_to_dt(position.ts_closed)
            returns[moment] = returns.get(moment, _before(self, moment)) + float(position.realized_return)
    self._position_returns = _with(self._position_returns, returns)
    self._sync_returns_alias()


def _calculate_returns_stats(self: Any, returns: pd.Series) -> dict[str, Any]:
    by_moment = _BY_MOMENT(self, returns)
    # Of this one analyzer, and for as long as its own method asks.
    self._returns_to_dict = lambda _: by_moment
    try:
        found: dict[str, Any] = _STATISTICS(self, returns)
    finally:
        del self._returns_to_dict
    return found


def _before(self: Any, moment: Any) -> float:
    known = self._position_returns
    return float(known.loc[moment]) if len(known) and moment in known else 0.0


def _with(known: pd.Series, returns: dict[Any, float]) -> pd.Series:
    """The series with these returns set: those it has in their place, new ones behind."""
    if not returns:
        return known
    grown = pd.Series(list(returns.values()), index=pd.Index(list(returns)), dtype="float64")
    if known.empty:
        return grown
    known = known.copy()
    shared = grown.index.intersection(known.index)
    known.loc[shared] = grown.loc[shared]
    return pd.concat([known, grown.drop(shared)])
