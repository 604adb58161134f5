"""Sessions as local processes, for a machine without Docker. It does not isolate, says so, and refuses live trading."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import ContainerFacts, SessionSpec, container_name
from flotilla.services.supervisor.adapters import process_table
from flotilla.services.supervisor.adapters.process_check import run_check, run_when_asked
from flotilla.services.supervisor.adapters.process_folder import (
    SessionFolder,
    session_folders,
    sweep_remnants,
)
from flotilla.services.supervisor.adapters.process_spawn import spawn
from flotilla.services.supervisor.core.adopt import Verdict, judge
from flotilla.services.supervisor.core.check_output import LONGEST_S, CheckOutput, Question
from flotilla.services.supervisor.core.facts import as_gone, is_running, never_seen, spec_hash
from flotilla.services.supervisor.core.live_guard import refuse_live
from flotilla.services.supervisor.core.process_state import SessionRecord, existing_of, facts_of
from flotilla.services.supervisor.keyed_locks import KeyedLocks
from flotilla.services.supervisor.ports import RuntimeProbe

log = get_logger(__name__)

KIND: Final = "process"
WARNING: Final = "the process runtime does not isolate: engines run as this user, see its files and share its network; no live trading"
POLL_S: Final = 0.2
STEP_S: Final = 0.02
SIGNAL_AGAIN_S: Final = 1.0
SIGNALS: Final = 5
DEATH_S: Final = 10.0


class ProcessRuntime:
    """The ContainerRuntime of one state folder. `command` reads a launch line and runs a session, `check_command` checks a plan.

    A guest (`is_guest`) uses the folder beside the supervisor that owns it, and tidies nothing up.
    """

    def __init__(
        self,
        root: Path,
        command: tuple[str, ...],
        *,
        owner: str,
        host: str,
        check_command: tuple[str, ...] = (sys.executable, "-m", "flotilla.engine_sidecar.checking"),
        catalog_command: tuple[str, ...] = (
            sys.executable,
            "-m",
            "flotilla.engine_sidecar.catalog.questions",
        ),
        is_guest: bool = False,
    ) -> None:
        self._root = root
        self._command = command
        self._check_command = check_command
        self._catalog_command = catalog_command
        self._owner = owner
        self._host = host
        self._locks: KeyedLocks[str] = KeyedLocks()
        self._shims: set[int] = set()
        if is_guest:
            return
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        sweep_remnants(root)
        log.warning(WARNING, folder=str(root))
        for folder in session_folders(root):
            if folder.record() is None:
                log.error("session folder is damaged", folder=str(folder.path))

    @property
    def kind(self) -> str:
        """process"""
        return KIND

    @property
    def is_isolated(self) -> bool:
        """False"""
        return False

    async def ensure(
        self, spec: SessionSpec, launch_line: bytes, go_on: Callable[[], None] = lambda: None
    ) -> ContainerFacts:
        """See ContainerRuntime. Raises FaultError `forbidden` for live trading."""
        refuse_live(spec, is_isolated=self.is_isolated)
        async with self._locks.take(spec.session_id):
            folder = await asyncio.to_thread(self._ensure, spec, launch_line, go_on)
            return await self._until(folder, _is_known)

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        """See ContainerRuntime."""
        folder = await self._started(session_id)
        deadline = time.monotonic() + timeout_s
        for _ in range(SIGNALS):
            # Again, because the shell that is about to become the sidecar drops what comes too early.
            await asyncio.to_thread(_ask_to_stop, folder, deadline)
            left_s = deadline - time.monotonic()
            facts = await self._until(folder, _has_ended, min(SIGNAL_AGAIN_S, left_s))
            if not is_running(facts):
                return facts
        ended = await self._until(folder, _has_ended, deadline - time.monotonic())
        return await self._kill(folder) if is_running(ended) else ended

    async def pulse(self, session_id: str) -> str | None:
        """See ContainerRuntime."""
        return await asyncio.to_thread(SessionFolder(self._root / session_id).pulse)

    async def kill(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        return await self._kill(await self._started(session_id))

    async def remove(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        async with self._locks.take(session_id):
            folder = SessionFolder(self._root / session_id)
            if (facts := await asyncio.to_thread(self._facts, folder)) is None:
                name = container_name(session_id)
                return never_seen(session_id, name=name, host=self._host, runtime=KIND)
            if is_running(facts):
                raise fault(FaultCode.CONFLICT, f"session {session_id} runs: stop it first")
            await asyncio.to_thread(folder.delete)
            return as_gone(facts)

    async def inspect(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        facts = await asyncio.to_thread(self._facts, SessionFolder(self._root / session_id))
        if facts is None:
            raise fault(FaultCode.NOT_FOUND, f"session {session_id} is not on this host")
        return facts

    async def list(self) -> tuple[ContainerFacts, ...]:
        """See ContainerRuntime."""
        return await asyncio.to_thread(self._list)

    async def watch(self) -> AsyncGenerator[ContainerFacts]:
        """See ContainerRuntime. It also keeps the deadlines of stops whose supervisor died, and bounds the output files."""
        known: dict[str, ContainerFacts] = {}
        while True:
            await asyncio.to_thread(self._housekeep)
            seen = {facts.session_id: facts for facts in await self.list()}
            for facts in seen.values():
                if known.get(facts.session_id) != facts:
                    yield facts
            for session_id in known.keys() - seen.keys():
                yield as_gone(known[session_id])
            known = seen
            await asyncio.sleep(POLL_S)

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        """See ContainerRuntime."""
        return await run_check(self._root, self._check_command, line, timeout_s)

    async def check_when_asked(self, asked: Future[Question | None]) -> CheckOutput:
        """See ContainerRuntime."""
        return await run_when_asked(self._root, self._check_command, asked, LONGEST_S)

    async def catalog(self, line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        """See ContainerRuntime. Nothing but its own care keeps a process from writing."""
        return await run_check(self._root, self._catalog_command, line, timeout_s)

    async def probe(self) -> RuntimeProbe:
        """See ContainerRuntime."""
        return RuntimeProbe(
            is_up=True,
            cpus=os.process_cpu_count() or 1,
            memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            detail=WARNING,
        )

    async def close(self) -> None:
        """See ContainerRuntime."""
        self._reap()

    def _ensure(self, spec: SessionSpec, line: bytes, go_on: Callable[[], None]) -> SessionFolder:
        record = SessionRecord(
            owner=self._owner,
            host=self._host,
            spec=spec,
            spec_hash=spec_hash(spec),
            boot_id=process_table.boot_id(),
            created_at=datetime.now(UTC),
        )
        while True:
            try:
                folder, lock = SessionFolder.claim(self._root, record)
            except FileExistsError:
                folder = SessionFolder(self._root / spec.session_id)
                if self._judge(folder, record) == Verdict.ADOPT:
                    return folder
                folder.delete()
                continue
            self._start(folder, line, lock, go_on)
            return folder

    def _judge(self, folder: SessionFolder, wanted: SessionRecord) -> Verdict:
        if (record := folder.record()) is None:
            if folder.is_locked():
                raise fault(FaultCode.CONFLICT, f"{folder.path} is damaged and its process lives")
            return Verdict.REPLACE
        return judge(
            existing_of(record, folder.observe(record)),
            owner=self._owner,
            session_id=wanted.spec.session_id,
            spec_hash=wanted.spec_hash,
        )

    def _start(self, folder: SessionFolder, line: bytes, lock: int, go_on: Callable[[], None]) -> None:
        try:
            go_on()
            self._shims.add(spawn(folder.path, self._command, line, lock))
        except BaseException:
            folder.delete()
            raise
        finally:
            os.close(lock)

    def _facts(self, folder: SessionFolder) -> ContainerFacts | None:
        self._reap()
        record = folder.record()
        if record is None or record.owner != self._owner:
            return None
        return facts_of(record, folder.observe(record))

    def _list(self) -> tuple[ContainerFacts, ...]:
        found = (self._facts(folder) for folder in session_folders(self._root))
        return tuple(facts for facts in found if facts is not None)

    def _housekeep(self) -> None:
        for folder in session_folders(self._root):
            facts = self._facts(folder)
            if facts is None or not is_running(facts):
                continue
            folder.bound_output()
            if folder.is_overdue():
                log.warning("session did not stop in time and is killed", session_id=facts.session_id)
                _kill_group(folder)

    def _reap(self) -> None:
        """Shims of this supervisor's life are its children; those of an earlier one are not."""
        for pid in tuple(self._shims):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid
            if ended:
                self._shims.discard(pid)

    async def _started(self, session_id: str) -> SessionFolder:
        """The folder, once its shim has told whom to signal."""
        await self.inspect(session_id)
        folder = SessionFolder(self._root / session_id)
        facts = await self._until(folder, _is_known)
        if not _is_known(facts):
            raise fault(FaultCode.UNAVAILABLE, f"session {session_id} is being started", retry_after_s=1.0)
        return folder

    async def _kill(self, folder: SessionFolder) -> ContainerFacts:
        await asyncio.to_thread(_kill_group, folder)
        return await self._until(folder, _has_ended)

    async def _until(
        self, folder: SessionFolder, is_so: Callable[[ContainerFacts], bool], timeout_s: float = DEATH_S
    ) -> ContainerFacts:
        """The session's facts once they are so, or when `timeout_s` has passed."""
        deadline = time.monotonic() + timeout_s
        while True:
            facts = await self.inspect(folder.path.name)
            if is_so(facts) or time.monotonic() >= deadline:
                return facts
            await asyncio.sleep(STEP_S)


def _is_known(facts: ContainerFacts) -> bool:
    """False for the few milliseconds until a shim has told who its sidecar is."""
    return facts.container_id != "" or not is_running(facts)


def _has_ended(facts: ContainerFacts) -> bool:
    return not is_running(facts)


def _ask_to_stop(folder: SessionFolder, deadline: float) -> None:
    if (processes := folder.processes()) is not None:
        process_table.send(processes[1], signal.SIGTERM)
    folder.stop_by(deadline)


def _kill_group(folder: SessionFolder) -> None:
    if (processes := folder.processes()) is not None:
        folder.mark_killed()
        process_table.kill_group(*processes)
