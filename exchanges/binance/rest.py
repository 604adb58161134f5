"""The REST endpoints on HTTP, with the faults that requests meet."""

from collections.abc import Callable
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from exchanges import answering
from exchanges.answering import Pump
from exchanges.binance.core.exchange import Answer, Asking, Exchange
from exchanges.core.faults import Fault, Faults


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
        met = self._faults.take(asking.method, asking.path)

        def do(fault: str) -> web.Response:
            now_ms = self._clock()
            answer = self._exchange.answer(asking, now_ms)
            self._exchange.record(asking, answer, now_ms, fault)
            self._pump(changed=asking.method != "GET")
            return _response(answer)

        def skip(fault: Fault, *, answered: bool) -> None:
            answer = _scripted(fault) if answered else None
            self._exchange.record(asking, answer, self._clock(), fault.kind)

        return await answering.answer(
            request, met, do=do, skip=skip, script=lambda fault: _response(_scripted(fault))
        )


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
