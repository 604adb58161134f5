"""The aiohttp application: made from the table of routes, it checks rights and input, and answers in the contract's envelopes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from flotilla.bus.logs import bind, get_logger
from flotilla.schemas.access import TokenRecord
from flotilla.schemas.audit import Caller
from flotilla.schemas.decoding import MAX_BODY_BYTES
from flotilla.schemas.fault import Fault, FaultCode, FaultError, fault
from flotilla.schemas.ids import new_request_id
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import engine_of, narrowed
from flotilla.services.gateway.routes.route import Route
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.services.gateway.web.answer import response, tagged
from flotilla.services.gateway.web.auth import API_KEY, identify, permit
from flotilla.services.gateway.web.errors import fault_response, http_response, internal_response
from flotilla.services.gateway.web.inputs import Ask, read_body, read_path, read_query, read_request_id
from flotilla.services.gateway.web.origins import check_host, check_origin
from flotilla.services.gateway.web.sessions import COOKIE, CSRF_HEADER, check_csrf

log = get_logger(__name__)

_NOTHING_RUNS: Final = "default-src 'none'; frame-ancestors 'none'"
"""For everything that is no page."""
_NOISE: Final = frozenset(
    {"/healthz", "/readyz", "/metrics", *(route.path for route in ROUTES if route.is_polled)}
)
"""What probes and pages ask for all the time would hide what people do, unless it fails. The figures count it."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REQUEST_ID: Final = web.RequestKey("request_id", str)
_TOKEN: Final = web.RequestKey("token", TokenRecord)
SPEAKS_FOR: ContextVar[Caller | None] = ContextVar("speaks for", default=None)
"""Whose request this task answers: what the gateway asks of others for it is asked in that name."""
SCOPE: ContextVar[Mapping[str, str]] = ContextVar("scope", default=MappingProxyType({}))
"""The labels to which that request is limited: the orchestrator holds its commands against them too."""

type Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(gateway: Gateway) -> web.Application:
    """The application, ready to be served."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_conversation(gateway)])
    app.on_response_prepare.append(_common_headers(gateway.settings.origins))
    # The router tries one path after the other: those that are asked for most come first.
    for route in sorted(ROUTES, key=lambda route: not route.is_polled):
        if route.method == "GET" and not route.is_stream:
            app.router.add_get(route.path, _endpoint(gateway, route), name=route.name)
        else:
            app.router.add_route(route.method, route.path, _endpoint(gateway, route), name=route.name)
    gateway.dashboard.add_to(app)
    return app


def _conversation(gateway: Gateway) -> Any:
    """One request from its first byte to its line in the log."""

    @web.middleware
    async def converse(request: web.Request, handler: Next) -> web.StreamResponse:
        started = time.perf_counter()
        try:
            request[_REQUEST_ID] = read_request_id(request.headers) or new_request_id()
            refusal = None
        except FaultError as error:
            request[_REQUEST_ID] = new_request_id()
            refusal = error
        with bind(request_id=request[_REQUEST_ID]), gateway.door.handling(request.transport):
            response = (
                fault_response(refusal, request) if refusal else await _answer(gateway, request, handler)
            )
            seconds = time.perf_counter() - started
            path = _route_path(request)
            method = request.method if request.method in _METHODS else "OTHER"
            gateway.meter.observe(method, path, response.status, seconds)
            _log_access(
                request,
                response,
                seconds,
                is_noise=method == "GET" and path in _NOISE and response.status < 400,
            )
        return response

    return converse


async def _answer(gateway: Gateway, request: web.Request, handler: Next) -> web.StreamResponse:
    try:
        _check_names(gateway, request)
        if preflight := _preflight(gateway, request):
            return preflight
        return await handler(request)
    except FaultError as error:
        return fault_response(error, request)
    except web.HTTPException as error:
        return http_response(error, request)
    except Exception:  # noqa: BLE001 - logged with its traceback by internal_response
        return internal_response(request)


def _check_names(gateway: Gateway, request: web.Request) -> None:
    """Raises FaultError for a request that a page of somebody else's may have made a browser send."""
    hosts = request.headers.getall("Host", [])
    check_host(hosts, gateway.settings.names)
    check_origin(request.headers.getall("Origin", []), hosts, gateway.settings.origins)


def _endpoint(gateway: Gateway, route: Route) -> Next:
    is_open = route.is_open or (route.may_be_open and gateway.settings.metrics_open)

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if route.role is not None and not (is_open and _is_nobody(request)):
                _admit(gateway, request, route)
            ask = await _read(gateway, request, route)
            if ask.token is not None:
                ask = await narrowed(gateway, route.about, ask.token, ask)
        except FaultError as error:
            _turned_away(gateway, request, route, error.fault)
            raise
        if not route.may_change_engines:
            return await _answered(gateway, request, route, ask)
        try:
            return await _answered(gateway, request, route, ask)
        finally:
            # Also where it failed, or the client left: it may have been carried out all the same.
            gateway.reads.doubt(engine_of(ask))
            gateway.containers.forget()

    return answer


async def _answered(
    gateway: Gateway, request: web.Request, route: Route, ask: Ask[Any, Any]
) -> web.StreamResponse:
    whole = response(await route.handler(gateway, ask), request.headers.getall("Accept", []))
    if route.has_etag and isinstance(whole, web.Response) and whole.status == 200:
        return tagged(whole, request.headers.getall("If-None-Match", []))
    return whole


def _admit(gateway: Gateway, request: web.Request, route: Route) -> None:
    """Raises FaultError for who may not do it: `busy` for who asks too often, with or without a good token."""
    token = _whose(gateway, request)
    request[_TOKEN] = token
    SCOPE.set(token.labels)
    SPEAKS_FOR.set(Caller(name=token.name, origin=request.remote or "", via="rest"))
    if not route.is_urgent and (wait_s := gateway.limits.spend(token.name, time.monotonic())) is not None:
        per_s = gateway.settings.rate
        message = f"{token.name} asks more than {per_s:g} times a second"
        raise fault(FaultCode.BUSY, message, retry_after_s=wait_s)
    if route.role is not None:
        permit(token, route.role)


def _is_nobody(request: web.Request) -> bool:
    """True for a request that says nothing of who sends it."""
    return (
        not any(name in request.headers for name in ("Authorization", API_KEY))
        and COOKIE not in request.cookies
    )


def _whose(gateway: Gateway, request: web.Request) -> TokenRecord:
    """A good token counts also where others of its address have tried too many that are not."""
    headers, keys = request.headers.getall("Authorization", []), request.headers.getall(API_KEY, [])
    try:
        if not headers and not keys and (cookie := request.cookies.get(COOKIE)):
            return _signed_in(gateway, request, cookie)
        return identify(gateway.tokens, headers, keys)
    except FaultError as error:
        if error.fault.code == FaultCode.UNAUTHENTICATED:
            wait_s = gateway.limits.failed(request.remote or "", time.monotonic())
            if wait_s is not None:
                message = "too many requests without a good token came from this address"
                raise fault(FaultCode.BUSY, message, retry_after_s=wait_s) from None
        raise


def _turned_away(gateway: Gateway, request: web.Request, route: Route, problem: Fault) -> None:
    """The audit hears of who had no right, and of changes that made no sense; a question that made none changes nothing."""
    is_about_rights = problem.code in (FaultCode.UNAUTHENTICATED, FaultCode.FORBIDDEN)
    if route.method == "GET" and not is_about_rights:
        return
    subject = f"{route.method} {route.path}"
    caller = SPEAKS_FOR.get() or Caller(origin=request.remote or "", via="rest")
    gateway.refusals.saw(request[_REQUEST_ID], subject, caller, problem)


def _signed_in(gateway: Gateway, request: web.Request, cookie: str) -> TokenRecord:
    """Whose cookie it is. Raises FaultError `unauthenticated`, and `forbidden` for a change that no page of ours asked for."""
    session = gateway.sessions.find(cookie)
    if session is None:
        raise fault(FaultCode.UNAUTHENTICATED, "the session is over, or was none: sign in again")
    if (why := gateway.tokens.ending(session.token)) is not None:
        gateway.sessions.close(cookie)
        raise fault(FaultCode.UNAUTHENTICATED, f"the token of {session.token.name} is no longer good: {why}")
    if request.method not in ("GET", "HEAD"):
        check_csrf(session, request.headers.getall(CSRF_HEADER, []))
    return session.token


async def _read(gateway: Gateway, request: web.Request, route: Route) -> Ask[Any, Any]:
    path = read_path(request.match_info)
    takes = route.signature
    query = read_query(request.query.items() if request.query_string else (), takes.query)
    body = None
    if takes.body is not None:
        instance_id = path.get("instance_id") or getattr(query, "instance_id", None)
        body = read_body(
            await _received(request, gateway.settings.request_s),
            takes.body,
            is_optional=takes.is_body_optional,
            fill={route.id_in_body: instance_id} if instance_id else {},
        )
    return Ask(
        token=request.get(_TOKEN),
        request_id=request[_REQUEST_ID],
        path=path,
        query=query,
        body=body,
        http=request,
    )


async def _received(request: web.Request, within_s: float) -> bytes:
    try:
        async with asyncio.timeout(within_s):
            body = await request.read()
    except TimeoutError:
        raise fault(FaultCode.MALFORMED, f"body did not arrive within {within_s:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise fault(FaultCode.MALFORMED, f"body did not arrive whole: {error}") from None
    if body:
        _check_type(request)
    return body


def _check_type(request: web.Request) -> None:
    """Raises HTTPUnsupportedMediaType for a body that says it is something else than JSON; one that does not say is read as JSON."""
    types = request.headers.getall("Content-Type", [])
    is_json = request.content_type == "application/json" and (request.charset or "utf-8").lower() == "utf-8"
    if len(types) > 1 or (types and not is_json):
        raise web.HTTPUnsupportedMediaType


def _preflight(gateway: Gateway, request: web.Request) -> web.Response | None:
    """A browser asks whether a page of another origin may call us: only one on the list may."""
    if request.method != "OPTIONS" or request.headers.get("Origin") not in gateway.settings.origins:
        return None
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
            "Access-Control-Allow-Headers": f"Authorization, {API_KEY}, {CSRF_HEADER}, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id",
            "Access-Control-Max-Age": "600",
        },
    )


def _common_headers(origins: tuple[str, ...]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Request-Id"] = request[_REQUEST_ID]
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Server"] = "flotilla"
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.setdefault("Content-Security-Policy", _NOTHING_RUNS)
        if origins:
            response.headers.add("Vary", "Origin")
        if (origin := request.headers.get("Origin")) in origins and origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After, ETag"

    return add


def _route_path(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _log_access(
    request: web.Request, response: web.StreamResponse, seconds: float, *, is_noise: bool
) -> None:
    is_noise = is_noise or response.status == 429  # whoever asks too often does so by the hundred
    if is_noise and not log.is_debugging:
        return
    token = request.get(_TOKEN)
    say = log.debug if is_noise else log.info
    say(
        "request",
        method=request.method,
        path=request.path,
        status=response.status,
        ms=round(seconds * 1000, 1),
        caller=token.name if token else None,
        peer=request.remote,
    )
