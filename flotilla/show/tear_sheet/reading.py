"""Reads what a tear sheet is made from, whoever reads the parts of a result."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from flotilla.schemas.backtest import BacktestStatus, BacktestView, ResultPart
from flotilla.schemas.fault import FaultCode, fault
from flotilla.show.tear_sheet.record import Record

_LISTS: Final = (ResultPart.EQUITY_CURVE, ResultPart.TRADES, ResultPart.ORDERS, ResultPart.FILLS)

Read: TypeAlias = Callable[[ResultPart], Awaitable[Any]]
"""Gives a part as `flotilla.schemas.result_lists.decoded` does. Raises FaultError."""


async def record_from(view: BacktestView, read: Read) -> Record:
    """All that is on record of a backtest. Raises FaultError: `conflict` when it has not completed, and what `read` raises."""
    if view.status is not BacktestStatus.COMPLETED:
        raise fault(FaultCode.CONFLICT, f"backtest {view.backtest_id} has no tear sheet: it is {view.status}")
    manifest, balances, fees = await asyncio.gather(
        *map(read, (ResultPart.MANIFEST, ResultPart.BALANCES, ResultPart.FEES))
    )
    curve, trades, orders, fills = map(tuple, await asyncio.gather(*map(read, _LISTS)))
    return Record(
        view=view,
        manifest=manifest,
        balances=balances,
        fees=fees,
        curve=curve,
        trades=trades,
        orders=orders,
        fills=fills,
        # Not kept in results of before there was a summary.
        open_positions=tuple(await read(ResultPart.OPEN_POSITIONS)) if view.summary else None,
        prices=tuple(await read(ResultPart.PRICES)),
        exposure=tuple(await read(ResultPart.EXPOSURE)),
    )
