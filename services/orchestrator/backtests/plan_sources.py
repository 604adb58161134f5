"""Plans of backtests, with templates and catalog as they are now."""

from datetime import datetime

from flotilla.schemas.backtest import BacktestConfig, TrialJob
from flotilla.schemas.fault import invalid
from flotilla.services.orchestrator.backtests.core.model import Backtest, NewBacktest
from flotilla.services.orchestrator.backtests.core.plans import Sources, plan_of
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.templates.library import Library
from flotilla.services.orchestrator.templates.ports import Catalog


class PlanSources:
    """Reads what plans are made of."""

    def __init__(self, library: Library, catalog: Catalog) -> None:
        self._library = library
        self._catalog = catalog

    async def sources(self) -> Sources:
        """A snapshot. Raises FaultError `unavailable` when it cannot be read."""
        template_set = await self._library.template_set()
        view = await self._catalog.view()
        return Sources(template_set=template_set, entries=view.entries)


def new_backtest(
    backtest_id: str,
    config: BacktestConfig,
    sources: Sources,
    now: datetime,
    *,
    study_id: str | None = None,
    number: int = 0,
) -> NewBacktest:
    """A backtest to be recorded, with its work. Raises FaultError `invalid` naming every field at fault."""
    plan, errors = plan_of(config, sources)
    if plan is None:
        raise invalid(*errors)
    backtest = Backtest(
        backtest_id=backtest_id,
        config=config,
        created_at=wall(now),
        updated_at=now,
        study_id=study_id,
        number=number,
    )
    order = TrialJob(
        backtest_id=backtest_id,
        plan=plan,
        seed=config.seed,
        timeout_s=config.timeout_s,
    )
    return NewBacktest(backtest=backtest, order=order)
