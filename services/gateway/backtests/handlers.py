"""Backtests: run, read, listed, cancelled, compared and verified."""

from typing import Any, Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    BacktestStatus,
    BacktestView,
    CompareBacktests,
    ListBacktests,
    ResultPart,
    RunBacktest,
    VerifyBacktest,
    WhichBacktest,
)
from flotilla.schemas.fault import Fault, FaultCode, FaultError, fault
from flotilla.services.gateway.backtests import views
from flotilla.services.gateway.backtests.queries import (
    BacktestBody,
    BacktestListQuery,
    CompareBody,
    CompareQuery,
    VerifyBody,
)
from flotilla.services.gateway.backtests.replies import (
    ActiveBacktest,
    BacktestCommandReply,
    BacktestReply,
    BacktestsReply,
    ComparisonReply,
    Results,
    ResultsReply,
    VerifyReply,
)
from flotilla.services.gateway.backtests.result_pages import first_entries
from flotilla.services.gateway.backtests.sections import whole_config
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery

log = get_logger(__name__)

_STATUS_TIMEOUT_S: Final = 2.0


async def run_backtest(gateway: Gateway, ask: Ask[NoQuery, BacktestBody]) -> BacktestCommandReply:
    """A backtest in the queue. Raises FaultError: `conflict` for an id that is taken, `invalid` for what a group of settings cannot have."""
    config = whole_config(ask.body)
    request = RunBacktest(backtest_id=ask.body.backtest_id, config=config, request_id=ask.request_id)
    view = await gateway.bus.call(contract.BACKTEST_RUN, request)
    message = f"backtest {view.backtest_id} is {view.status}"
    return BacktestCommandReply(message=message, backtest_id=view.backtest_id, status=view.status)


async def read_backtest(gateway: Gateway, ask: Ask[NoQuery, None]) -> BacktestReply:
    """One backtest, with its results once it is completed. Raises FaultError `not_found`."""
    which = WhichBacktest(backtest_id=ask.path["backtest_id"])
    view = await gateway.bus.call(contract.BACKTEST_GET, which)
    return BacktestReply(backtest=views.backtest_details(view, await _results(gateway, view)))


async def read_results(gateway: Gateway, ask: Ask[NoQuery, None]) -> ResultsReply:
    """The results of one backtest. Raises FaultError: `conflict` unless it has completed, `not_found` for what was deleted."""
    which = WhichBacktest(backtest_id=ask.path["backtest_id"])
    view = await gateway.bus.call(contract.BACKTEST_GET, which)
    name = view.backtest_id
    found = await _results(gateway, view)
    if found is None:
        raise fault(FaultCode.CONFLICT, f"backtest {name} has no result: it is {view.status}")
    if found.trades is None and view.config.save_results:
        text = f"the result of backtest {name} was deleted; engine/backtest/{name} has its figures"
        raise fault(FaultCode.NOT_FOUND, text)
    return ResultsReply(backtest_id=name, status=view.status, results=found)


async def remove_results(gateway: Gateway, ask: Ask[NoQuery, None]) -> BacktestCommandReply:
    """A backtest without its results. Raises FaultError: `conflict` unless it has completed, `not_found` where none are kept."""
    which = WhichBacktest(backtest_id=ask.path["backtest_id"], request_id=ask.request_id)
    view = await gateway.bus.call(contract.BACKTEST_REMOVE_RESULT, which)
    message = f"the results of backtest {view.backtest_id} are deleted; its figures stay"
    return BacktestCommandReply(message=message, backtest_id=view.backtest_id, status=view.status)


async def list_backtests(gateway: Gateway, ask: Ask[BacktestListQuery, None]) -> BacktestsReply:
    """Backtests newest first: those of no study, or those of the study in the path."""
    query = ask.query
    request = ListBacktests(
        status=query.status, study_id=ask.path.get("study_id"), limit=query.limit, cursor=query.cursor
    )
    found = await gateway.bus.call(contract.BACKTEST_LIST, request)
    shown = tuple(views.backtest_summary(view) for view in found.backtests)
    return BacktestsReply(backtests=shown, total_count=found.total_count, next=found.next)


async def cancel_backtest(gateway: Gateway, ask: Ask[NoQuery, None]) -> BacktestCommandReply:
    """A backtest whose process is gone. Raises FaultError `conflict` when it had ended, `outcome_unknown` when it may still run."""
    which = WhichBacktest(backtest_id=ask.path["backtest_id"], request_id=ask.request_id)
    view = await gateway.bus.call(contract.BACKTEST_CANCEL, which)
    gateway.fleet.hear(view)  # it is not to be shown as running by whoever asks next
    refuse_unless_cancelled(view.status, f"backtest {view.backtest_id}", {"backtest_id": view.backtest_id})
    message = f"backtest {view.backtest_id} is cancelled, and nothing of it runs any more"
    return BacktestCommandReply(message=message, backtest_id=view.backtest_id, status=view.status)


async def compare_backtests(gateway: Gateway, ask: Ask[CompareQuery, None]) -> ComparisonReply:
    """Completed backtests side by side."""
    return await _compared(gateway, ask.query.ids)


async def compare_posted(gateway: Gateway, ask: Ask[NoQuery, CompareBody]) -> ComparisonReply:
    """The same, of the backtests that the body names."""
    return await _compared(gateway, ask.body.backtest_ids)


async def _compared(gateway: Gateway, backtest_ids: tuple[str, ...]) -> ComparisonReply:
    request = CompareBacktests(backtest_ids=backtest_ids)
    found = await gateway.bus.call(contract.BACKTEST_COMPARE, request)
    shown = tuple(views.backtest_summary(view) for view in found.backtests)
    return ComparisonReply(backtests=shown, parameters=found.parameters)


async def verify_backtest(gateway: Gateway, ask: Ask[NoQuery, VerifyBody]) -> VerifyReply:
    """A run again from the manifest, or how it stands."""
    request = VerifyBacktest(
        backtest_id=ask.path["backtest_id"],
        verify_id=ask.body.verify_id,
        wants_report=ask.body.wants_report,
        request_id=ask.request_id,
    )
    verdict = await gateway.bus.call(contract.BACKTEST_VERIFY, request)
    return VerifyReply(
        message=views.verdict_message(verdict), backtest_id=verdict.backtest_id, verdict=verdict
    )


async def running_backtests(gateway: Gateway) -> tuple[dict[str, ActiveBacktest], int | None]:
    """Those that run, by id, and how many there are; None when nobody could tell, which fails no status."""
    if gateway.fleet.is_current:
        known = gateway.fleet.running_backtests()
        return {view.backtest_id: views.active_backtest(view) for view in known}, len(known)
    request = ListBacktests(status=BacktestStatus.RUNNING)
    try:
        found = await gateway.bus.call(contract.BACKTEST_LIST, request, timeout_s=_STATUS_TIMEOUT_S)
    except FaultError as error:
        log.warning("backtests not read for a status", error=str(error))
        return {}, None
    return {view.backtest_id: views.active_backtest(view) for view in found.backtests}, found.total_count


def refuse_unless_cancelled(status: BacktestStatus, what: str, known: dict[str, Any]) -> None:
    """Raises FaultError unless it is cancelled: `conflict` for what ended otherwise, `outcome_unknown` for what has not."""
    if status is BacktestStatus.CANCELLED:
        return
    if status.is_final:
        problem = Fault(code=FaultCode.CONFLICT, message=f"{what} had {status} before it could be cancelled")
    else:
        message = f"{what} is not confirmed to have stopped, it is {status}"
        problem = Fault(code=FaultCode.OUTCOME_UNKNOWN, message=message)
    raise RefusedError(problem, {**known, "status": str(status)})


async def _results(gateway: Gateway, view: BacktestView) -> Results | None:
    summary = views.results_summary(view)
    if summary is None:
        return None
    if not view.config.save_results or view.is_result_gone:
        return views.results(view, summary, None, None, {})
    name = view.backtest_id
    try:
        trades, after_trades = await first_entries(gateway, name, ResultPart.TRADES)
        curve, after_curve = await first_entries(gateway, name, ResultPart.EQUITY_CURVE)
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            raise
        # Deleted by the rules of retention, which leave its figures.
        return await _results(gateway, msgspec.structs.replace(view, is_result_gone=True))
    ends = {ResultPart.TRADES: after_trades, ResultPart.EQUITY_CURVE: after_curve}
    more = {part: offset for part, offset in ends.items() if offset is not None}
    return views.results(view, summary, trades, curve, more)
