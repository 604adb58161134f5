"""What an operator can ask of the past: ledgers over all engines, and what each measured."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.contract import Call
from flotilla.schemas.history import DayStarts, History, ReadDays, ReadHistory
from flotilla.schemas.ledger import (
    LEDGER_QUESTIONS,
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
from flotilla.schemas.logs import FoundLogs, SearchLogs
from flotilla.schemas.record import ReadRecord, RecordKept

_PAGE: Final = 1000
_CALLS: Final[dict[LedgerName, Call[Any, Any]]] = {
    LedgerName.ORDERS: contract.LEDGER_ORDERS,
    LedgerName.FILLS: contract.LEDGER_FILLS,
    LedgerName.POSITIONS: contract.LEDGER_POSITIONS,
    LedgerName.ACCOUNTS: contract.LEDGER_ACCOUNTS,
}


class HistoryCalls:
    """The past of all engines. Every call raises FaultError when it is refused."""

    bus: Bus

    async def orders(self, **filters: Any) -> LedgerPage[OrderRow]:
        """A page of orders; the filters are the fields of ReadOrders."""
        return await self.bus.call(contract.LEDGER_ORDERS, msgspec.convert(filters, ReadOrders))

    async def fills(self, **filters: Any) -> LedgerPage[FillRow]:
        """A page of executions; the filters are the fields of ReadFills."""
        return await self.bus.call(contract.LEDGER_FILLS, msgspec.convert(filters, ReadFills))

    async def positions(self, **filters: Any) -> LedgerPage[PositionRow]:
        """A page of positions; the filters are the fields of ReadPositions."""
        return await self.bus.call(contract.LEDGER_POSITIONS, msgspec.convert(filters, ReadPositions))

    async def accounts(self, **filters: Any) -> LedgerPage[AccountRow]:
        """A page of balances; the filters are the fields of ReadAccounts."""
        return await self.bus.call(contract.LEDGER_ACCOUNTS, msgspec.convert(filters, ReadAccounts))

    async def history(self, instance_id: str, **chosen: Any) -> History:
        """What an engine measured over time; what is chosen are the fields of ReadHistory."""
        question = msgspec.convert({"instance_id": instance_id, **chosen}, ReadHistory)
        return await self.bus.call(contract.HISTORY_READ, question)

    async def day_starts(self, **chosen: Any) -> DayStarts:
        """The equity with which engines began the day; what is chosen are the fields of ReadDays."""
        return await self.bus.call(contract.HISTORY_DAYS, msgspec.convert(chosen, ReadDays))

    async def search_logs(self, **filters: Any) -> FoundLogs:
        """Lines in the logs of all engines, newest first, as far as one answer looks; the filters are the fields of SearchLogs."""
        return await self.bus.call(contract.LOG_SEARCH, msgspec.convert(filters, SearchLogs))

    async def record(self) -> RecordKept:
        """What is on record, for how long it is kept, and what was deleted."""
        return await self.bus.call(contract.RECORD_KEPT, ReadRecord())

    async def ledger_page(self, name: LedgerName, question: ReadLedger) -> LedgerPage[Any]:
        """A page of the ledger with this name."""
        page: LedgerPage[Any] = await self.bus.call(_CALLS[name], question)
        return page

    async def all_rows(self, name: LedgerName | str, **filters: Any) -> AsyncIterator[Any]:
        """Every row of a ledger that the filters keep, page by page."""
        ledger = LedgerName(name)
        question: ReadLedger = msgspec.convert({"limit": _PAGE, **filters}, LEDGER_QUESTIONS[ledger])
        while True:
            page = await self.ledger_page(ledger, question)
            for row in page.rows:
                yield row
            if page.next is None:
                return
            question = msgspec.structs.replace(question, cursor=page.next)
