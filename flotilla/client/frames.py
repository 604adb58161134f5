"""Results as data frames: `fleet.backtest_result(…).to_pandas()`, and backtests of a study with their parameters by `to_pandas(views)`.

Parts that are lists have one; `balances`, `fees` and `statistics` are plain dicts without.

pandas and polars are imported when they are asked for: the client needs neither.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from flotilla.schemas.backtest import BacktestView

T = TypeVar("T")
_DECIMALS: Final = frozenset(
    (
        *("quantity", "filled_qty", "last_qty", "last_px", "avg_px", "price", "trigger_price"),
        *("pnl", "commission", "unrealized_pnl"),
    )
)
"""Fields that are decimal strings on record."""
_TIMES: Final = ("_ns", "ts_event")


class Rows(list[T]):
    """A list of what is on record, which can be had as a frame.

    Numbers are floats there (`flotilla backtest export` has every digit) and times are in UTC: a field `at_ns` is the column `at`.
    """

    def __init__(self, entries: Sequence[T], kind: type[Any]) -> None:
        super().__init__(entries)
        self.kind = kind
        """The type of the entries, also of none."""

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with one row each. Raises ImportError without pandas."""
        return to_pandas(self, self.kind)

    def to_polars(self) -> Any:
        """A polars.DataFrame with one row each. Raises ImportError without polars."""
        return to_polars(self, self.kind)

    def _repr_html_(self) -> str | None:
        """How a notebook shows it: as pandas does, where pandas is there."""
        try:
            found: str = self.to_pandas()._repr_html_()
        except ImportError:
            return None
        return found


def to_pandas(rows: Sequence[Any], kind: type[Any] | None = None) -> Any:
    """A pandas.DataFrame of result entries, or of backtests; `kind` is their type, needed where there may be none.

    Raises ImportError without pandas.
    """
    try:
        import pandas  # noqa: PLC0415
    except ImportError as error:
        raise _missing("pandas") from error
    columns = {}
    for name, values, is_time in _columns(rows, kind):
        found = pandas.Series(values, dtype=None if values else "object")
        columns[name] = pandas.to_datetime(found, unit="ns", utc=True) if is_time else found
    return pandas.DataFrame(columns)


def to_polars(rows: Sequence[Any], kind: type[Any] | None = None) -> Any:
    """The same as a polars.DataFrame. Raises ImportError without polars."""
    try:
        import polars  # noqa: PLC0415
    except ImportError as error:
        raise _missing("polars") from error
    columns = []
    for name, values, is_time in _columns(rows, kind):
        found = polars.Series(name, values, strict=False)
        columns.append(found.cast(polars.Int64).cast(polars.Datetime("ns", "UTC")) if is_time else found)
    return polars.DataFrame(columns)


def _columns(rows: Sequence[Any], kind: type[Any] | None) -> list[tuple[str, list[Any], bool]]:
    """By name: the values of all rows, and whether they are times (UNIX ns)."""
    kind = kind or (type(rows[0]) if rows else None)
    if kind is None:
        return []
    if issubclass(kind, BacktestView):
        return _of_backtests(rows)
    return [
        (
            name.removesuffix("_ns"),
            [_plain(name, getattr(row, name)) for row in rows],
            name.endswith(_TIMES),
        )
        for name in kind.__struct_fields__
    ]


def _plain(name: str, value: Any) -> Any:
    return float(value) if name in _DECIMALS and value is not None else value


def _of_backtests(views: Sequence[BacktestView]) -> list[tuple[str, list[Any], bool]]:
    """Id, status and dates, the strategy's parameters by their names, and the metrics; what one does not have is null."""
    rows = [
        {
            "backtest_id": one.backtest_id,
            "status": str(one.status),
            "start_date": one.config.start_date,
            "end_date": one.config.end_date,
            **{f"param_{name}": value for name, value in one.config.strategy_config.items()},
            **(msgspec.structs.asdict(one.metrics) if one.metrics else {}),
        }
        for one in views
    ]
    names = {name: None for row in rows for name in row}
    return [(name, [row.get(name) for row in rows], False) for name in names]


def _missing(name: str) -> ImportError:
    return ImportError(f"frames of {name} need it: pip install {name}")
