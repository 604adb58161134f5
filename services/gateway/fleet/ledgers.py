"""Ledgers over all engines: pages as JSON, and whole as files, which are sent page by page."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from flotilla.schemas import contract
from flotilla.schemas.contract import Call
from flotilla.schemas.labels import read_labels
from flotilla.schemas.ledger import (
    LEDGER_ROWS,
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
    cells,
)
from flotilla.services.gateway.backtests.results import send
from flotilla.services.gateway.fleet.ledger_queries import (
    AccountsExport,
    AccountsQuery,
    FillsExport,
    FillsQuery,
    LedgerFilter,
    OrdersExport,
    OrdersQuery,
    PositionsExport,
    PositionsQuery,
    TradedFilter,
)
from flotilla.services.gateway.fleet.ledger_replies import (
    AccountsReply,
    FillsReply,
    OrdersReply,
    PositionsReply,
)
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import both, scope_of
from flotilla.services.gateway.web.inputs import Ask

_PAGE: Final = 1000
_MEDIA: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_CALLS: Final[Mapping[LedgerName, Call[Any, Any]]] = {
    LedgerName.ORDERS: contract.LEDGER_ORDERS,
    LedgerName.FILLS: contract.LEDGER_FILLS,
    LedgerName.POSITIONS: contract.LEDGER_POSITIONS,
    LedgerName.ACCOUNTS: contract.LEDGER_ACCOUNTS,
}


async def list_orders(gateway: Gateway, ask: Ask[OrdersQuery, None]) -> OrdersReply:
    """A page of orders."""
    page: LedgerPage[OrderRow] = await _page(gateway, ask, LedgerName.ORDERS, _orders(ask.query))
    return OrdersReply(orders=page.rows, count=len(page.rows), next=page.next)


async def list_fills(gateway: Gateway, ask: Ask[FillsQuery, None]) -> FillsReply:
    """A page of executions."""
    page: LedgerPage[FillRow] = await _page(gateway, ask, LedgerName.FILLS, _fills(ask.query))
    return FillsReply(fills=page.rows, count=len(page.rows), next=page.next)


async def list_positions(gateway: Gateway, ask: Ask[PositionsQuery, None]) -> PositionsReply:
    """A page of positions."""
    page: LedgerPage[PositionRow] = await _page(gateway, ask, LedgerName.POSITIONS, _positions(ask.query))
    return PositionsReply(positions=page.rows, count=len(page.rows), next=page.next)


async def list_accounts(gateway: Gateway, ask: Ask[AccountsQuery, None]) -> AccountsReply:
    """A page of balances."""
    page: LedgerPage[AccountRow] = await _page(gateway, ask, LedgerName.ACCOUNTS, _accounts(ask.query))
    return AccountsReply(accounts=page.rows, count=len(page.rows), next=page.next)


async def export_orders(gateway: Gateway, ask: Ask[OrdersExport, None]) -> web.StreamResponse:
    """All orders that the filters keep, as a file."""
    return await _export(gateway, ask, LedgerName.ORDERS, _orders(ask.query))


async def export_fills(gateway: Gateway, ask: Ask[FillsExport, None]) -> web.StreamResponse:
    """All executions that the filters keep, as a file."""
    return await _export(gateway, ask, LedgerName.FILLS, _fills(ask.query))


async def export_positions(gateway: Gateway, ask: Ask[PositionsExport, None]) -> web.StreamResponse:
    """All positions that the filters keep, as a file."""
    return await _export(gateway, ask, LedgerName.POSITIONS, _positions(ask.query))


async def export_accounts(gateway: Gateway, ask: Ask[AccountsExport, None]) -> web.StreamResponse:
    """All balances that the filters keep, as a file."""
    return await _export(gateway, ask, LedgerName.ACCOUNTS, _accounts(ask.query))


def _orders(query: OrdersQuery | OrdersExport) -> ReadOrders:
    return ReadOrders(**_traded(query), statuses=query.status, is_open=query.open)


def _fills(query: FillsQuery | FillsExport) -> ReadFills:
    return ReadFills(**_traded(query))


def _positions(query: PositionsQuery | PositionsExport) -> ReadPositions:
    return ReadPositions(**_traded(query), is_open=query.open)


def _accounts(query: AccountsQuery | AccountsExport) -> ReadAccounts:
    return ReadAccounts(**_common(query), is_latest=query.latest)


def _traded(query: TradedFilter) -> dict[str, Any]:
    names = {
        "instrument_ids": query.instrument_id,
        "strategy_ids": query.strategy_id,
        "sides": query.side,
    }
    return {**_common(query), **names}


def _common(query: LedgerFilter) -> dict[str, Any]:
    return {
        "instance_ids": query.engine,
        "labels": read_labels(query.label, "label"),
        "session_id": query.session_id,
        "venues": query.venue,
        "since": query.since,
        "until": query.until,
        "order": query.order,
        "cursor": getattr(query, "cursor", None),
        "limit": getattr(query, "limit", _PAGE),
    }


async def _page(gateway: Gateway, ask: Ask[Any, None], name: LedgerName, question: ReadLedger) -> Any:
    """A page of what the token may see."""
    labels = both(scope_of(ask), question.labels)
    if labels is None:
        return LedgerPage(rows=())
    return await gateway.bus.call(_CALLS[name], msgspec.structs.replace(question, labels=labels))


async def _export(
    gateway: Gateway, ask: Ask[Any, None], name: LedgerName, question: ReadLedger
) -> web.StreamResponse:
    form = ask.query.format
    headers = {
        "Content-Type": _MEDIA[form],
        "Content-Disposition": f'attachment; filename="{name}.{form}"',
    }
    pieces = (_csv if form == "csv" else _json)(name, _pages(gateway, ask, name, question))
    return await send(gateway, ask, pieces, headers)


async def _pages(
    gateway: Gateway, ask: Ask[Any, None], name: LedgerName, question: ReadLedger
) -> AsyncIterator[tuple[Any, ...]]:
    """The rows of each page; one page at least."""
    while True:
        page = await _page(gateway, ask, name, question)
        yield page.rows
        if page.next is None:
            return
        question = msgspec.structs.replace(question, cursor=page.next)


async def _csv(name: LedgerName, pages: AsyncIterator[tuple[Any, ...]]) -> AsyncIterator[bytes]:
    head = _csv_text([LEDGER_ROWS[name].__struct_fields__])
    async for rows in pages:
        yield head + _csv_text([cells(row) for row in rows])
        head = b""


def _csv_text(table: list[tuple[Any, ...]]) -> bytes:
    """Rows as RFC 4180 has them; what is null is empty."""
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode()


async def _json(_: LedgerName, pages: AsyncIterator[tuple[Any, ...]]) -> AsyncIterator[bytes]:
    before = b"["
    async for rows in pages:
        if rows:
            yield before + b",\n".join(map(msgspec.json.encode, rows))
            before = b",\n"
    yield (b"[" if before == b"[" else b"") + b"]\n"
