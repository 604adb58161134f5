"""A notifier on real servers, a fleet that is only said to be, and somebody who is told over HTTP."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as email_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.bus.secret_store import SecretStore
from flotilla.bus.streams import ensure_streams
from flotilla.schemas import contract
from flotilla.schemas.alerting import ALERT_ADAPTER, AlertView, ListAlerts, SetChannel
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import HEALTH, Actor
from flotilla.schemas.engine import EngineView
from flotilla.schemas.health import Health, ReadHealth
from flotilla.schemas.secrets import SecretBinding
from flotilla.schemas.states import FailureReason, RunState
from flotilla.services.notifier.adapters.apprise_sender import AppriseSender
from flotilla.services.notifier.adapters.postgres import LOGIN, PostgresStore, hand_over
from flotilla.services.notifier.service import Notifier
from flotilla.services.notifier.settings import NotifierSettings
from flotilla.stack.servers.postgres import PostgresServer
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import engine, session

PASSWORD = "s3cr3t-tok3n"
WITHIN_S = 8.0


@dataclass
class Told:
    """What came over HTTP; `status` is what is answered, `pause_s` how long that takes."""

    port: int = 0
    messages: list[dict[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    status: int = 200
    pause_s: float = 0.0
    begun: int = 0

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.messages]

    @property
    def address(self) -> str:
        return f"json://ann:{PASSWORD}@127.0.0.1:{self.port}/hook?rto=2"


@contextmanager
def listener() -> Iterator[Told]:
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.begun += 1
            time.sleep(told.pause_s)
            if told.status == 200:
                told.messages.append(json.loads(body))
            self._answer()

        def do_GET(self) -> None:
            told.calls.append(self.path)
            self._answer()

        def _answer(self) -> None:
            self.send_response(told.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def told() -> Iterator[Told]:
    with listener() as one:
        yield one


@asynccontextmanager
async def mail_server(letters: list[EmailMessage]) -> AsyncIterator[int]:
    """An SMTP server (RFC 5321, as much as one client needs) on the port that it gives; what it was sent is in `letters`."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                letters.append(message_from_bytes(text, policy=email_policy))
            answers = {b"QUIT": b"221 bye\r\n"}
            writer.write(answers.get(verb, b"250 ok\r\n"))
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1")
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def notifier_dsn(postgres: PostgresServer, admin_dsn: str) -> str:
    """A fresh schema, as the notifier of a stack has it."""
    await hand_over(admin_dsn, None, login_password=None)
    return postgres.dsn_of(urlsplit(admin_dsn).path[1:], LOGIN)


def secrets_in(folder: Path, **addresses: str) -> SecretStore:
    store = SecretStore(folder / "secrets", folder / "secrets.key")
    for name, address in addresses.items():
        store.save(name, {"url": address}, SecretBinding(adapter=ALERT_ADAPTER))
    return store


def settings(dsn: str, folder: Path) -> NotifierSettings:
    return NotifierSettings(
        dsn=dsn,
        password_file=None,
        secrets=folder / "secrets",
        secrets_key_file=folder / "secrets.key",
        alive_secret=None,
        alive_s=60.0,
        log_level="INFO",
    )


@asynccontextmanager
async def running(
    bus: Bus | None, dsn: str, folder: Path, *, alive_secret: str | None = None
) -> AsyncIterator[Notifier]:
    """In this process; without a bus it is as while NATS is away."""
    store = await PostgresStore.open(dsn)
    sender = AppriseSender(SecretStore(folder / "secrets", folder / "secrets.key"), send_s=5.0)
    chosen = msgspec.structs.replace(settings(dsn, folder), alive_secret=alive_secret, alive_s=0.2)
    notifier = Notifier(store, sender, chosen, lambda: datetime.now(UTC))
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(notifier.run(), name="notifier")
            if bus is None:
                yield notifier
            else:
                async with notifier.service(bus):
                    yield notifier
            task.cancel()
    finally:
        await store.close()


def view_of(
    state: RunState, instance_id: str = "e1", *, config: EngineConfig | None = None, **changes: Any
) -> EngineView:
    """An engine in a state, as the orchestrator says it."""
    if state == RunState.FAILED:
        changes = {"reason": FailureReason.KILLED, "detail": "exit code -9", **changes}
    one = session(f"{instance_id}-s", instance_id, state=state, **changes)
    made = engine(instance_id, f"{instance_id}-s", session=one)
    return msgspec.structs.replace(made, config=config or EngineConfig(instance_id=instance_id))


class Fleet:
    """Says what an orchestrator says."""

    def __init__(self, bus: Bus, operator: Bus) -> None:
        self.bus = bus
        self.operator = operator
        self.is_ready = True
        self._said = 0

    async def begin(self) -> None:
        await ensure_streams(self.bus)
        await self.bus.serve(HEALTH[Actor.ORCHESTRATOR], self._health)

    async def _health(self, _: ReadHealth) -> Health:
        state = "ok" if self.is_ready else "the record is away"
        return Health(
            service="orchestrator",
            version="0",
            is_ready=self.is_ready,
            started_at=datetime.now(UTC),
            checks={"record": state},
        )

    async def says(self, view: EngineView) -> None:
        self._said += 1
        await self.bus.publish_durable(
            contract.FLEET_STATE, view, message_id=f"m{self._said}", instance_id=view.instance_id
        )

    async def alerts(self, *, is_all: bool = True) -> tuple[AlertView, ...]:
        return (await self.operator.call(contract.ALERT_LIST, ListAlerts(is_all=is_all))).alerts

    async def channel(self, name: str = "desk", **more: Any) -> None:
        await self.operator.call(
            contract.ALERT_SET_CHANNEL, SetChannel(name=name, secret="desk_hook", **more)
        )


@pytest.fixture
async def fleet(connect_as: ConnectAs) -> Fleet:
    made = Fleet(await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.OPERATOR))
    await made.begin()
    return made


async def until(condition: Any, within_s: float = WITHIN_S) -> None:
    """Returns when it is true; an assertion fails when it is not in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not in time")
