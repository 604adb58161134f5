"""One served subject: decodes strictly, runs handlers in parallel up to a bound, answers faults, counts for $SRV.STATS."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import msgspec
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from flotilla.bus.crossing import REPLIES, Crossing, crossing_of
from flotilla.bus.logs import bind, get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.audit import Caller
from flotilla.schemas.contract import Actor, Call
from flotilla.schemas.decoding import decode
from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.labels import Labels, parse_labels, text_of

log = get_logger(__name__)

INBOX: Final = "_INBOX"
"""Answers go to inboxes only: a caller may put any subject into the reply field, and would speak there in our name."""
_HEADERS: Final = {"name": "Flotilla-Caller", "origin": "Flotilla-Origin", "via": "Flotilla-Via"}
_SCOPE: Final = "Flotilla-Scope"
_NONE_HAS: Final = {"": ""}
"""Labels that no engine can carry."""
_EVERYTHING: Final[Mapping[str, str]] = {}
_LONGEST: Final = 200

Introduction: TypeAlias = Callable[[], Caller | None]
"""What a connection says of whoever it speaks for, at this moment."""


class Asked(msgspec.Struct, frozen=True):
    """The command that is being handled: who asked, the body as it came, and the labels that an engine must carry for it.

    A scope only takes away: whoever may ask at all may do so for every engine, unless it says that it may not. `crossing` is what the
    server says of whoever asked across accounts.
    """

    caller: Caller = Caller()
    body: bytes = b""
    scope: Labels = {}
    crossing: Crossing | None = None


_ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)


def asked() -> Asked:
    """The command that this task handles; empty outside of one."""
    return _ASKED.get() or Asked()


@contextmanager
def asking(what: Asked) -> Iterator[None]:
    """Within it, and in tasks that are started there, `asked` is this."""
    token = _ASKED.set(what)
    try:
        yield
    finally:
        _ASKED.reset(token)


def headers_of(caller: Caller | None, scope: Mapping[str, str] = _EVERYTHING) -> dict[str, str] | None:
    """The headers that introduce whoever a call is made for, and limit it; None when nobody is named."""
    said = {header: _plain(getattr(caller, field)) for field, header in _HEADERS.items()} if caller else {}
    said[_SCOPE] = text_of(scope)
    return {header: text for header, text in said.items() if text} or None


def scope_of(headers: Mapping[str, str] | None) -> Labels:
    """The labels to which a request is limited. What cannot be read limits it to nothing."""
    text = (headers or {}).get(_SCOPE)
    if text is None:
        return {}
    try:
        return parse_labels(text.split(","))
    except ValueError:
        return _NONE_HAS


def caller_of(reply: str, headers: Mapping[str, str] | None, crossing: Crossing | None = None) -> Caller:
    """Whoever is behind a request, and what it says of itself.

    That is whom the server names, when it came out of another account; else the connection that hears the answer.
    """
    given = {field: _plain((headers or {}).get(header, "")) for field, header in _HEADERS.items()}
    return Caller(credential=_connection(reply) if crossing is None else crossing.credential, **given)


def _connection(reply: str) -> str:
    """`_INBOX_operator.xyz` is the inbox of the connection `operator`; anything else tells nothing."""
    prefix = reply.partition(".")[0]
    return prefix.removeprefix(f"{INBOX}_") if prefix.startswith(f"{INBOX}_") else ""


def _plain(text: str) -> str:
    """On one line of ASCII, which is all that a header can hold."""
    printable = (char if char.isprintable() and char.isascii() else "?" for char in text[:_LONGEST])
    return "".join(printable)


Witness: TypeAlias = Callable[["Witnessed"], None]
"""Is told of every command that an endpoint has answered. Must not raise."""

_ATTEMPTS_S: Final = 60.0
"""How often an endpoint tells of messages that it passes over."""

FAILED: Final = "the request failed for a reason of ours; the error id finds it in the log"


class EndpointStats(msgspec.Struct):
    """What $SRV.STATS reports of one endpoint; the time is in nanoseconds."""

    num_requests: int = 0
    num_errors: int = 0
    last_error: str = ""
    processing_time: int = 0


class Witnessed(msgspec.Struct, frozen=True):
    """A command that was answered: which, by whom it was asked, what was sent and what was answered, or the fault."""

    call: Call[Any, Any]
    caller: Caller
    body: bytes
    answer: bytes
    problem: Fault | None


class Endpoint:
    """Answers one call.

    A body that does not decode, and a FaultError that the handler raises, are answered as ADR-32 error headers with the Fault as
    body. Any other exception is logged under an error id and answered as `internal`, without its text.

    With `obeys`, the public key of an account, it hears what clients of that account sent, and nothing else. Without, it hears
    whatever stayed in its own account, and what clients of others sent. What it does not hear is told of as an attempt, once a minute.
    """

    def __init__(
        self,
        call: Call[Any, Any],
        subject: str,
        handler: Callable[[Any], Awaitable[Any]],
        client: Client,
        *,
        concurrency: int,
        witness: Witness | None = None,
        obeys: str = "",
    ) -> None:
        self.call = call
        self.subject = subject
        self.stats = EndpointStats()
        self._handler = handler
        self._client = client
        self._witness = witness
        self._obeys = obeys
        self._attempts = 0
        self._told_at = -_ATTEMPTS_S
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks = Tasks()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribes, and returns when the server knows of it."""
        # Whoever else held an engine's credential could take its commands away in a group; so each hears all.
        queue = "" if self.call.owner == Actor.SIDECAR else self.call.owner
        self._subscription = await self._client.subscribe(self.subject, queue=queue, cb=self._receive)
        await self._client.flush(timeout=5)

    async def drain(self, grace_s: float) -> None:
        """Takes no more requests and waits up to `grace_s` for those that are being handled."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._client.is_connected:
            await subscription.drain()  # type: ignore[no-untyped-call]
        if not await self._tasks.join(grace_s):
            log.warning("handlers cancelled", subject=self.subject, count=len(self._tasks))
            await self._tasks.close()

    async def _receive(self, message: Msg) -> None:
        crossing = crossing_of(message.headers)
        if not self._hears(crossing):
            self._note_attempt(message, crossing)
            return
        # Waiting here, not in the task, keeps what is not yet begun in the subscription, where it is bounded.
        await self._slots.acquire()
        self._tasks.start(self._handle(message, crossing), name=f"serve:{self.subject}")

    def _hears(self, crossing: Crossing | None) -> bool:
        if crossing is None:
            return not self._obeys
        return crossing.is_client and self._obeys in ("", crossing.account)

    def _note_attempt(self, message: Msg, crossing: Crossing | None) -> None:
        self._attempts += 1
        if (now := time.monotonic()) < self._told_at + _ATTEMPTS_S:
            return
        times, self._attempts, self._told_at = self._attempts, 0, now
        caller = caller_of("", message.headers, crossing or Crossing())
        log.warning("not heard: no client that may ask sent it", subject=self.subject, times=times)
        if self._witness is not None:
            problem = Fault(
                code=FaultCode.FORBIDDEN, message=f"no client that may ask sent this ({times} times)"
            )
            self._witness(Witnessed(self.call, caller, message.data, b"", problem))

    async def _handle(self, message: Msg, crossing: Crossing | None) -> None:
        started = time.perf_counter_ns()
        caller = caller_of(message.reply, message.headers, crossing)
        try:
            with asking(Asked(caller, message.data, scope_of(message.headers), crossing)):
                body, problem = await self._answer(message.data)
        finally:
            self._slots.release()
        self.stats.num_requests += 1
        self.stats.processing_time += time.perf_counter_ns() - started
        if problem is not None:
            self.stats.num_errors += 1
            self.stats.last_error = f"{problem.code}: {problem.message}"
        await self._respond(message.reply, body, problem, crossed=crossing is not None)
        if self._witness is not None and self.call.is_command:
            self._witness(Witnessed(self.call, caller, message.data, body, problem))

    async def _answer(self, body: bytes) -> tuple[bytes, Fault | None]:
        error_id = secrets.token_hex(8)
        try:
            # An empty body asks a question plainly (`nats req fleet.engine.list ''`); a command must be spelt out.
            request: Any = decode(body if body or self.call.is_command else b"{}", self.call.request)
            with bind(subject=self.subject, **_ids(request)):
                return msgspec.json.encode(await self._handler(request)), None
        except FaultError as error:
            problem = msgspec.structs.replace(error.fault, error_id=error.fault.error_id or error_id)
            log.info(
                "request refused",
                subject=self.subject,
                code=str(problem.code),
                message=problem.message,
                error_id=problem.error_id,
            )
        except Exception:
            log.exception("request failed", subject=self.subject, error_id=error_id)
            problem = Fault(code=FaultCode.INTERNAL, message=FAILED, error_id=error_id)
        return msgspec.json.encode(problem), problem

    async def _respond(self, reply: str, body: bytes, problem: Fault | None, *, crossed: bool) -> None:
        if not reply.startswith(REPLIES if crossed else INBOX):
            return
        headers = None
        if problem is not None:
            headers = {
                "Nats-Service-Error-Code": str(problem.status),
                "Nats-Service-Error": problem.message[:500].replace("\r", " ").replace("\n", " "),
            }
        try:
            await self._client.publish(reply, body, headers=headers)
        except errors.Error as error:
            log.warning("answer lost", subject=self.subject, error=repr(error))


def _ids(request: object) -> dict[str, str]:
    names = ("request_id", "instance_id", "session_id")
    return {name: value for name in names if isinstance(value := getattr(request, name, None), str)}
