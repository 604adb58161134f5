"""Ledgers on PostgreSQL, on the connections of the record; see the port for what each method does."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.ledger import (
    LEDGER_ROWS,
    LedgerName,
    LedgerOrder,
    ReadAccounts,
    ReadLedger,
    ReadOrders,
    ReadPositions,
    ReadTraded,
)
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.adapters.rows import SQL
from flotilla.services.orchestrator.history.core.cursors import Place

_ORDERS: Final = {
    LedgerOrder.NEWEST: {"way": "desc", "beyond": "<"},
    LedgerOrder.OLDEST: {"way": "asc", "beyond": ">"},
}
_SQL: Final = {
    (name, order): SQL[f"ledger_{name}"].format(**words)
    for name in LedgerName
    for order, words in _ORDERS.items()
}


class PostgresLedgers:
    """The part of the record that is about ledgers."""

    def __init__(self, record: PostgresRecord) -> None:
        self._record = record

    async def page(
        self, name: LedgerName, question: ReadLedger, instance_ids: Sequence[str] | None, after: Place | None
    ) -> list[Any]:
        values = (*_common(question, instance_ids, after), *_own(question))
        async with self._record.transaction() as connection:
            # One plan for all filters would be none for any.
            await connection.execute(SQL["plan_anew"])
            found = await connection.fetch(_SQL[name, question.order], *values)
        return [_row(name, row) for row in found]


def _common(question: ReadLedger, instance_ids: Sequence[str] | None, after: Place | None) -> tuple[Any, ...]:
    place = (after.at, after.session_id, after.seq) if after else (None, None, None)
    return (
        *(_listed(instance_ids), question.session_id, _listed(question.venues)),
        *(question.since, question.until, *place, question.limit),
    )


def _own(question: ReadLedger) -> tuple[Any, ...]:
    """The values that the ledger's own statement takes besides the common ones."""
    traded: tuple[Any, ...] = ()
    if isinstance(question, ReadTraded):
        lists = (question.instrument_ids, question.strategy_ids, question.sides)
        traded = tuple(map(_listed, lists))
    match question:
        case ReadOrders():
            return (*traded, _listed(question.statuses), question.is_open)
        case ReadPositions():
            return (*traded, question.is_open)
        case ReadAccounts():
            return (question.is_latest,)
    return traded


def _listed(names: Sequence[str] | None) -> list[str] | None:
    """No names keep everything."""
    return list(names) if names else None


def _row(name: LedgerName, row: Mapping[str, Any]) -> Any:
    facts = dict(row)
    if name is LedgerName.ACCOUNTS:
        facts["balances"] = msgspec.json.decode(facts["balances"])
    return msgspec.convert(facts, LEDGER_ROWS[name])
