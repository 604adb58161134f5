"""The tear sheet of a backtest as a page: NautilusTrader's where one was drawn, else ours, made from the record when it is asked for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from aiohttp import web

from flotilla.schemas import contract
from flotilla.schemas.backtest import BacktestView, ResultPart, WhichBacktest
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.result_lists import decoded
from flotilla.services.gateway.backtests.queries import ReportQuery
from flotilla.services.gateway.backtests.result_pages import pages
from flotilla.services.gateway.backtests.results import send
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.show.tear_sheet.reading import record_from
from flotilla.show.tear_sheet.sheet import tear_sheet

MAX_ENTRIES: Final = 100_000
"""So many entries of one list are read into this process at most; a sheet of more is made by whoever wants it, with the client."""
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-downloads"
)
"""A report is one file. What stands in it may draw, and may reach neither us, in the reader's name, nor anybody else."""


async def read_report(gateway: Gateway, ask: Ask[ReportQuery, None]) -> web.StreamResponse:
    """One page of HTML. Raises FaultError: `conflict` where it has not completed, `not_found` without a saved result, `too_large`."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY}
    which = WhichBacktest(backtest_id=ask.path["backtest_id"])
    view = await gateway.bus.call(contract.BACKTEST_GET, which)
    is_theirs = view.has_report or ask.query.nautilus
    pieces = _drawn(gateway, view.backtest_id) if is_theirs else _ours(gateway, view)
    return await send(gateway, ask, pieces, headers)


async def _drawn(gateway: Gateway, backtest_id: str) -> AsyncIterator[bytes]:
    async for page in pages(gateway, backtest_id, ResultPart.REPORT):
        if not page.total:
            raise fault(FaultCode.NOT_FOUND, f"backtest {backtest_id} has no tear sheet of NautilusTrader's")
        yield "".join(msgspec.json.decode(entry, type=str) for entry in page.entries).encode()


async def _ours(gateway: Gateway, view: BacktestView) -> AsyncIterator[bytes]:
    async def read(part: ResultPart) -> Any:
        entries: list[msgspec.Raw] = []
        async for page in pages(gateway, view.backtest_id, part):
            if page.total > MAX_ENTRIES:
                text = (
                    f"backtest {view.backtest_id} has {page.total:,} {part}, and {MAX_ENTRIES:,} are read for a page at most: "
                    f"flotilla backtest report {view.backtest_id} makes the sheet, and POST backtests/{view.backtest_id}/verify "
                    'with {"wants_report": true} has NautilusTrader\'s drawn'
                )
                raise fault(FaultCode.TOO_LARGE, text)
            entries += page.entries
        return decoded(part, entries)

    # One at a time, since each is held whole; in a thread, since it takes up to a second.
    async with gateway.drawing:
        record = await record_from(view, read)
        html = await asyncio.to_thread(tear_sheet, record)
    yield html.encode()
