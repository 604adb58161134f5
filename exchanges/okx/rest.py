"""The REST endpoints on HTTP, with the faults that requests meet."""

import json
from collections.abc import Callable
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from exchanges import answering
from exchanges.answering import Pump
from exchanges.core.faults import Fault, Faults
from exchanges.okx.core.auth import Signed
from exchanges.okx.core.exchange import Answer, Asking, Exchange


class Rest:
    """Answers requests. `pump` is called before they are answered."""

    def __init__(self, exchange: Exchange, faults: Faults, clock: Callable[[], int], pump: Pump) -> None:
        self._exchange = exchange
        self._faults = faults
        self._clock = clock
        self._pump = pump

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        try:
            asking = await _asking(request)
        except ValueError:
            body = {"code": "50002", "msg": "JSON syntax error", "data": []}
            return _response(Answer(400, dict(body)))

        def do(fault: str) -> web.Response:
            now_ms = self._clock()
            answer = self._exchange.answer(asking, now_ms)
            self._exchange.record(asking, answer, now_ms, fault)
            self._pump(changed=asking.method != "GET")
            return _response(answer)

        def skip(fault: Fault, *, answered: bool) -> None:
            answer = _scripted(fault) if answered else None
            self._exchange.record(asking, answer, self._clock(), fault.kind)

        met = self._faults.take(asking.method, asking.path)
        return await answering.answer(
            request, met, do=do, skip=skip, script=lambda fault: _response(_scripted(fault), fault)
        )


async def _asking(request: web.Request) -> Asking:
    """Raises: ValueError: if the body is no JSON object, or array of them."""
    body = await request.text()
    sent = json.loads(body) if body else dict(parse_qsl(request.query_string, keep_blank_values=True))
    params = sent if isinstance(sent, list) else [sent]
    if not all(isinstance(one, dict) for one in params):
        raise ValueError("not an object")
    headers = request.headers
    signed = Signed(
        key=headers.get("OK-ACCESS-KEY", ""),
        passphrase=headers.get("OK-ACCESS-PASSPHRASE", ""),
        moment=headers.get("OK-ACCESS-TIMESTAMP", ""),
        sign=headers.get("OK-ACCESS-SIGN", ""),
        text=f"{request.method}{request.raw_path}{body}",
    )
    return Asking(method=request.method, path=request.path, params=params, signed=signed)


def _scripted(fault: Fault) -> Answer:
    return Answer(fault.status, {"code": str(fault.code), "msg": fault.msg, "data": []})


def _response(answer: Answer, fault: Fault | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer.body),
        status=answer.status,
        headers=dict(fault.headers) if fault else {},
        content_type="application/json",
    )
