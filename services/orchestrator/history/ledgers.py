"""Orders, fills, positions and accounts of all engines, page by page."""

from typing import Any

from flotilla.schemas.history import ReadDays
from flotilla.schemas.labels import matches
from flotilla.schemas.ledger import (
    AccountRow,
    FillRow,
    LedgerName,
    LedgerPage,
    OrderRow,
    PositionRow,
    ReadAccounts,
    ReadFills,
    ReadLedger,
    ReadOrders,
    ReadPositions,
)
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.history.core.cursors import cursor_after, place_of
from flotilla.services.orchestrator.history.ports import LedgerRecord


class Ledgers:
    """The calls `fleet.ledger.*`."""

    def __init__(self, record: LedgerRecord, fleet: Fleet) -> None:
        self._record = record
        self._fleet = fleet

    async def orders(self, question: ReadOrders) -> LedgerPage[OrderRow]:
        """Orders. Raises FaultError `invalid` for a cursor that is none."""
        return await self._page(LedgerName.ORDERS, question)

    async def fills(self, question: ReadFills) -> LedgerPage[FillRow]:
        """Executions. Raises FaultError `invalid` for a cursor that is none."""
        return await self._page(LedgerName.FILLS, question)

    async def positions(self, question: ReadPositions) -> LedgerPage[PositionRow]:
        """Positions. Raises FaultError `invalid` for a cursor that is none."""
        return await self._page(LedgerName.POSITIONS, question)

    async def accounts(self, question: ReadAccounts) -> LedgerPage[AccountRow]:
        """Balances. Raises FaultError `invalid` for a cursor that is none."""
        return await self._page(LedgerName.ACCOUNTS, question)

    async def _page(self, name: LedgerName, question: ReadLedger) -> LedgerPage[Any]:
        after = place_of(question.cursor) if question.cursor else None
        instance_ids = engines_meant(self._fleet, question)
        if instance_ids is not None and not instance_ids:
            return LedgerPage(rows=())
        found = await self._record.page(name, question, instance_ids, after)
        rows = fitting(found)
        is_last = len(rows) == len(found) < question.limit
        return LedgerPage(rows=rows, next=None if is_last or not rows else cursor_after(rows[-1]))


def engines_meant(fleet: Fleet, question: ReadLedger | ReadDays) -> list[str] | None:
    """The engines that a question is about; None for all that ever were."""
    if not question.labels:
        return list(question.instance_ids) or None
    named = set(question.instance_ids)
    return [
        engine.instance_id
        for engine in fleet.recent()
        if matches(engine.shown_config.labels, question.labels) and (not named or engine.instance_id in named)
    ]
