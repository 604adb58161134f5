"""What backtests need from outside: their part of the record."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from flotilla.schemas.backtest import BacktestStatus
from flotilla.schemas.package import PackageChange, PackageRef
from flotilla.services.orchestrator.backtests.core.cursors import Place
from flotilla.services.orchestrator.backtests.core.model import Backtest, NewBacktest, Study
from flotilla.services.orchestrator.backtests.core.study_ranking import Points
from flotilla.services.orchestrator.engines.ports import Command


class TakenError(Exception):
    """The id of a new backtest or study is on record already."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go into the queue, as JSON, and how often it went there before."""

    backtest_id: str
    order: bytes
    queued: int


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What has not ended: how many backtests, of them those of studies that wait in the queue, and when the newest came."""

    open: int
    ahead: int
    newest: datetime | None


class NewerCode(Protocol):
    """Knows which versions of packages there are."""

    async def newer(self, packages: Sequence[PackageRef]) -> tuple[PackageChange, ...]:
        """How the newest version of each of these differs from it; nothing of those that are the newest, or have none."""


class BacktestRecord(Protocol):
    """Every method raises FaultError `unavailable` while the record cannot be reached; changes also `outcome_unknown`."""

    async def add(self, new: Sequence[NewBacktest], command: Command | None = None) -> None:
        """Records backtests, all or none. Raises TakenError, RepeatedCommand."""

    async def add_missing(self, new: Sequence[NewBacktest]) -> list[str]:
        """Records those that are not there yet, and returns their ids."""

    async def change(
        self,
        backtest: Backtest,
        *,
        result: bytes | None = None,
        report: bytes | None = None,
        command: Command | None = None,
    ) -> None:
        """Records a change with its result, or the tear sheet of one that is there. One whose result is gone loses what is kept of it.

        Raises StaleChange when it is not the next version, RepeatedCommand.
        """

    async def backtests(self, backtest_ids: Sequence[str]) -> dict[str, Backtest]:
        """Those of these that are on record."""

    async def page(
        self,
        study_id: str | None,
        status: BacktestStatus | None,
        before: tuple[datetime, int, str] | None,
        limit: int,
    ) -> list[Backtest]:
        """Newest first, those of a study or of none, older than (created_at, number, id)."""

    async def count(self, study_id: str | None, status: BacktestStatus | None) -> int:
        """How many there are of them."""

    async def changed_since(self, moment: datetime) -> list[Backtest]:
        """At most 1000 that changed after `moment`, the oldest change first."""

    async def verifying(self, backtest_id: str) -> list[tuple[str, BacktestStatus]]:
        """The runs that repeat a backtest, oldest first."""

    async def result(self, backtest_id: str) -> bytes | None:
        """The packed result."""

    async def report(self, backtest_id: str) -> bytes | None:
        """The packed tear sheet."""

    async def add_part(self, backtest_id: str, sha256: str, index: int, data: bytes) -> int:
        """Keeps a piece of a result, and tells how many of the same whole are there."""

    async def parts(self, backtest_id: str, sha256: str) -> Mapping[int, bytes]:
        """The pieces of one whole."""

    async def unqueued(self, *, of_studies: bool, limit: int) -> list[Work]:
        """What never went into the queue."""

    async def lost(self, before: datetime, limit: int) -> list[Work]:
        """What has not ended, and went into the queue before this moment."""

    async def running(self) -> list[Backtest]:
        """Those that run, at most 1000."""

    async def works(self, backtest_ids: Sequence[str]) -> list[Work]:
        """What goes into the queue for these."""

    async def queued(self, backtest_ids: Sequence[str], now: datetime) -> None:
        """Notes that these went into the queue."""

    async def backlog(self) -> Backlog:
        """What has not ended."""

    async def add_study(
        self, study: Study, new: Sequence[NewBacktest], command: Command | None = None
    ) -> None:
        """Records a study with its backtests, all or none. Raises TakenError, RepeatedCommand."""

    async def change_study(self, study: Study, now: datetime, *, command: Command | None = None) -> list[str]:
        """Records the end of a study and cancels what is pending of it, whose ids are returned. Raises StaleChange."""

    async def studies(
        self,
        *,
        study_id: str | None = None,
        only_open: bool = False,
        before: Place | None = None,
        limit: int = 1000,
    ) -> list[Study]:
        """Studies, newest first, older than `before`."""

    async def points(self, study: Study) -> Points:
        """Where the backtests of a study are."""

    async def strays(self, study_id: str | None = None) -> list[str]:
        """The backtests that run though their study has ended: of one study, or of all."""
