"""A real sidecar process for a test, and ears for what it says on the bus."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.bus.settings import BusSettings
from flotilla.schemas.contract import ENGINE_EVENT_FEEDS, HEARTBEAT, LOG, METRICS
from flotilla.schemas.ids import new_session_id
from flotilla.schemas.session import BusAccess, CacheAccess, EnginePlan, Launch, SessionSpec
from flotilla.schemas.states import EngineType, RunState, TradingMode
from flotilla.schemas.telemetry import (
    Alert,
    EngineEvent,
    EngineMetrics,
    Fill,
    Heartbeat,
    LogLines,
    StateChange,
)
from flotilla.stack.servers.nats import NatsServer
from tests.integration.logins import engine_login

ROOT = Path(__file__).parents[2]


def session_spec(script: str, *, node: Mapping[str, Any], **changes: Any) -> SessionSpec:
    values: dict[str, Any] = {
        "instance_id": "e1",
        "session_id": new_session_id(datetime.now(UTC)),
        "generation": 1,
        "engine_type": EngineType.SANDBOX,
        "trading_mode": TradingMode.PAPER,
        "plan": EnginePlan(trader_id="E1-001", node={"script": script, **node}),
        "frozen_after_s": 1.0,
        "kill_frozen_after_s": 3.0,
        "boot_timeout_s": 20.0,
        "stop_timeout_s": 5.0,
    }
    return SessionSpec(**values | changes)


class Sidecar:
    """One sidecar in a process group of its own."""

    def __init__(self, nats: NatsServer, folder: Path, module: str = "tests.fakes.scripted_sidecar") -> None:
        self._nats = nats
        self._module = module
        self._folder = folder
        self.heartbeat_file = folder / "heartbeat"
        self.spec: SessionSpec
        self.login: BusSettings
        """What its sidecar has: whoever stole its credential has it too."""
        self.process: subprocess.Popen[bytes]

    def start(
        self,
        script: str = "trade",
        *,
        enforce_memory: bool = True,
        env: Mapping[str, str] | None = None,
        via: Sequence[str] = (),
        node: Mapping[str, Any] | None = None,
        catalog: Path = Path("/nowhere"),
        secrets: Mapping[str, dict[str, Any]] | None = None,
        cache: CacheAccess | None = None,
        ca: str = "",
        **changes: Any,
    ) -> None:
        """Starts it and hands it its launch line."""
        self.spec = session_spec(script, node=node or {}, **changes)
        self.login = settings = engine_login(self._nats, self.spec.instance_id, self.spec.session_id)
        launch = Launch(
            bus=BusAccess(url=settings.url, creds=settings.creds, fleet=settings.obeys, ca=ca),
            spec=self.spec,
            catalog_path=str(catalog),
            enforce_memory=enforce_memory,
            secrets=dict(secrets or {}),
            cache=cache,
        )
        self.spawn(env, via)
        self.feed(msgspec.json.encode(launch) + b"\n")

    def spawn(self, env: Mapping[str, str] | None = None, via: Sequence[str] = ()) -> None:
        """Starts it, by the command `via` if there is one."""
        with (self._folder / "stdout").open("wb") as stdout, (self._folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [*via, sys.executable, "-m", self._module],
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(self._folder)} | (env or {}),
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def feed(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.close()

    async def wait(self, timeout_s: float = 15.0) -> int:
        """Its exit code."""
        return await asyncio.to_thread(self.process.wait, timeout_s)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout").read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text(errors="replace")

    @property
    def rss_mib(self) -> float:
        """Its resident memory now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    @property
    def peak_mib(self) -> float:
        """The most it ever had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def descendants(self) -> list[int]:
        """Every process below it."""
        return list(_descendants(self.process.pid))

    def end(self) -> None:
        """Kills what is left."""
        for pid in [*self.descendants(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


class Heard:
    """Everything that one engine said on the bus while we were listening."""

    def __init__(self) -> None:
        self.events: list[EngineEvent[Any]] = []
        self.heartbeats: list[Heartbeat] = []
        self.metrics: list[EngineMetrics] = []
        self.logs: list[LogLines] = []

    async def listen(self, bus: Bus, instance_id: str = "e1") -> None:
        for feed in ENGINE_EVENT_FEEDS:
            await bus.listen(feed, self._into(self.events), instance_id=instance_id)
        await bus.listen(HEARTBEAT, self._into(self.heartbeats), instance_id=instance_id)
        await bus.listen(METRICS, self._into(self.metrics), instance_id=instance_id)
        await bus.listen(LOG, self._into(self.logs), instance_id=instance_id)

    @staticmethod
    def _into[T](found: list[T]) -> Callable[[T, Mapping[str, str]], Awaitable[None]]:
        async def add(payload: T, _: Mapping[str, str]) -> None:
            found.append(payload)

        return add

    @property
    def states(self) -> list[RunState]:
        return [change.state for change in self.of(StateChange)]

    @property
    def alerts(self) -> list[str]:
        return [alert.code for alert in self.of(Alert)]

    @property
    def fills(self) -> list[str]:
        return [fill.trade_id for fill in self.of(Fill)]

    @property
    def lines(self) -> list[str]:
        return [line for batch in self.logs for line in batch.lines]

    @property
    def engine_pid(self) -> int:
        pid = self.heartbeats[-1].engine_pid
        assert pid is not None
        return pid

    def of[T](self, kind: type[T]) -> list[T]:
        return [event.data for event in self.events if isinstance(event.data, kind)]

    async def state(self, state: RunState, timeout_s: float = 15.0) -> StateChange:
        """Waits for a state of the session."""
        await until(lambda: state in self.states, timeout_s, f"state {state}, heard {self.states}")
        return next(change for change in self.of(StateChange) if change.state == state)

    async def beat(self, is_so: Callable[[Heartbeat], object]) -> None:
        """Waits until the last heartbeat says so."""
        await until(lambda: self.heartbeats and is_so(self.heartbeats[-1]), what="heartbeat")

    async def more_fills(self, count: int) -> None:
        """Waits for so many fills from now on."""
        wanted = len(self.fills) + count
        await until(lambda: len(self.fills) >= wanted, what=f"{wanted} fills")

    async def trading(self) -> int:
        """Waits until the engine trades and its process is known; returns that."""
        await self.state(RunState.TRADING)
        await self.beat(lambda beat: beat.state == RunState.TRADING and beat.engine_pid)
        return self.engine_pid


async def until(is_so: Callable[[], object], timeout_s: float = 15.0, what: str = "") -> None:
    """Polls until `is_so` holds; fails when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.02)


async def recorded(bus: Bus, instance_id: str = "e1") -> list[EngineEvent[Any]]:
    """The engine's events in the order in which the stream keeps them."""
    payloads = {feed.subject.rsplit(".", 1)[1]: feed.payload for feed in ENGINE_EVENT_FEEDS}
    subscription = await bus.client.jetstream().pull_subscribe(f"engine.{instance_id}.*", stream="EVENTS")
    events: list[EngineEvent[Any]] = []
    while left := (await subscription.consumer_info()).num_pending:
        for message in await subscription.fetch(min(left, 1000)):
            await message.ack()
            events.append(msgspec.json.decode(message.data, type=payloads[message.subject.rsplit(".", 1)[1]]))
    await subscription.unsubscribe()
    return events


async def until_recorded(bus: Bus, is_so: Callable[[list[Any]], object], timeout_s: float = 15.0) -> None:
    """Polls the stream until what the engine's events say is so; for when we may have been away ourselves."""
    deadline = time.monotonic() + timeout_s
    await until(lambda: bus.is_connected)
    while not is_so([event.data for event in await recorded(bus)]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def is_alive(pid: int) -> bool:
    """True while the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _descendants(pid: int) -> Iterator[int]:
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            yield int(child)
            yield from _descendants(int(child))


@pytest.fixture
def sidecar(nats: NatsServer, tmp_path: Path) -> Iterator[Sidecar]:
    """One that forks scripted engines; not started yet."""
    folder = tmp_path / "sidecar"
    folder.mkdir()
    one = Sidecar(nats, folder)
    yield one
    one.end()


@pytest.fixture
async def heard(bus: Bus) -> Heard:
    """What sidecars say from now on."""
    ears = Heard()
    await ears.listen(bus)
    return ears
