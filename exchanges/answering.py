"""How a request over HTTP is answered when a fault meets it: done or not, answered or not, now or later."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from exchanges.core.faults import Fault, Kind


class Pump(Protocol):
    """Keeps and sends what a request brought about; `changed` is whether it may have changed anything."""

    def __call__(self, *, changed: bool) -> None: ...


class Skip(Protocol):
    """Puts a request on record that was not done, though perhaps answered."""

    def __call__(self, fault: Fault, *, answered: bool) -> None: ...


async def answer(
    request: web.Request,
    fault: Fault | None,
    *,
    do: Callable[[str], web.Response],
    skip: Skip,
    script: Callable[[Fault], web.Response],
) -> web.StreamResponse:
    """Answers a request. `do` does it and puts it on record with the fault's name, `skip` only puts it on record, `script` is what the fault says."""
    if fault is None:
        return do("")
    if fault.kind is Kind.REJECT:
        skip(fault, answered=True)
        return script(fault)
    if fault.kind in (Kind.HANG, Kind.LATE):
        await asyncio.sleep(fault.seconds)
    if fault.kind in (Kind.REFUSE, Kind.HANG):
        skip(fault, answered=False)
        return _cut(request)
    answered = do(fault.kind)
    if fault.kind is Kind.UNKNOWN:
        return script(fault)
    if fault.kind in (Kind.SLOW, Kind.SILENT):
        await asyncio.sleep(fault.seconds)
    return _cut(request) if fault.kind in (Kind.LOST, Kind.SILENT) else answered


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
