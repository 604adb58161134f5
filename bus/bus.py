"""Calls, feeds and streams over one hardened connection. Everything said on the bus goes through here."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from nats import errors
from nats.aio.msg import Msg
from nats.js import errors as js_errors

from flotilla.bus.client import Listener, RobustClient
from flotilla.bus.endpoint import Endpoint, Introduction, Witness, headers_of
from flotilla.bus.jwt import Login
from flotilla.bus.logs import get_logger
from flotilla.bus.settings import BusSettings
from flotilla.schemas.contract import Call, Feed, on_host
from flotilla.schemas.decoding import decode
from flotilla.schemas.fault import Fault, FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.subjects import subject, wildcard

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")

log = get_logger(__name__)

CODE_HEADER: Final = "Nats-Service-Error-Code"
ERROR_HEADER: Final = "Nats-Service-Error"
RETRY_S: Final = 0.2
PATIENCE_S: Final = 2.0
"""How long a call goes on looking for a service that is just being restarted."""


class BusStats(msgspec.Struct):
    """Counters of one connection since it was made."""

    reconnects: int = 0
    calls: int = 0
    served: int = 0
    faults: int = 0
    published: int = 0
    dropped: int = 0
    slow_consumer_drops: int = 0


class Bus:
    """One connection to NATS. Made by `connect`; `drain` lets running handlers finish before it closes."""

    def __init__(
        self, client: RobustClient, stats: BusStats, *, login: Login | None = None, obeys: str = ""
    ) -> None:
        self.client = client
        self.stats = stats
        self._login = login
        self._obeys = obeys
        self._js = client.jetstream(timeout=5)
        self._endpoints: list[Endpoint] = []
        self.introduction: Introduction = lambda: None
        """Says with each command whom this connection speaks for."""
        self.scope: Callable[[], Mapping[str, str]] = dict
        """The labels that an engine must carry for that: says so with each command."""
        self.witness: Witness | None = None
        """Told of every command that is answered from now on; set it before `serve`."""
        self._listeners: list[Listener] = []

    def renew(self, jwt: str) -> None:
        """Shows these claims from the next (re)connection on: the server cuts one whose claims have ended, and lets it in again."""
        if self._login is not None:
            self._login.jwt = jwt

    @property
    def is_connected(self) -> bool:
        """False while the connection is down; it comes back by itself."""
        return bool(self.client.is_connected)

    @property
    def certificate_ends(self) -> datetime | None:
        """When the server's certificate ends; None for a connection that is not encrypted."""
        return self.client.certificate_ends

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What this connection serves."""
        return tuple(self._endpoints)

    async def call(self, call: Call[Q, R], request: Q, *, timeout_s: float | None = None, **ids: str) -> R:
        """Asks and waits for the answer.

        `ids` fill the subject; `host` sends a supervisor's call to that host. A command without a request id gets one. Raises
        FaultError: what the service answered, `unavailable` when nobody can have got the request, `outcome_unknown` when a
        command was sent and no answer came in time.
        """
        if call.is_command and getattr(request, "request_id", "") is None:
            request = msgspec.structs.replace(request, request_id=new_request_id())  # type: ignore[type-var]
        message = await self._ask(
            call, _subject(call, ids), msgspec.json.encode(request), timeout_s or call.timeout_s
        )
        self.stats.calls += 1
        if message.headers and CODE_HEADER in message.headers:
            raise FaultError(_fault(message))
        return msgspec.json.decode(message.data, type=call.reply)

    async def _ask(self, call: Call[Any, Any], to: str, body: bytes, timeout_s: float) -> Msg:
        loop = asyncio.get_running_loop()
        headers = headers_of(self.introduction(), self.scope()) if call.is_command else None
        deadline = loop.time() + timeout_s
        patience = loop.time() + min(PATIENCE_S, timeout_s / 2)
        while True:
            if self.is_connected:
                try:
                    return await self.client.request(
                        to, body, timeout=deadline - loop.time(), headers=headers
                    )
                except errors.NoRespondersError:
                    pass  # Nobody got it, so asking again is safe.
                except (errors.TimeoutError, errors.ConnectionReconnectingError, TimeoutError):
                    raise _no_answer(call, to, timeout_s) from None
                except (
                    errors.ConnectionClosedError,
                    errors.ConnectionDrainingError,
                    errors.OutboundBufferLimitError,
                ):
                    pass  # Not sent.
                except errors.MaxPayloadError:
                    raise fault(FaultCode.TOO_LARGE, f"a request of {len(body)} bytes is too large") from None
            if loop.time() >= patience:
                reason = f"nobody answers {to}" if self.is_connected else "the bus is not connected"
                raise fault(FaultCode.UNAVAILABLE, reason, retry_after_s=1.0)
            await asyncio.sleep(0.05)

    async def serve(
        self,
        call: Call[Q, R],
        handler: Callable[[Q], Awaitable[R]],
        *,
        concurrency: int = 64,
        **ids: str,
    ) -> None:
        """Answers a call, in a queue group of its owner unless that is an engine. See Endpoint for how bad input and failures are answered."""
        endpoint = Endpoint(
            call,
            _subject(call, ids),
            handler,
            self.client,
            concurrency=concurrency,
            witness=self.witness,
            obeys=self._obeys,
        )
        await endpoint.start()
        self._endpoints.append(endpoint)

    async def publish(self, feed: Feed[T], payload: T | bytes, **ids: str) -> bool:
        """Publishes a fact that may be lost; False, and counted, while the bus is away. Never waits for the server."""
        if not self.is_connected:
            self.stats.dropped += 1
            return False
        try:
            await self.client.publish(subject(feed.subject, **ids), _encode(payload))
        except errors.Error:
            self.stats.dropped += 1
            return False
        self.stats.published += 1
        return True

    async def publish_durable(
        self,
        feed: Feed[T],
        payload: T | bytes,
        *,
        message_id: str,
        timeout_s: float = 5.0,
        **ids: str,
    ) -> int:
        """Publishes into the feed's stream and returns its sequence there once it is on disk.

        The same `message_id` twice on one subject within the stream's window is stored once, when both come from one credential's key.
        Raises FaultError `unavailable` when the server did not acknowledge; it may or may not be stored then, so publish it again.
        """
        if not self.is_connected:
            raise fault(FaultCode.UNAVAILABLE, "the bus is not connected", retry_after_s=1.0)
        to = subject(feed.subject, **ids)
        try:
            ack = await self._js.publish(
                to,
                _encode(payload),
                timeout=timeout_s,
                headers={"Nats-Msg-Id": self._stream_wide(f"{to}:{message_id}")},
            )
        except (errors.Error, js_errors.Error, TimeoutError) as error:
            raise fault(FaultCode.UNAVAILABLE, f"{feed.subject} was not acknowledged: {error!r}") from error
        self.stats.published += 1
        return int(ack.seq)

    def _stream_wide(self, message_id: str) -> str:
        """JetStream compares ids over a whole stream, whoever published: what one can guess, it can have the server drop."""
        return self._login.unguessable(message_id) if self._login is not None else message_id

    async def listen(
        self,
        feed: Feed[T],
        handler: Callable[[T, Mapping[str, str]], Awaitable[None]],
        **ids: str,
    ) -> Listener:
        """Hands every message of a feed to `handler`, in order; ids that are not given match any. Close it when done."""
        listener = Listener(feed, _pattern(feed.subject, ids), handler)
        await listener.start(self.client)
        self._listeners.append(listener)
        return listener

    async def notice(self, feed: Feed[Any], wake: Callable[[], None]) -> None:
        """Calls `wake` for every message of a feed, whatever it says: for who reads it from its stream."""

        async def receive(_: Msg) -> None:
            wake()

        await self.client.subscribe(wildcard(feed.subject), cb=receive)
        await self.client.flush(timeout=5)

    async def is_heard(self, within_s: float) -> bool:
        """True when the server answers in time: a connection may stay open to one that hangs."""
        try:
            await self.client.flush(timeout=within_s)  # type: ignore[arg-type]  # a float is fine
        except (errors.Error, TimeoutError):
            return False
        return True

    async def flush(self) -> None:
        """Returns when the server has processed all that was sent before."""
        await self.client.flush(timeout=5)

    async def drain(self, grace_s: float = 10.0) -> None:
        """Takes no more requests, lets those that are being handled finish within `grace_s`, and sends what is pending.

        The connection stays open, so that what the service still does while it ends can be said; `close` it then.
        """
        # Not nats-py's drain(): it waits half a minute for pull subscriptions whose messages nobody takes any more.
        await asyncio.gather(*(endpoint.drain(grace_s) for endpoint in self._endpoints))
        for listener in self._listeners:
            await listener.close()
        if self.is_connected and not await self.is_heard(grace_s):
            log.warning("the server does not answer: what was sent last may be lost")

    async def close(self) -> None:
        """Closes at once, whatever is under way; closing twice is fine."""
        if not self.client.is_closed:
            await self.client.close()


async def connect(settings: BusSettings, *, wait_s: float = 30.0) -> Bus:
    """Connects, waiting up to `wait_s` for the server.

    Raises FaultError: `unavailable` when it does not come, `invalid` for credentials that are none.
    """
    client, stats = RobustClient(), BusStats()
    login = _login(settings.creds) if settings.creds else None
    tls = _tls(settings)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    last_error = "no answer"
    while (left := deadline - loop.time()) > 0:
        try:
            await asyncio.wait_for(_connect(client, settings, stats, login, tls), min(left, 5.0))
            # A server that closes before its first PONG leaves connect() returning without a connection.
            if client.is_connected:
                return Bus(client, stats, login=login, obeys=settings.obeys)
        except (errors.Error, OSError, TimeoutError) as error:
            # It goes on trying within our time, and keeps what went wrong to itself.
            last_error = repr(client.last_error or error)
        await client.close()
        client = RobustClient()
        await asyncio.sleep(0.1)
    raise fault(
        FaultCode.UNAVAILABLE,
        f"no bus at {settings.url} within {wait_s:g} s: {last_error}",
        retry_after_s=5.0,
    )


def _login(creds: str) -> Login:
    try:
        return Login(creds)
    except ValueError as error:
        raise invalid(FieldError("nats_creds", str(error))) from None


def _tls(settings: BusSettings) -> ssl.SSLContext | None:
    try:
        return settings.tls()
    except ValueError as error:
        raise invalid(FieldError("nats_ca", str(error))) from None


async def _connect(
    client: RobustClient,
    settings: BusSettings,
    stats: BusStats,
    login: Login | None,
    tls: ssl.SSLContext | None,
) -> None:
    told = ""

    async def on_error(error: Exception) -> None:
        # Must never raise: an exception here ends nats-py's read loop.
        nonlocal told
        if isinstance(error, errors.SlowConsumerError):
            stats.slow_consumer_drops += 1
        elif repr(error) != told:
            # A server that is away makes the same error at every attempt.
            told = repr(error)
            log.warning("bus error", error=told)

    async def on_disconnect() -> None:
        if not client.is_closed:
            log.warning("bus disconnected", url=settings.url)

    async def on_reconnect() -> None:
        stats.reconnects += 1
        log.info("bus reconnected", url=settings.url, reconnects=stats.reconnects)

    await client.connect(
        settings.url,
        name=settings.shown,
        tls=tls,
        user_jwt_cb=login.show if login else None,
        signature_cb=login.prove if login else None,
        error_cb=on_error,
        disconnected_cb=on_disconnect,
        reconnected_cb=on_reconnect,
        max_reconnect_attempts=-1,
        # Between attempts at the first connection; the handler below spaces those at a reconnection.
        reconnect_time_wait=RETRY_S,  # type: ignore[arg-type]  # a float is fine
        reconnect_to_server_handler=lambda servers, _info: (servers[0], _pause_s()),
        allow_reconnect=True,
        ping_interval=5,
        max_outstanding_pings=2,
        connect_timeout=2,
        inbox_prefix=f"_INBOX_{settings.name}",
    )


def _pause_s() -> float:
    # Spread, so that a thousand sidecars do not all come back in the same instant.
    return RETRY_S * (0.5 + random.random())  # noqa: S311


def _subject(call: Call[Any, Any], ids: Mapping[str, str]) -> str:
    return subject(on_host(call) if "host" in ids else call.subject, **ids)


def _pattern(template: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        template = template.replace(f"<{name}>", subject(f"<{name}>", **{name: value}))
    return wildcard(template)


def _encode(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else msgspec.json.encode(payload)


def _fault(message: Msg) -> Fault:
    try:
        return decode(message.data, Fault)
    except FaultError:
        # Not one of ours, but an ADR-32 service all the same.
        return Fault(
            code=FaultCode.INTERNAL, message=(message.headers or {}).get(ERROR_HEADER, "unreadable fault")
        )


def _no_answer(call: Call[Any, Any], to: str, timeout_s: float) -> FaultError:
    if call.is_command:
        return fault(
            FaultCode.OUTCOME_UNKNOWN,
            f"{to} was sent and not answered within {timeout_s:g} s; whether it was carried out is unknown",
        )
    return fault(FaultCode.UNAVAILABLE, f"{to} was not answered within {timeout_s:g} s", retry_after_s=1.0)
