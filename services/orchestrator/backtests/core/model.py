"""What the record holds of backtests and studies."""

from datetime import datetime
from typing import Any

import msgspec

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestStatus,
    Metrics,
    RunSummary,
    StudyConfig,
    TrialFailure,
    TrialJob,
    TrialProgress,
)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs a trial: the worker's session, and which delivery from the queue it was (from 1 for each message)."""

    worker: str
    session_id: str
    delivery: int
    at: datetime


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a backtest. `attempts` counts the claims that were granted; `progress` is the last that was known."""

    attempts: int = 0
    claim: Claim | None = None
    host: str | None = None
    started_at: datetime | None = None
    progress: TrialProgress | None = None
    metrics: Metrics | None = None
    currency: str | None = None
    summary: RunSummary | None = None
    reason: TrialFailure | None = None
    error: str | None = None
    log_tail: tuple[str, ...] = ()
    has_result: bool = False
    has_report: bool = False
    elapsed_s: float | None = None
    events: int | None = None


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest. `version` counts its changes on record; `number` is its place in its study; `verifies` is what it repeats."""

    backtest_id: str
    config: BacktestConfig
    created_at: datetime
    updated_at: datetime
    status: BacktestStatus = BacktestStatus.PENDING
    version: int = 1
    study_id: str | None = None
    number: int = 0
    verifies: str | None = None
    ended_at: datetime | None = None
    facts: Facts = Facts()

    @property
    def is_final(self) -> bool:
        """True when nothing can follow."""
        return self.status.is_final

    @property
    def is_result_gone(self) -> bool:
        """True when its result was saved, and somebody had it deleted."""
        is_saved = self.status is BacktestStatus.COMPLETED and self.config.save_results
        return is_saved and not self.facts.has_result


class NewBacktest(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest that is to be recorded, with the work that goes into the queue for it."""

    backtest: Backtest
    order: TrialJob


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One fold of a walk forward: the range for choosing, and the one for trying the choice. UNIX ns, both ends included."""

    train: tuple[int, int]
    test: tuple[int, int]


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study. `choices` are the parameters of its backtests (of each fold's), settled when it was asked for."""

    study_id: str
    config: StudyConfig
    created_at: datetime
    choices: tuple[dict[str, Any], ...]
    windows: tuple[Window, ...] = ()
    status: BacktestStatus = BacktestStatus.PENDING
    version: int = 1
    ended_at: datetime | None = None
    why_ended: str | None = None

    @property
    def total(self) -> int:
        """How many backtests it has when all are there."""
        return len(self.windows) * (len(self.choices) + 1) if self.windows else len(self.choices)
