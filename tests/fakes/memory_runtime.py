"""Sessions in memory whose starts take as long as a test lets them: what a runtime does step by step, without a process."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec

from schemas.fault import FaultCode, fault
from schemas.session import ContainerFacts, ContainerStatus, SessionSpec, container_name
from services.supervisor.core.check_output import CheckOutput
from services.supervisor.core.facts import as_gone, is_running, never_seen
from services.supervisor.ports import RuntimeProbe

KIND = "memory"


class MemoryRuntime:
    """A ContainerRuntime. `creating` and `starting` are open gates; a test closes one to hold starts before that step.

    A sidecar here obeys SIGTERM at once unless it `is_deaf`; one that `is_silent` has no pulse either.
    """

    kind = KIND
    is_isolated = True

    def __init__(self) -> None:
        self.sessions: dict[str, ContainerFacts] = {}
        self.signals: list[tuple[str, str]] = []
        self.is_deaf = False
        self.is_silent = False
        self.creating, self.starting = asyncio.Event(), asyncio.Event()
        self.creating.set()
        self.starting.set()
        self.pulses_taken = 0
        self._beats = 0
        self._changed = asyncio.Condition()

    def put(self, spec: SessionSpec, status: ContainerStatus, exit_code: int | None = None) -> None:
        """A session as somebody left it."""
        self.sessions[spec.session_id] = ContainerFacts(
            session_id=spec.session_id,
            instance_id=spec.instance_id,
            generation=spec.generation,
            host="h1",
            name=container_name(spec.session_id),
            status=status,
            runtime=KIND,
            exit_code=exit_code,
        )

    async def ensure(
        self, spec: SessionSpec, launch_line: bytes, go_on: Callable[[], None] = lambda: None
    ) -> ContainerFacts:
        """See ContainerRuntime."""
        known = self.sessions.get(spec.session_id)
        if known is not None and known.status != ContainerStatus.CREATED:
            return known
        await self.creating.wait()
        self.put(spec, ContainerStatus.CREATED)
        await self.starting.wait()
        try:
            go_on()
        except BaseException:
            del self.sessions[spec.session_id]
            raise
        return await self._set(spec.session_id, ContainerStatus.RUNNING)

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        """See ContainerRuntime."""
        if not is_running(await self.inspect(session_id)):
            return self.sessions[session_id]
        self.signals.append((session_id, "SIGTERM"))
        if not self.is_deaf:
            return await self._set(session_id, ContainerStatus.EXITED, 0)
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: not is_running(self.sessions[session_id]))
        except TimeoutError:
            return await self.kill(session_id)
        return self.sessions[session_id]

    async def pulse(self, session_id: str) -> str | None:
        """See ContainerRuntime."""
        self.pulses_taken += 1
        self._beats += not self.is_silent
        return str(self._beats) if is_running(await self.inspect(session_id)) else None

    async def kill(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        if not is_running(await self.inspect(session_id)):
            return self.sessions[session_id]
        self.signals.append((session_id, "SIGKILL"))
        return await self._set(session_id, ContainerStatus.EXITED, -9)

    async def remove(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        if session_id not in self.sessions:
            return never_seen(session_id, name=container_name(session_id), host="h1", runtime=KIND)
        if is_running(self.sessions[session_id]):
            raise fault(FaultCode.CONFLICT, f"session {session_id} runs: stop it first")
        return as_gone(self.sessions.pop(session_id))

    async def inspect(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        if session_id not in self.sessions:
            raise fault(FaultCode.NOT_FOUND, f"session {session_id} is not on this host")
        return self.sessions[session_id]

    async def list(self) -> tuple[ContainerFacts, ...]:
        """See ContainerRuntime."""
        return tuple(self.sessions.values())

    async def watch(self) -> AsyncGenerator[ContainerFacts]:
        """Nobody watches here."""
        raise NotImplementedError
        yield

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        """No plans are checked here."""
        raise NotImplementedError

    async def probe(self) -> RuntimeProbe:
        """See ContainerRuntime."""
        return RuntimeProbe(is_up=True, cpus=2, memory_bytes=1 << 33)

    async def close(self) -> None:
        """See ContainerRuntime."""

    async def _set(
        self, session_id: str, status: ContainerStatus, exit_code: int | None = None
    ) -> ContainerFacts:
        async with self._changed:
            facts = msgspec.structs.replace(self.sessions[session_id], status=status, exit_code=exit_code)
            self.sessions[session_id] = facts
            self._changed.notify_all()
        return facts
