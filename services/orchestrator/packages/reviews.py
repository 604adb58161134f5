"""Answers what a start would run of people's packages, so that somebody can look at it before money is traded by it."""

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import ReviewStart, StartReview
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.planner import Planner
from flotilla.services.orchestrator.engines.ports import Record
from flotilla.services.orchestrator.packages.code import PackageCode
from flotilla.services.orchestrator.packages.core.reviews import review
from flotilla.services.orchestrator.packages.shelf import PackageShelf


class StartReviews:
    """Renders what is asked for as a start would, and changes nothing."""

    def __init__(
        self, record: Record, fleet: Fleet, planner: Planner, *, shelf: PackageShelf, code: PackageCode
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._planner = planner
        self._shelf = shelf
        self._code = code

    async def review(self, request: ReviewStart) -> StartReview:
        """What would be run. Raises FaultError as a start does: `invalid` for a configuration at fault, `not_found` for an unknown engine."""
        config = self._chosen(request)
        plans = await self._planner.plans()
        config = plans.pinned(config)
        spec = plans.spec(config)
        last = await self._record.last_live(spec.instance_id)
        before = {each.name: each for each in last.plan.packages} if last else {}
        changes = {
            each.name: change
            for each in spec.plan.packages
            if each.name in before
            if (change := await self._code.change(before[each.name], each)) is not None
        }
        return review(spec, last, await self._shelf.versions(), changes, trades_money=config.trades_money)

    def _chosen(self, request: ReviewStart) -> EngineConfig:
        if request.config is not None:
            if request.instance_id not in (None, request.config.instance_id):
                raise invalid(
                    FieldError("instance_id", f"config.instance_id is {request.config.instance_id}")
                )
            return request.config
        meant = self._fleet.which(request.instance_id)
        if meant is None:
            raise fault(FaultCode.NOT_FOUND, "no engine ever ran, so there is nothing to look at")
        return meant.next_config
