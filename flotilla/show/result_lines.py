"""Brings together what is shown of a backtest: its view, and the parts of its result."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flotilla.bus.files import whole_file
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestStatus, BacktestView, ResultPart
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.show.figure_tables import Told

REPORT_S: Final = 30.0
"""A tear sheet is made after its backtest has completed."""
_POLL_S: Final = 0.2


async def told(fleet: Flotilla, backtest: BacktestView, *, with_trades: bool = False) -> Told:
    """What is shown beside the view; nothing of a backtest that has no result, or whose result was not saved."""
    if backtest.status is not BacktestStatus.COMPLETED:
        return Told()
    parts = [ResultPart.BALANCES, ResultPart.FEES, ResultPart.EQUITY_CURVE]
    parts += [ResultPart.TRADES] if with_trades else []
    try:
        balances, fees, curve, *trades = await asyncio.gather(
            *(fleet.backtest_result(backtest.backtest_id, part) for part in parts)
        )
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            raise
        return Told()
    return Told(
        balances=balances, fees=fees, curve=tuple(curve), trades=tuple(trades[0]) if with_trades else ()
    )


def document(backtest: BacktestView, shown: Told) -> dict[str, Any]:
    """The same for programs; the lists are left to `backtest export`."""
    return {"backtest": backtest, "balances": shown.balances, "fees": shown.fees}


async def save_report(fleet: Flotilla, backtest_id: str, out: Path, *, timeout_s: float = REPORT_S) -> None:
    """Writes the tear sheet of a completed backtest, whole or not at all; waits for one that is still being made.

    Raises FaultError `not_found` when there is none, `conflict` when the backtest has not completed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        view = await fleet.backtest(backtest_id)
        if not _is_coming(view) or loop.time() > deadline:
            break
        await asyncio.sleep(_POLL_S)
    html = await fleet.backtest_result(backtest_id, ResultPart.REPORT)
    with whole_file(out) as made:
        made.write_text(html)


def _is_coming(view: BacktestView) -> bool:
    """True while the tear sheet may be in the making; those of studies have none."""
    if view.status is not BacktestStatus.COMPLETED or view.has_report or view.completed_at is None:
        return False
    age = datetime.now(UTC) - view.completed_at
    return view.study_id is None and age.total_seconds() < REPORT_S
