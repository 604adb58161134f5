"""Failures as the REST contract has them: a true status, one text in `detail` and `message`, a code, and an id for the log."""

import math
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from flotilla.bus.logs import get_logger
from flotilla.schemas.decoding import MAX_BODY_BYTES
from flotilla.schemas.fault import STATUS, Fault, FaultCode, FaultError
from flotilla.services.gateway.web.accept import PROBLEM, takes_problems
from flotilla.services.gateway.web.failure import Failure

log = get_logger(__name__)


def abort(request: web.Request) -> None:
    """Cuts the connection, so that what was sent does not look whole. Not close(): that waits for what the client does not read."""
    if request.transport is not None:
        request.transport.abort()


MAX_TEXT: Final = 1_000
"""An error repeats what was wrong with the input; not all of it when that is a page of rubbish."""
_RETRY: Final = (FaultCode.UNAVAILABLE, FaultCode.BUSY)
_BY_STATUS: Final = {
    status: code for code, status in STATUS.items() if code not in (FaultCode.CONFIRMATION_REQUIRED,)
}
_OF_HTTP: Final = {405: "method_not_allowed", 415: "unsupported_media_type"}
"""Codes of what only HTTP knows."""
_NOTHING: Final[Mapping[str, Any]] = {}
_FAILED: Final = "the request failed for a reason of ours; the error id finds it in the log"


class RefusedError(FaultError):
    """A failure whose answer also says what is known: `more` are further keys of its body."""

    def __init__(self, problem: Fault, more: Mapping[str, Any]) -> None:
        super().__init__(problem)
        self.more = more


def fault_response(error: FaultError, request: web.Request) -> web.Response:
    """The answer to a fault, ours or the bus's."""
    problem = error.fault
    failure = _failure(str(problem.code), problem.message, problem.error_id)
    failure = msgspec.structs.replace(
        failure,
        errors=tuple(msgspec.structs.replace(one, message=_cut(one.message)) for one in problem.errors),
    )
    more = error.more if isinstance(error, RefusedError) else {}
    return _response(request, problem.status, failure, _headers(problem), more)


def http_response(error: web.HTTPException, request: web.Request) -> web.Response:
    """The answer to what aiohttp refuses by itself: no such path, not this method, too large."""
    kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    match error.status:
        case 404:
            message = "there is nothing here; /docs lists what there is"
        case 405:
            message = f"this path takes {kept.get('Allow', 'another method')}"
        case 413:
            message = f"body is over {MAX_BODY_BYTES} bytes"
        case 415:
            message = "the body must be application/json, in UTF-8"
        case _:
            message = error.reason
    code = _OF_HTTP.get(error.status) or str(_BY_STATUS.get(error.status, FaultCode.MALFORMED))
    return _response(request, error.status, _failure(code, message), kept)


def internal_response(request: web.Request) -> web.Response:
    """The answer to an exception that nobody foresaw. Called while it is handled: it goes into the log, not into the answer."""
    error_id = secrets.token_hex(8)
    log.exception("request failed", error_id=error_id)
    return _response(request, 500, _failure(str(FaultCode.INTERNAL), _FAILED, error_id), {})


def _failure(code: str, message: str, error_id: str = "") -> Failure:
    text = _cut(message)
    return Failure(
        success=False, detail=text, message=text, code=code, error_id=error_id or secrets.token_hex(8)
    )


def _response(
    request: web.Request,
    status: int,
    failure: Failure,
    headers: dict[str, str],
    more: Mapping[str, Any] = _NOTHING,
) -> web.Response:
    # Whoever asks too often is told so as often: that is no news for the log.
    say = log.debug if status == 429 else log.info
    say(
        "request refused",
        status=status,
        code=failure.code,
        message=failure.message,
        error_id=failure.error_id,
    )
    told = msgspec.to_builtins(failure)
    is_problem = takes_problems(request.headers.getall("Accept", []))
    # `status` is a number there, whatever else a body of ours has under that name.
    body = msgspec.json.encode({**told, **more, **told, **(_problem(status, failure) if is_problem else {})})
    media = PROBLEM if is_problem else "application/json"
    return web.Response(status=status, body=body, content_type=media, headers={**headers, "Vary": "Accept"})


def _problem(status: int, failure: Failure) -> dict[str, Any]:
    """What RFC 9457 adds. `instance` is relative to the URL that was asked for; `code` says more than a `type` would."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "instance": f"#{failure.error_id}"}


def _headers(problem: Fault) -> dict[str, str]:
    if problem.code == FaultCode.UNAUTHENTICATED:
        return {"WWW-Authenticate": 'Bearer realm="flotilla"'}
    if problem.retry_after_s is not None or problem.code in _RETRY:
        return {"Retry-After": str(max(1, math.ceil(problem.retry_after_s or 1)))}
    return {}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
