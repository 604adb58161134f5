"""How a walk forward stands, worked out from the record: its windows, and the pieces out of sample as one curve."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

from flotilla.schemas.backtest import BacktestStatus, EquityPoint, WhichStudy
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.walk_forward import WalkForward
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.result_parts import unpacked_curve
from flotilla.services.orchestrator.backtests.core.stitching import tried_ids, walk_forward
from flotilla.services.orchestrator.backtests.ports import BacktestRecord
from flotilla.services.orchestrator.backtests.study_runner import StudyRunner

_KEPT: Final = 4
"""Answers about studies that have ended, which people ask for again."""


class WalkForwards:
    """Nothing of it is kept on record: it follows from the study and the results that are there."""

    def __init__(self, record: BacktestRecord, runner: StudyRunner) -> None:
        self._record = record
        self._runner = runner
        self._ended: OrderedDict[str, WalkForward] = OrderedDict()

    async def get(self, request: WhichStudy) -> WalkForward:
        """A walk forward as it stands. Raises FaultError: `not_found`, `conflict` for a study of another kind."""
        if request.study_id in self._ended:
            self._ended.move_to_end(request.study_id)
            return self._ended[request.study_id]
        study = await self._runner.known(request.study_id)
        if not study.windows:
            text = f"study {study.study_id} has no windows: it is a {study.config.kind} and no walk_forward"
            raise fault(FaultCode.CONFLICT, text)
        points = await self._runner.points(study)
        tried = await self._record.backtests(tried_ids(study, points))
        curves = await self._curves(tried.values())
        zone = ZoneInfo(study.config.base.timezone or "UTC")
        made = await asyncio.to_thread(walk_forward, study, points, tried, curves, zone)
        if study.status.is_final and all(point.status.is_final for point in points.values()):
            self._ended[study.study_id] = made
            while len(self._ended) > _KEPT:
                self._ended.popitem(last=False)
        return made

    async def _curves(self, tried: Iterable[Backtest]) -> dict[str, tuple[EquityPoint, ...]]:
        found = {}
        for one in tried:
            if one.status is not BacktestStatus.COMPLETED or not one.facts.has_result:
                continue
            if (packed := await self._record.result(one.backtest_id)) is not None:
                found[one.backtest_id] = await asyncio.to_thread(unpacked_curve, packed)
        return found
