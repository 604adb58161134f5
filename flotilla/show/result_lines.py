"""Brings together what is shown of a backtest: its view, and the parts of its result."""

import asyncio
from typing import Any

from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestStatus, BacktestView, ResultPart
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.show.figure_tables import Told


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
