"""Parts of a backtest's result: in pages, and as files."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.backtest import ExposurePoint, OpenPosition, PricePoint, ReadResult, ResultPart
from flotilla.schemas.fault import FaultError, FieldError, invalid
from flotilla.schemas.telemetry import Fill, OrderUpdate
from flotilla.services.gateway.backtests.queries import ExportQuery, PageQuery
from flotilla.services.gateway.backtests.replies import CurvePoint, PartReply, Trade
from flotilla.services.gateway.backtests.result_pages import pages
from flotilla.services.gateway.backtests.views import shown
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.errors import abort
from flotilla.services.gateway.web.inputs import Ask

log = get_logger(__name__)


async def send[Q](
    gateway: Gateway, ask: Ask[Q, None], pieces: AsyncIterator[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    """Sends all pieces. A fault of the first one is raised; after a later one the connection is cut, so nobody takes it for whole."""
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers=dict(headers))
    try:
        await response.prepare(ask.http)
        if ask.http.method != "HEAD":
            await _write(gateway, response, first)
            async for piece in pieces:
                await _write(gateway, response, piece)
        await response.write_eof()
    except (FaultError, TimeoutError) as error:
        log.warning("answer cut short", path=ask.http.path, error=str(error) or "the client reads nothing")
        abort(ask.http)
    except ConnectionError:
        log.debug("client left before the end", path=ask.http.path)
    return response


async def _write(gateway: Gateway, response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(gateway.settings.stream_write_timeout_s):
        await response.write(piece)


_LISTS: Final[Mapping[ResultPart, Any]] = {
    ResultPart.TRADES: Trade,
    ResultPart.EQUITY_CURVE: CurvePoint,
    ResultPart.ORDERS: OrderUpdate,
    ResultPart.FILLS: Fill,
    ResultPart.OPEN_POSITIONS: OpenPosition,
    ResultPart.PRICES: PricePoint,
    ResultPart.EXPOSURE: ExposurePoint,
}
_DOCUMENTS: Final = {
    ResultPart.BALANCES: ("currency", "amount"),
    ResultPart.FEES: ("currency", "amount"),
    ResultPart.STATISTICS: ("of", "statistic", "value"),
}
TABLES: Final = frozenset({*_LISTS, *_DOCUMENTS})
"""The parts that are tables; the others are documents only."""


def is_list(part: ResultPart) -> bool:
    """False for a part that is one document."""
    return part in _LISTS


def columns(part: ResultPart) -> tuple[str, ...]:
    """The head of the table."""
    return _DOCUMENTS[part] if part in _DOCUMENTS else _LISTS[part].__struct_fields__


def rows(part: ResultPart, entry: msgspec.Raw) -> Iterator[tuple[Any, ...]]:
    """The rows of one entry: a list's entry is one, a document has several."""
    if is_list(part):
        value = shown(part, entry)
        value = msgspec.json.decode(value, type=_LISTS[part]) if isinstance(value, msgspec.Raw) else value
        yield msgspec.structs.astuple(value)
        return
    for name, value in msgspec.json.decode(entry).items():
        if part is ResultPart.STATISTICS:
            yield from ((name, statistic, figure) for statistic, figure in value.items())
        else:
            yield name, value


def csv_text(table: Iterator[tuple[Any, ...]]) -> bytes:
    """Rows as RFC 4180 has them; what is null is empty."""
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode()


_MEDIA: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


async def read_part(gateway: Gateway, ask: Ask[PageQuery, None]) -> PartReply:
    """A page of a part. Raises FaultError `not_found`, or `conflict` when the backtest is not completed."""
    part = ResultPart(ask.path["part"])
    request = ReadResult(
        backtest_id=ask.path["backtest_id"], part=part, offset=ask.query.offset, limit=ask.query.limit
    )
    page = await gateway.bus.call(contract.BACKTEST_RESULT, request)
    return PartReply(
        backtest_id=page.backtest_id,
        part=part,
        entries=tuple(shown(part, entry) for entry in page.entries),
        total=page.total,
        offset=ask.query.offset,
        next=page.next,
    )


async def export_part(gateway: Gateway, ask: Ask[ExportQuery, None]) -> web.StreamResponse:
    """A whole part as a file. Raises FaultError `invalid` for a part that cannot be had in this format."""
    part, kind = ask.query.part, ask.query.format
    if part is ResultPart.REPORT:
        raise invalid(FieldError("part", "the report is HTML; it is at …/report"))
    if kind == "csv" and part not in TABLES:
        raise invalid(FieldError("format", f"{part} is no table; it can be had as json"))
    backtest_id = ask.path["backtest_id"]
    write = _csv if kind == "csv" else _json
    headers = {
        "Content-Type": _MEDIA[kind],
        "Content-Disposition": f'attachment; filename="{backtest_id}-{part}.{kind}"',
    }
    return await send(gateway, ask, write(gateway, backtest_id, part), headers)


async def _csv(gateway: Gateway, backtest_id: str, part: ResultPart) -> AsyncIterator[bytes]:
    head = csv_text(iter([columns(part)]))
    async for page in pages(gateway, backtest_id, part):
        yield head + csv_text(row for entry in page.entries for row in rows(part, entry))
        head = b""


async def _json(gateway: Gateway, backtest_id: str, part: ResultPart) -> AsyncIterator[bytes]:
    """A list as an array, a document as it is."""
    before, end = (b"[", b"]\n") if is_list(part) else (b"", b"\n")
    async for page in pages(gateway, backtest_id, part):
        yield before + b",\n".join(msgspec.json.encode(shown(part, entry)) for entry in page.entries)
        before = b",\n"
    yield end
