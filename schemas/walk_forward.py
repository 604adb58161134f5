"""What came of a walk forward: its windows with their choices, and what was tried out of sample as one curve.

Shares and ratios are plain numbers (0.12 is 12 %), null where they are not defined; times that end in `_ns` are UNIX nanoseconds.
"""

from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import BacktestStatus
from flotilla.schemas.ids import BacktestId, StudyId

MAX_STITCHED_POINTS: Final = 3_000
"""Of a stitched curve as it is answered; its figures are of all points."""


class StudyWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One window, its four moments included.

    `chosen` is the best of its backtests in sample, null while some have not ended and where none has the metric that is sought; `parameters` are
    what it was given of the study's axes, `changed` those that differ from the choice before. `tried` ran the choice out of sample, `status`
    says how that stands. `in_sample` and `out_of_sample` are the metric that is sought, of both. `is_stitched`: it is a piece of the curve.
    """

    number: int
    in_sample_start_ns: int
    in_sample_end_ns: int
    out_of_sample_start_ns: int
    out_of_sample_end_ns: int
    chosen: BacktestId | None = None
    parameters: dict[str, Any] = {}
    changed: tuple[str, ...] = ()
    tried: BacktestId | None = None
    status: BacktestStatus | None = None
    in_sample: float | None = None
    out_of_sample: float | None = None
    total_return: float | None = None
    is_stitched: bool = False


class StitchedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Equity of the stitched curve at a moment of simulated time; `drawdown` is the share lost since the highest equity."""

    at_ns: int
    equity: float
    drawdown: float


class StitchedFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a stitched curve, defined as Metrics are (`schemas/performance.py`).

    `returns` is how many returns of a day they are made from, `years` the time from its first moment to its last, with what lies between pieces.
    """

    total_return: float | None
    annualized_return: float | None
    volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None
    max_drawdown_days: float | None
    final_equity: float
    returns: int
    years: float | None


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """A walk forward as it stands.

    The curve begins with the equity e that the first piece began with. Each piece's returns apply to what there was before it: where piece k has the
    equity E_k(t) and began with E_k(0), the curve is at e · E_1(end) / E_1(0) · … · E_k(t) / E_k(0). A window that tried nothing, whose backtest
    failed or whose result was not saved is no piece: equity stays as it is over its time. Positions that a piece left open are valued at its end
    and are not in the next one, which begins with none. Equity of 0 or less ends the curve. `figures` is null while there is no piece.
    `unanswered_requests` counts what strategies asked of the past out of sample, and were answered with nothing because the study's base has no
    `warm_up`: they began every window cold. `answered_requests` counts those that were answered from the catalog, over the windows that have been
    tried; null while there is none, and where one is from before they were counted.
    """

    study_id: StudyId
    windows: tuple[StudyWindow, ...]
    currency: str | None = None
    timezone: str = "UTC"
    figures: StitchedFigures | None = None
    curve: tuple[StitchedPoint, ...] = ()
    unanswered_requests: int = 0
    answered_requests: int | None = None
