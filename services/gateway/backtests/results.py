"""Parts of a backtest's result: in pages, as files, and its tear sheet."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiohttp import web

from flotilla.schemas import contract
from flotilla.schemas.backtest import ReadResult, ResultPart
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.services.gateway.backtests import download, tables
from flotilla.services.gateway.backtests.queries import ExportQuery, PageQuery
from flotilla.services.gateway.backtests.replies import PartReply
from flotilla.services.gateway.backtests.result_pages import pages
from flotilla.services.gateway.backtests.views import shown
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery

_REPORT_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-downloads"
)
"""A report is one file. What stands in it may draw, and may reach neither us, in the reader's name, nor anybody else."""
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


async def read_report(gateway: Gateway, ask: Ask[NoQuery, None]) -> web.StreamResponse:
    """The tear sheet as one page of HTML. Raises FaultError `not_found` where none was made."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _REPORT_POLICY}
    return await download.send(gateway, ask, _report(gateway, ask.path["backtest_id"]), headers)


async def export_part(gateway: Gateway, ask: Ask[ExportQuery, None]) -> web.StreamResponse:
    """A whole part as a file. Raises FaultError `invalid` for a part that cannot be had in this format."""
    part, kind = ask.query.part, ask.query.format
    if part is ResultPart.REPORT:
        raise invalid(FieldError("part", "the report is HTML; it is at …/report"))
    if kind == "csv" and part not in tables.TABLES:
        raise invalid(FieldError("format", f"{part} is no table; it can be had as json"))
    backtest_id = ask.path["backtest_id"]
    write = _csv if kind == "csv" else _json
    headers = {
        "Content-Type": _MEDIA[kind],
        "Content-Disposition": f'attachment; filename="{backtest_id}-{part}.{kind}"',
    }
    return await download.send(gateway, ask, write(gateway, backtest_id, part), headers)


async def _report(gateway: Gateway, backtest_id: str) -> AsyncIterator[bytes]:
    async for page in pages(gateway, backtest_id, ResultPart.REPORT):
        if not page.total:
            raise fault(FaultCode.NOT_FOUND, f"backtest {backtest_id} has no tear sheet")
        yield "".join(msgspec.json.decode(entry, type=str) for entry in page.entries).encode()


async def _csv(gateway: Gateway, backtest_id: str, part: ResultPart) -> AsyncIterator[bytes]:
    head = tables.csv_text(iter([tables.columns(part)]))
    async for page in pages(gateway, backtest_id, part):
        yield head + tables.csv_text(row for entry in page.entries for row in tables.rows(part, entry))
        head = b""


async def _json(gateway: Gateway, backtest_id: str, part: ResultPart) -> AsyncIterator[bytes]:
    """A list as an array, a document as it is."""
    before, end = (b"[", b"]\n") if tables.is_list(part) else (b"", b"\n")
    async for page in pages(gateway, backtest_id, part):
        yield before + b",\n".join(msgspec.json.encode(shown(part, entry)) for entry in page.entries)
        before = b",\n"
    yield end
