"""Sessions in memory: what a runtime does step by step, without a process. It passes the contract suite of the real ones.

A start goes through `created`, a stop is answered when the sidecar has ended and not before, and signals are sent again; a
test holds starts between two steps, and decides what its sidecars do.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future
from datetime import UTC, datetime

import msgspec

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionSpec, container_name
from flotilla.services.supervisor.core.adopt import Existing, Verdict, judge
from flotilla.services.supervisor.core.check_output import CheckOutput, Question
from flotilla.services.supervisor.core.facts import as_gone, is_running, never_seen, spec_hash
from flotilla.services.supervisor.core.live_guard import refuse_live
from flotilla.services.supervisor.keyed_locks import KeyedLocks
from flotilla.services.supervisor.ports import RuntimeProbe

KIND = "memory"
SIGNAL_AGAIN_S = 1.0
SIGNALS = 5
BEAT_S = 0.01
KILLED = -9


class Sidecar:
    """What a program in memory has of its session: its line, its output, its heartbeat, and SIGTERM."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.output = ""
        self.beats = 0
        self._terms: asyncio.Queue[None] = asyncio.Queue()

    def say(self, text: str) -> None:
        """Prints a line."""
        self.output += f"{text}\n"

    def beat(self) -> None:
        """Touches the heartbeat file."""
        self.beats += 1

    def signal(self) -> None:
        """SIGTERM, from outside."""
        self._terms.put_nowait(None)

    @property
    def is_told(self) -> bool:
        """True when a SIGTERM came that nobody waited for."""
        return not self._terms.empty()

    async def term(self) -> None:
        """Waits for the next SIGTERM."""
        await self._terms.get()


type Program = Callable[[Sidecar], Awaitable[int]]
"""What a sidecar does until it ends with an exit code."""


class MemorySession:
    """A container: its facts, and the program in it once it was started."""

    def __init__(self, spec: SessionSpec, facts: ContainerFacts) -> None:
        self.spec = spec
        self.facts = facts
        self.sidecar = Sidecar(b"")
        self.work: asyncio.Task[None] | None = None


class MemoryHost:
    """The containers of one host, which outlive any runtime that looks after them."""

    def __init__(self) -> None:
        self.sessions: dict[str, MemorySession] = {}
        self.changed = asyncio.Condition()
        self.containers_made = 0

    def put(self, session: MemorySession) -> None:
        self.containers_made += 1
        facts = msgspec.structs.replace(session.facts, container_id=f"memory-{self.containers_made}")
        session.facts = facts
        self.sessions[facts.session_id] = session

    async def tell(self) -> None:
        """Wakes up whoever waits for a change."""
        async with self.changed:
            self.changed.notify_all()


class MemoryRuntime:
    """A ContainerRuntime. `creating` and `starting` are open gates; a test closes one to hold starts before that step.

    Without a `program` of its own a sidecar beats and obeys the first SIGTERM, unless it `is_deaf`; one that `is_silent` has a
    pulse that stands still. `signals` has what each stop and kill sent first.
    """

    kind = KIND
    is_isolated = True

    def __init__(
        self,
        program: Program | None = None,
        *,
        host: MemoryHost | None = None,
        name: str = "h1",
        owner: str = "test",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.host = host or MemoryHost()
        self.signals: list[tuple[str, str]] = []
        self.is_deaf = False
        self.is_silent = False
        self.creating, self.starting = asyncio.Event(), asyncio.Event()
        self.creating.set()
        self.starting.set()
        self.pulses_taken = 0
        self._program = program or self._obedient
        self._name = name
        self._owner = owner
        self._now = now
        self._locks: KeyedLocks[str] = KeyedLocks()

    def put(self, spec: SessionSpec, status: ContainerStatus, exit_code: int | None = None) -> None:
        """A session as somebody left it."""
        made = self._made(spec)
        self.host.put(made)
        if status == ContainerStatus.RUNNING:
            self._run(made, b"{}\n")
        elif status == ContainerStatus.EXITED:
            self._ended(made, exit_code if exit_code is not None else 0)

    def status(self, session_id: str) -> ContainerStatus | None:
        """That of the session, None when there is none."""
        session = self.host.sessions.get(session_id)
        return session.facts.status if session else None

    async def ensure(
        self, spec: SessionSpec, launch_line: bytes, go_on: Callable[[], None] = lambda: None
    ) -> ContainerFacts:
        """See ContainerRuntime."""
        refuse_live(spec, is_isolated=self.is_isolated)
        async with self._locks.take(spec.session_id):
            await self.creating.wait()
            if (known := self.host.sessions.get(spec.session_id)) is not None:
                if self._judge(known, spec) == Verdict.ADOPT:
                    return known.facts
                await self._delete(known)
            made = self._made(spec)
            self.host.put(made)
            await self.host.tell()
            await self.starting.wait()
            await self._start(made, launch_line, go_on)
        return made.facts

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        """See ContainerRuntime."""
        session = self._find(session_id)
        if is_running(session.facts):
            self.signals.append((session_id, "SIGTERM"))
        left_s = timeout_s
        for _ in range(SIGNALS):
            session.sidecar.signal()
            if await self._has_ended(session, min(SIGNAL_AGAIN_S, left_s)):
                return session.facts
            left_s = max(0.0, left_s - SIGNAL_AGAIN_S)
        if await self._has_ended(session, left_s):
            return session.facts
        return await self.kill(session_id)

    async def pulse(self, session_id: str) -> str | None:
        """See ContainerRuntime."""
        self.pulses_taken += 1
        session = self.host.sessions.get(session_id)
        if session is None or not is_running(session.facts) or not session.sidecar.beats:
            return None
        return str(session.sidecar.beats)

    async def kill(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        session = self._find(session_id)
        if is_running(session.facts):
            self.signals.append((session_id, "SIGKILL"))
            if session.work is not None:
                session.work.cancel()
            self._ended(session, KILLED)
            await self.host.tell()
        return session.facts

    async def remove(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        session = self.host.sessions.get(session_id)
        if session is None:
            return never_seen(session_id, name=container_name(session_id), host=self._name, runtime=KIND)
        if is_running(session.facts):
            raise fault(FaultCode.CONFLICT, f"session {session_id} runs: stop it first")
        await self._delete(session)
        return as_gone(session.facts)

    async def inspect(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        return self._find(session_id).facts

    async def list(self) -> tuple[ContainerFacts, ...]:
        """See ContainerRuntime."""
        return tuple(session.facts for session in self.host.sessions.values())

    async def watch(self) -> AsyncGenerator[ContainerFacts]:
        """See ContainerRuntime."""
        known: dict[str, ContainerFacts] = {}
        while True:
            seen = {facts.session_id: facts for facts in await self.list()}
            for facts in seen.values():
                if known.get(facts.session_id) != facts:
                    yield facts
            for session_id in [each for each in known if each not in seen]:
                yield as_gone(known[session_id])
            known = seen
            async with self.host.changed:
                await self.host.changed.wait_for(lambda known=known: known != self._facts())

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        """No plans are checked here."""
        raise NotImplementedError

    async def check_when_asked(self, asked: Future[Question | None]) -> CheckOutput:
        """No plans are checked here."""
        raise NotImplementedError

    async def catalog(self, line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        """There is no catalog here."""
        raise NotImplementedError

    async def probe(self) -> RuntimeProbe:
        """See ContainerRuntime."""
        return RuntimeProbe(is_up=True, cpus=2, memory_bytes=1 << 33)

    async def close(self) -> None:
        """See ContainerRuntime."""

    async def _obedient(self, sidecar: Sidecar) -> int:
        """Beats, and ends a little after it was told to."""
        sidecar.beat()
        while not sidecar.is_told or self.is_deaf:
            await asyncio.sleep(BEAT_S)
            if not self.is_silent:
                sidecar.beat()
        return 0

    def _made(self, spec: SessionSpec) -> MemorySession:
        facts = ContainerFacts(
            session_id=spec.session_id,
            instance_id=spec.instance_id,
            generation=spec.generation,
            host=self._name,
            name=spec.container_name,
            status=ContainerStatus.CREATED,
            runtime=KIND,
            created_at=self._now(),
            engine_type=spec.engine_type,
            trading_mode=spec.trading_mode,
            memory_limit_bytes=spec.memory_bytes,
            is_worker=spec.worker is not None,
        )
        return MemorySession(spec, facts)

    def _judge(self, known: MemorySession, wanted: SessionSpec) -> Verdict:
        existing = Existing(
            name=known.facts.name,
            owner=self._owner,
            session_id=known.spec.session_id,
            spec_hash=spec_hash(known.spec),
            status=known.facts.status,
        )
        return judge(existing, owner=self._owner, session_id=wanted.session_id, spec_hash=spec_hash(wanted))

    async def _start(self, session: MemorySession, line: bytes, go_on: Callable[[], None]) -> None:
        try:
            go_on()
        except FaultError:
            await self._delete(session)
            raise
        if self.host.sessions.get(session.facts.session_id) is not session:
            raise fault(FaultCode.NOT_FOUND, "it was removed before it could be started")
        self._run(session, line)
        await self.host.tell()

    def _run(self, session: MemorySession, line: bytes) -> None:
        session.sidecar = Sidecar(line)
        self._set(session, ContainerStatus.RUNNING, started_at=self._now())
        session.work = asyncio.get_running_loop().create_task(
            self._live(session), name=f"sidecar:{session.facts.session_id}"
        )

    async def _live(self, session: MemorySession) -> None:
        exit_code = await self._program(session.sidecar)
        self._ended(session, exit_code)
        await self.host.tell()

    def _ended(self, session: MemorySession, exit_code: int) -> None:
        self._set(session, ContainerStatus.EXITED, finished_at=self._now(), exit_code=exit_code)

    def _set(self, session: MemorySession, status: ContainerStatus, **facts: object) -> None:
        session.facts = msgspec.structs.replace(session.facts, status=status, **facts)

    async def _delete(self, session: MemorySession) -> None:
        if self.host.sessions.get(session.facts.session_id) is session:
            del self.host.sessions[session.facts.session_id]
        await self.host.tell()

    def _find(self, session_id: str) -> MemorySession:
        if session_id not in self.host.sessions:
            raise fault(FaultCode.NOT_FOUND, f"session {session_id} is not on this host")
        return self.host.sessions[session_id]

    def _facts(self) -> dict[str, ContainerFacts]:
        return {key: session.facts for key, session in self.host.sessions.items()}

    async def _has_ended(self, session: MemorySession, within_s: float) -> bool:
        """Whether it does not run, within some seconds."""
        try:
            async with asyncio.timeout(within_s), self.host.changed:
                await self.host.changed.wait_for(lambda: not is_running(session.facts))
        except TimeoutError:
            return not is_running(session.facts)
        return True
