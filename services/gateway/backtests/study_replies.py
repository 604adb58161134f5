"""The bodies of answers about studies."""

from datetime import datetime

import msgspec

from flotilla.schemas.backtest import BacktestStatus, StudyConfig
from flotilla.schemas.walk_forward import WalkForward
from flotilla.services.gateway.backtests.replies import BacktestSummary


class StudySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A study: `counts` of its `total` backtests are in which state, `progress` is the share that ended, 0 to 100.

    `left_out` counts sets of parameters that are not tried, because they break a rule of the strategy's template or are no new ones.
    `folds` is how many windows a walk forward has, 0 of other kinds.
    """

    id: str
    study_id: str
    status: BacktestStatus
    config: StudyConfig
    created_at: datetime
    total: int
    counts: dict[str, int]
    progress: float
    best: BacktestSummary | None
    left_out: int
    completed_at: datetime | None
    why_ended: str | None
    folds: int


class WalkForwardReply(msgspec.Struct, frozen=True, kw_only=True):
    """One walk forward, as it is on record."""

    success: bool = True
    walk_forward: WalkForward


class StudyReply(msgspec.Struct, frozen=True, kw_only=True):
    """One study."""

    success: bool = True
    study: StudySummary


class StudiesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Studies, newest first; `next` is the `cursor` of the next page."""

    success: bool = True
    studies: tuple[StudySummary, ...]
    next: str | None


class StudyCommandReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command about a study."""

    success: bool = True
    message: str
    study_id: str
    status: BacktestStatus
