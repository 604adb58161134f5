"""One host's Docker in memory: its daemon and containers outlive the supervisor, whose port ContainerRuntime it is."""

import asyncio
import signal
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionSpec, container_name
from flotilla.services.supervisor.core.check_output import CheckOutput, Question
from flotilla.services.supervisor.ports import RuntimeProbe
from tests.simulation.loop import Process, SimLoop

CREATED, RUNNING, EXITED, GONE = ContainerStatus
AGAIN_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
"""When SIGTERM is sent, as by every runtime: a process that is just being started may lose the first."""


class Trouble(msgspec.Struct):
    """How likely it is that a verb takes long, and how long at most; that it fails; that its answer is lost."""

    slow: float = 0.0
    longest_s: float = 0.0
    fails: float = 0.0
    lost: float = 0.0


class Container:
    """A container with the process in it, once it was started."""

    def __init__(self, docker: "Docker", spec: SessionSpec, line: bytes) -> None:
        self.docker, self.spec, self.line = docker, spec, line
        self.status = CREATED
        self.created_at = docker.wall()
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.exit_code: int | None = None
        self.process: Process | None = None
        self.is_told = False
        """SIGTERM was sent to it."""
        self.at_end: list[Callable[[], None]] = []

    @property
    def facts(self) -> ContainerFacts:
        """As its runtime reports it."""
        spec = self.spec
        return ContainerFacts(
            session_id=spec.session_id,
            instance_id=spec.instance_id,
            generation=spec.generation,
            host=self.docker.host,
            name=container_name(spec.session_id),
            status=self.status,
            runtime=self.docker.kind,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            engine_type=spec.engine_type,
            trading_mode=spec.trading_mode,
            is_worker=spec.worker is not None,
        )

    def start(self) -> None:
        """Its process begins."""
        self.status, self.started_at = RUNNING, self.docker.wall()
        self.process = Process(self.docker.loop, self.spec.session_id)
        self.docker.began(self)
        self.docker.changed(self)

    def exit(self, code: int) -> None:
        """Its process has ended, or is ended by this."""
        if self.status == RUNNING:
            self.docker.ends(self, code)
            self.status, self.exit_code, self.finished_at = EXITED, code, self.docker.wall()
            assert self.process is not None
            self.process.kill()
            self.docker.changed(self)
            tellers, self.at_end = self.at_end, []
            for tell in tellers:
                tell()

    def stop(self, timeout_s: float) -> None:
        """SIGTERM now and again, SIGKILL at the end; the daemon sees to it, whoever asked."""
        self.docker.signals(self, signal.SIGTERM)
        self.is_told = True
        for after_s in AGAIN_S:
            if after_s < timeout_s:
                self.docker.loop.outside(after_s, self._terminate)
        self.docker.loop.outside(timeout_s, self.exit, -signal.SIGKILL)

    def _terminate(self) -> None:
        if self.status == RUNNING and self.process is not None:
            handler = self.process.on_signal.get(signal.SIGTERM)
            if handler is None:
                self.exit(-signal.SIGTERM)
            else:
                self.process.soon(handler)


class Docker:
    """The daemon of one host."""

    def __init__(self, loop: SimLoop, host: str, kind: str, wall: Callable[[], datetime]) -> None:
        self.loop, self.host, self.kind, self.wall = loop, host, kind, wall
        self.trouble = Trouble()
        self.frozen_until = 0.0
        self.containers: dict[str, Container] = {}
        self.watchers: list[Callable[[ContainerFacts], None]] = []
        self.began: Callable[[Container], None] = lambda _: None
        self.seen: Callable[[Container], None] = lambda _: None
        self.passes: Callable[[SessionSpec], None] = lambda _: None
        """Told of every start that was let through at the last moment."""
        self.ends: Callable[[Container, int], None] = lambda *_: None
        self.signals: Callable[[Container, int], None] = lambda *_: None

    def changed(self, container: Container) -> None:
        """Tells everybody who watches."""
        self.seen(container)
        for watcher in list(self.watchers):
            watcher(container.facts)

    def delay_s(self) -> float:
        """How long the daemon takes now for what it is asked."""
        random, delay = self.loop.random, self.loop.random.uniform(0.005, 0.15)
        if random.random() < self.trouble.slow:
            delay += random.uniform(0.0, self.trouble.longest_s)
        return max(delay, self.frozen_until - self.loop.time())


class SimRuntime:
    """A ContainerRuntime: one supervisor's way to its daemon. What it has asked for is done although it dies."""

    def __init__(self, docker: Docker, process: Process) -> None:
        self._docker, self._process, self._loop = docker, process, docker.loop
        self._waiting: deque[ContainerFacts] = deque()
        self._has_news = asyncio.Event()

    @property
    def kind(self) -> str:
        return self._docker.kind

    @property
    def is_isolated(self) -> bool:
        return self._docker.kind == "docker"

    async def ensure(
        self, spec: SessionSpec, launch_line: bytes, go_on: Callable[[], None] = lambda: None
    ) -> ContainerFacts:
        containers, session_id = self._docker.containers, spec.session_id

        def create() -> ContainerFacts:
            known = containers.get(session_id)
            if known is not None and known.status != CREATED:
                return known.facts
            # One that was created and never started has lost its launch line: it is made anew.
            containers[session_id] = Container(self._docker, spec, launch_line)
            self._docker.changed(containers[session_id])
            return containers[session_id].facts

        def start() -> ContainerFacts:
            known = self._known(session_id)
            if known.status == CREATED:
                known.start()
            return known.facts

        facts = await self._ask(create, is_change=True)
        if facts.status != CREATED:
            return facts
        try:
            go_on()
            self._docker.passes(spec)
        except BaseException:
            await self._ask(lambda: self._remove(session_id), is_change=True)
            raise
        return await self._ask(start, is_change=True)

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        def begin() -> Container:
            known = self._known(session_id)
            if known.status == RUNNING:
                known.stop(timeout_s)
            return known

        return await self._end(await self._ask(begin, is_change=True))

    async def pulse(self, session_id: str) -> str | None:
        def look() -> str | None:
            process = self._known(session_id).process
            return str(process.turns) if process is not None and not process.is_stopped else None

        return await self._ask(look)

    async def kill(self, session_id: str) -> ContainerFacts:
        def kill() -> ContainerFacts:
            known = self._known(session_id)
            if known.status == RUNNING:
                self._docker.signals(known, signal.SIGKILL)
                known.exit(-signal.SIGKILL)
            return known.facts

        return await self._ask(kill, is_change=True)

    async def remove(self, session_id: str) -> ContainerFacts:
        return await self._ask(lambda: self._remove(session_id), is_change=True)

    async def inspect(self, session_id: str) -> ContainerFacts:
        return await self._ask(lambda: self._known(session_id).facts)

    async def list(self) -> tuple[ContainerFacts, ...]:
        return await self._ask(lambda: tuple(each.facts for each in self._docker.containers.values()))

    async def watch(self) -> AsyncGenerator[ContainerFacts]:
        self._docker.watchers.append(self._saw)
        self._process.at_end.append(lambda: self._docker.watchers.remove(self._saw))
        for container in list(self._docker.containers.values()):
            yield container.facts
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._has_news.clear()
            await self._has_news.wait()

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        return CheckOutput(exit_code=0, stdout=b'{"problems":[]}\n')

    async def check_when_asked(self, asked: Future[Question | None]) -> CheckOutput:
        raise NotImplementedError

    async def catalog(self, line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        raise NotImplementedError

    async def probe(self) -> RuntimeProbe:
        return await self._ask(lambda: RuntimeProbe(is_up=True, cpus=4, memory_bytes=1 << 34, version="0"))

    async def close(self) -> None:
        """Nothing is held."""

    # -- the way to the daemon

    def _saw(self, facts: ContainerFacts) -> None:
        self._process.soon(self._note, facts)

    def _note(self, facts: ContainerFacts) -> None:
        self._waiting.append(facts)
        self._has_news.set()

    async def _ask[R](self, what: Callable[[], R], *, is_change: bool = False) -> R:
        random, trouble = self._loop.random, self._docker.trouble
        done: asyncio.Future[R] = self._loop.create_future()

        def do() -> None:
            if random.random() < trouble.fails:
                away = fault(FaultCode.UNAVAILABLE, "the daemon is away", retry_after_s=1.0)
                self._process.at_once(_settle, done, None, away)
                return
            result, problem = None, None
            try:
                result = what()
            except FaultError as error:
                problem = error
            if is_change and random.random() < trouble.lost:
                problem = fault(FaultCode.OUTCOME_UNKNOWN, "the daemon's answer was lost")
            self._process.at_once(_settle, done, result, problem)

        self._loop.outside(self._docker.delay_s(), do)
        return await done

    async def _end(self, container: Container) -> ContainerFacts:
        if container.status == RUNNING:
            ended: asyncio.Future[None] = self._loop.create_future()
            container.at_end.append(lambda: self._process.soon(_settle, ended, None, None))
            await ended
        return container.facts

    def _known(self, session_id: str) -> Container:
        known = self._docker.containers.get(session_id)
        if known is None:
            raise fault(FaultCode.NOT_FOUND, f"session {session_id} is not on this host")
        return known

    def _remove(self, session_id: str) -> ContainerFacts:
        known = self._docker.containers.get(session_id)
        if known is None:
            return ContainerFacts(
                session_id=session_id,
                instance_id="unknown",
                generation=0,
                host=self._docker.host,
                name=container_name(session_id),
                status=GONE,
                runtime=self._docker.kind,
            )
        if known.status == RUNNING:
            raise fault(FaultCode.CONFLICT, f"session {session_id} runs: stop it first")
        del self._docker.containers[session_id]
        gone = msgspec.structs.replace(known.facts, status=GONE)
        for watcher in list(self._docker.watchers):
            watcher(gone)
        return gone


def _settle(done: asyncio.Future[Any], result: Any, problem: Exception | None) -> None:
    if not done.done():
        if problem is None:
            done.set_result(result)
        else:
            done.set_exception(problem)
