"""The REST endpoints on HTTP, with the faults that requests meet."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from exchanges.binance.core.exchange import Answer, Asking, Exchange
from exchanges.core.faults import Fault, Faults, Kind


class Pump(Protocol):
    """Keeps and sends what a request brought about; `changed` is whether it may have changed anything."""

    def __call__(self, *, changed: bool) -> None: ...


class Rest:
    """Answers requests. `pump` is called before they are answered."""

    def __init__(self, exchange: Exchange, faults: Faults, clock: Callable[[], int], pump: Pump) -> None:
        self._exchange = exchange
        self._faults = faults
        self._clock = clock
        self._pump = pump

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        asking = await _asking(request)
        fault = self._faults.take(asking.method, asking.path)
        if fault is None:
            return _response(self._do(asking, ""))
        match fault.kind:
            case Kind.REFUSE:
                return self._cut(request, asking, fault)
            case Kind.HANG:
                await asyncio.sleep(fault.seconds)
                return self._cut(request, asking, fault)
            case Kind.REJECT:
                answer = _scripted(fault)
                self._exchange.record(asking, answer, self._clock(), fault.kind)
                return _response(answer)
            case Kind.LATE:
                await asyncio.sleep(fault.seconds)
        return await self._done_with(request, asking, fault)

    async def _done_with(self, request: web.Request, asking: Asking, fault: Fault) -> web.StreamResponse:
        answer = self._do(asking, fault.kind)
        if fault.kind is Kind.UNKNOWN:
            return _response(_scripted(fault))
        if fault.kind in (Kind.SLOW, Kind.SILENT):
            await asyncio.sleep(fault.seconds)
        if fault.kind in (Kind.LOST, Kind.SILENT):
            _abort(request)
            return web.Response()
        return _response(answer)

    def _do(self, asking: Asking, fault: str) -> Answer:
        now_ms = self._clock()
        answer = self._exchange.answer(asking, now_ms)
        self._exchange.record(asking, answer, now_ms, fault)
        self._pump(changed=asking.method != "GET")
        return answer

    def _cut(self, request: web.Request, asking: Asking, fault: Fault) -> web.Response:
        self._exchange.record(asking, None, self._clock(), fault.kind)
        _abort(request)
        return web.Response()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _asking(request: web.Request) -> Asking:
    """The parameters are taken as they were sent, before decoding: that is what was signed. A form counts where there is no query."""
    query, form = request.raw_path.partition("?")[2], await request.text()
    return Asking(
        method=request.method,
        path=request.path,
        query=query or form,
        params=dict(parse_qsl(query or form, keep_blank_values=True)),
        key=request.headers.get("X-MBX-APIKEY", ""),
    )


def _scripted(fault: Fault) -> Answer:
    return Answer(fault.status, {"code": fault.code, "msg": fault.msg}, dict(fault.headers))


def _response(answer: Answer) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer.body),
        status=answer.status,
        headers=answer.headers,
        content_type="application/json",
    )
