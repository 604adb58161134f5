"""One trial from the queue to its end: claimed, run in its process, told of, and done with."""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import bind, get_logger
from flotilla.bus.queue import KEEP_S, Taken
from flotilla.engine_sidecar.link.messages import LinkClosed
from flotilla.engine_sidecar.link.own_folders import remove_folders
from flotilla.engine_sidecar.link.trial import FromTrial, Produced, Progressed, Refused, RunTrial
from flotilla.engine_sidecar.outbox.publisher import OF_PROCESS
from flotilla.engine_sidecar.process.forked import ForkedProcess
from flotilla.engine_sidecar.process.zygote_client import ZygoteClient
from flotilla.engine_sidecar.session.packages import Packages, is_passing
from flotilla.engine_sidecar.worker.slots import Slots
from flotilla.engine_sidecar.worker.trial_end import TAIL_LINES, TrialEnd, TrialKill, told_of
from flotilla.schemas.backtest import (
    ClaimTrial,
    TrialBeat,
    TrialClaimed,
    TrialEvent,
    TrialFailed,
    TrialFailure,
    TrialJob,
    TrialPart,
    TrialProgress,
    TrialStarted,
)
from flotilla.schemas.contract import TRIAL_BEAT, TRIAL_CLAIM, TRIAL_EVENT
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import Launch, SessionSpec

log = get_logger(__name__)

PATIENCE_S: Final = 5.0
"""How long the orchestrator may be away before trials are run unasked."""
_UNASKED: Final = 2
"""Only what the queue handed out no more often than this: what kills its workers is counted by the orchestrator alone."""


class Claims:
    """The claims of one worker. A trial that was run in vain does no harm: whichever result comes first counts."""

    def __init__(self, bus: Bus, spec: SessionSpec) -> None:
        self._bus, self._spec = bus, spec
        self._away_since: float | None = None

    async def ask(self, backtest_id: str, attempt: int) -> TrialClaimed:
        """The orchestrator's answer; ours after it was away for PATIENCE_S. `attempt` counts deliveries from 1."""
        request = ClaimTrial(
            backtest_id=backtest_id,
            worker=self._spec.instance_id,
            session_id=self._spec.session_id,
            attempt=attempt,
        )
        while True:
            try:
                answer = await self._bus.call(TRIAL_CLAIM, request)
            except FaultError as error:
                if error.fault.code == FaultCode.NOT_FOUND:
                    self._away_since = None
                    return TrialClaimed(is_wanted=False, why=error.fault.message)
                if self._is_long_away() and attempt <= _UNASKED:
                    log.warning("trial is run unasked", attempt=attempt, error=str(error))
                    return TrialClaimed(is_wanted=True, is_alone=attempt > 1)
                log.warning("trial cannot be claimed yet", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                self._away_since = None
                return answer

    def _is_long_away(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._away_since is None:
            self._away_since = now
        return now - self._away_since > PATIENCE_S


PART_BYTES: Final = 512 << 10
"""Of a result in one message; JSON makes a third more of it."""
RETRY_S: Final = 1.0


class Trial:
    """One attempt at a trial. `on_line` takes what its process prints, `is_oom` tells whether the kernel killed for memory."""

    def __init__(
        self,
        taken: Taken,
        job: TrialJob,
        launch: Launch,
        *,
        bus: Bus,
        zygote: ZygoteClient,
        claims: Claims,
        packages: Packages,
        slots: Slots,
        is_oom: Callable[[], bool],
        on_line: Callable[[str], None],
    ) -> None:
        self.backtest_id = job.backtest_id
        self._taken, self._job, self._launch = taken, job, launch
        self._bus, self._zygote, self._claims, self._slots = bus, zygote, claims, slots
        self._packages = packages
        self._is_oom = is_oom
        self._echo = on_line
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._pieces: list[bytes] = []
        self._whole = asyncio.Event()
        self._report: list[bytes] = []
        self._has_report = False
        self._refused: tuple[TrialFailure, str] | None = None
        self._killed_for: TrialKill | None = None
        self._told = 0
        self._progress: TrialBeat | None = None
        self._has_progress = asyncio.Event()
        self._process: ForkedProcess | None = None

    async def run(self) -> None:
        """Runs it to its end. What the bus does not take is tried again for as long as it takes."""
        with bind(backtest_id=self.backtest_id):
            async with asyncio.TaskGroup() as group:
                beside = (
                    group.create_task(self._keep(), name="keep"),
                    group.create_task(self._publish_beats(), name="beats"),
                )
                await self._work()
                for task in beside:
                    task.cancel()

    @property
    def pid(self) -> int | None:
        """Of its process, once it has one."""
        return self._process.running_pid if self._process is not None else None

    def kill(self, cause: TrialKill) -> None:
        """Ends its process; the first cause is the one that is told."""
        self._killed_for = self._killed_for or cause
        if self._process is not None:
            self._process.kill()

    async def gone(self) -> None:
        """Returns when its process is."""
        if self._process is not None:
            await self._process.ended()

    async def _work(self) -> None:
        claim = await self._claims.ask(self.backtest_id, self._taken.attempt)
        if claim.is_wanted:
            async with self._slots.enter(alone=claim.is_alone):
                is_over = await self._attempt()
            if not is_over:
                await self._taken.give_back(0.0)
                return
        else:
            log.info("trial is not wanted", why=claim.why)
        # If the queue does not learn it now, the work comes again, is claimed in vain, and done with then.
        await self._taken.done()

    async def _attempt(self) -> bool:
        """Runs it once and tells what came of it; False when that is nothing and it shall be run again."""
        if self._killed_for is not None:
            return self._killed_for is not TrialKill.LEFT
        try:
            archives = await self._archives()
        except FaultError as error:
            await self._tell(TrialFailed(reason=TrialFailure.CONFIG, detail=error.fault.message))
            return True
        if archives is None:
            return self._killed_for is not TrialKill.LEFT
        try:
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell_outcome(), name="outcome")
                end = await self._run_process(archives)
                if not end.is_whole:
                    telling.cancel()
        finally:
            self._packages.let_go(archives)
        if end.is_open:
            log.info("trial is given back", killed_for=end.killed_for)
            return False
        await self._tell_end(end)
        return True

    async def _run_process(self, archives: tuple[bytes, ...]) -> TrialEnd:
        launch = self._launch
        run = RunTrial(
            job=self._job,
            catalog_path=launch.catalog_path,
            host=launch.host,
            image=launch.image,
            packages=archives,
            wheels=self._packages.wheels,
        )
        self._process = process = self._zygote.fork(FromTrial, self._hear, self._print, is_trial=True)
        process.link.send(run)
        pid = await asyncio.shield(process.pid)
        if self._killed_for is not None:  # while it was being forked
            process.kill()
        started = TrialStarted(
            worker=launch.spec.instance_id,
            session_id=launch.spec.session_id,
            host=launch.host,
            pid=pid,
            attempt=self._taken.attempt,
        )
        await self._tell(started)
        end = await self._ended(process)
        if archives:  # one that was killed left its files
            await asyncio.to_thread(remove_folders, pid)
        return end

    async def _archives(self) -> tuple[bytes, ...] | None:
        """The packages of the plan; None when the trial was killed before they came. Raises FaultError for one that is not to be had."""
        while self._killed_for is None:
            try:
                return await self._packages.fetch(self._bus, self._job.plan.packages)
            except FaultError as error:
                if not is_passing(error):
                    raise
                log.warning("packages of a trial cannot be fetched yet", error=str(error))
                await asyncio.sleep(RETRY_S)
        return None

    async def _ended(self, process: ForkedProcess) -> TrialEnd:
        try:
            async with asyncio.timeout(self._job.timeout_s):
                await asyncio.shield(process.exit_code)
        except TimeoutError:
            self.kill(TrialKill.TIMEOUT)
        exit_code = await process.ended()
        return TrialEnd(
            exit_code=exit_code,
            is_whole=self._whole.is_set(),
            refused=self._refused,
            killed_for=self._killed_for,
            is_oom=self._is_oom(),
            timeout_s=self._job.timeout_s,
            log_tail=tuple(self._lines),
        )

    async def _tell_end(self, end: TrialEnd) -> None:
        said = told_of(end)
        log.info("trial ended", end=type(said).__name__ if said else "result", exit_code=end.exit_code)
        if said is not None:
            await self._tell(said)
            return
        if self._has_report:
            await self._tell_document("report", self._report)

    async def _tell_outcome(self) -> None:
        """Told as soon as it is whole: the process may go on to draw the tear sheet."""
        await self._whole.wait()
        await self._tell_document("outcome", self._pieces)

    async def _tell_document(self, document: Literal["outcome", "report"], pieces: list[bytes]) -> None:
        whole = b"".join(pieces)
        digest = hashlib.sha256(whole).hexdigest()
        count = -(-len(whole) // PART_BYTES)
        for index in range(count):
            data = whole[index * PART_BYTES : (index + 1) * PART_BYTES]
            part = TrialPart(index=index, count=count, sha256=digest, data=data, document=document)
            await self._tell(part)

    async def _tell(self, data: Any) -> None:
        event = TrialEvent(
            backtest_id=self.backtest_id, attempt=self._taken.attempt, at_ns=time.time_ns(), data=data
        )
        self._told += 1
        spec = self._launch.spec
        message_id = f"{self.backtest_id}-{self._taken.attempt}-{self._told}-{OF_PROCESS}"
        while True:
            try:
                await self._bus.publish_durable(
                    TRIAL_EVENT, event, message_id=message_id, instance_id=spec.instance_id
                )
            except FaultError as error:
                log.warning("trial event waits for the bus", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            await self._taken.keep()

    async def _publish_beats(self) -> None:
        """The newest progress only: it may be lost."""
        while True:
            await self._has_progress.wait()
            self._has_progress.clear()
            if self._progress is not None:
                await self._bus.publish(TRIAL_BEAT, self._progress, instance_id=self._launch.spec.instance_id)

    def _hear(self, message: FromTrial | LinkClosed) -> None:
        match message:
            case Produced(data=data, is_last=is_last, is_report=is_report):
                pieces = self._report if is_report else self._pieces
                pieces.append(data)
                if is_last and not is_report:
                    self._whole.set()
                self._has_report = self._has_report or (is_last and is_report)
            case Refused(reason=reason, detail=detail):
                self._refused = (reason, detail)
            case Progressed(data=data):
                self._beat(data)
            case LinkClosed(error=error) if error and self._process is not None:
                log.warning("a trial cannot be understood", error=error)
                self._process.kill()

    def _beat(self, data: bytes) -> None:
        self._progress = TrialBeat(
            backtest_id=self.backtest_id,
            attempt=self._taken.attempt,
            worker=self._launch.spec.instance_id,
            progress=msgspec.json.decode(data, type=TrialProgress),
        )
        self._has_progress.set()

    def _print(self, line: str) -> None:
        self._lines.append(line)
        self._echo(f"[{self.backtest_id}] {line}")
