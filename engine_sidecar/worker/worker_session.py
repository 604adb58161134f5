"""One worker from launch line to exit code: takes as many trials as it has room for, until it is told to stop."""

import asyncio
import signal
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.queue import Taken, WorkQueue
from flotilla.bus.tasks import Tasks
from flotilla.engine_sidecar.process.children import Children
from flotilla.engine_sidecar.process.ports import Surroundings
from flotilla.engine_sidecar.process.resource_meter import rss_bytes, session_meter
from flotilla.engine_sidecar.process.spawn import Spawned
from flotilla.engine_sidecar.process.zygote_client import ZygoteClient, ZygoteLostError
from flotilla.engine_sidecar.session.bus_session import BusSession
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.engine_sidecar.session.core.final_state import describe_exit
from flotilla.engine_sidecar.session.packages import Packages
from flotilla.engine_sidecar.session.reporter import Reporter
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.engine_sidecar.worker.attached_catalogs import sees_too_little
from flotilla.engine_sidecar.worker.commands import WorkerCommands
from flotilla.engine_sidecar.worker.slots import Slots
from flotilla.engine_sidecar.worker.trial import Claims, Trial
from flotilla.engine_sidecar.worker.trial_end import TrialKill
from flotilla.schemas.backtest import TrialJob, WorkerPlan
from flotilla.schemas.contract import TRIAL_CONSUMER, TRIAL_QUEUE
from flotilla.schemas.session import Launch
from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import StateChange

log = get_logger(__name__)

TAKE_S: Final = 5.0
CHECK_S: Final = 0.2
LEAVE_S: Final = 10.0
"""For killing the trials that run, and giving them back."""


class WorkerSession:
    """The parts of one worker. Made within the running loop."""

    def __init__(
        self, launch: Launch, plan: WorkerPlan, spawned: Spawned, around: Surroundings, settings: Settings
    ) -> None:
        self._launch, self._plan, self._settings = launch, plan, settings
        self._zygote = ZygoteClient(spawned, Children())
        self._session = Session(spec=launch.spec)
        self._meter = session_meter(launch, lambda: self._zygote.pids)
        self._reporter = Reporter(launch, settings, around, self._meter, lambda: self._session)
        self._slots = Slots()
        self._packages = Packages(settings.wheels_folder)
        self._trials: set[Trial] = set()
        self._running = Tasks()
        self._stop = asyncio.Event()
        self._bus: asyncio.Future[Bus] = asyncio.get_running_loop().create_future()
        self._bus_session = BusSession(
            launch,
            WorkerCommands(launch.spec, lambda: tuple(self._trials), self._stop.set).served,
            self._reporter,
            connect=around.connect,
            on_found=self._bus.set_result,
        )

    async def run(self) -> StateChange:
        """Works until it is stopped, has been idle for long enough, or its zygote dies."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        self._enter(StateChange(state=RunState.BOOTING))
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._zygote.run(lambda _: None, self._reporter.add_line), name="zygote"),
                tasks.create_task(self._reporter.run(), name="reporter"),
                tasks.create_task(self._bus_session.run(), name="bus session"),
                tasks.create_task(self._watch_memory(), name="memory"),
            ]
            stopping: asyncio.Task[Any] = tasks.create_task(self._stop.wait(), name="stop")
            await asyncio.wait({self._bus, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if self._bus.done():
                change = await self._work(self._bus.result(), stopping)
                self._enter(change)
                await self._reporter.flush(self._settings.flush_s)
            else:
                # It was never heard of, and has run no trial: nobody waits for what it could tell.
                change = StateChange(state=RunState.STOPPED, detail="stopped before the bus was found")
                self._enter(change)
            for task in (stopping, *running):
                task.cancel()
        self._reporter.finish()
        await self._bus_session.hang_up()
        self._packages.close()
        return change

    async def _work(self, bus: Bus, stopping: asyncio.Task[Any]) -> StateChange:
        tasks = Tasks()
        ended: asyncio.Future[Any] = self._zygote.exit_code
        ready = tasks.start(self._zygote.is_ready.wait(), name="zygote ready")
        await asyncio.wait({ended, ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not (ended.done() or stopping.done()):
            self._enter(StateChange(state=RunState.TRADING, detail=f"{self._plan.slots} slots"))
        taking = tasks.start(self._take_trials(bus), name="take")
        await asyncio.wait({ended, taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        is_lost = self._zygote.is_lost and not stopping.done()
        if not is_lost:
            self._enter(StateChange(state=RunState.STOPPING))
        taking.cancel()
        for trial in self._trials:
            trial.kill(TrialKill.LEFT)
        await self._running.join(LEAVE_S)
        await self._running.close()
        await tasks.close()
        if is_lost:
            detail = f"the process that trials are forked from {describe_exit(await ended)}"
            return StateChange(state=RunState.FAILED, reason=FailureReason.CRASH, detail=detail)
        return StateChange(state=RunState.STOPPED, exit_code=0)

    async def _take_trials(self, bus: Bus) -> None:
        """Takes trials while there is room and a zygote; returns when there was none for `idle_s`, or when it cannot see all data."""
        queue = WorkQueue(bus, TRIAL_QUEUE, TRIAL_CONSUMER)
        claims = Claims(bus, self._launch.spec)
        room = asyncio.Semaphore(self._plan.slots)
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while True:
            await room.acquire()
            if self._zygote.is_lost:
                # Whatever we claimed now would count as begun, and never begin.
                return
            taken = await queue.take(TAKE_S)
            if await asyncio.to_thread(sees_too_little, self._launch):
                log.info("another worker has to take the trials: catalogs were attached or detached")
                if taken is not None:
                    await taken.give_back(0.0)
                room.release()
                await self._running.join(None)
                return
            if taken is not None:
                idle_since = loop.time()
                self._running.start(self._run_trial(taken, bus, claims, room), name="trial")
                continue
            room.release()
            if self._trials:
                idle_since = loop.time()
            elif self._plan.idle_s is not None and loop.time() - idle_since > self._plan.idle_s:
                log.info("nothing to do for long enough", idle_s=self._plan.idle_s)
                return

    async def _run_trial(self, taken: Taken, bus: Bus, claims: Claims, room: asyncio.Semaphore) -> None:
        try:
            job = msgspec.json.decode(taken.data, type=TrialJob)
        except msgspec.MsgspecError as error:
            log.error("a trial that nobody can read is thrown away", error=str(error))  # noqa: TRY400
            await taken.done()
            room.release()
            return
        if any(trial.backtest_id == job.backtest_id for trial in self._trials):
            # Handed out again since the queue was not told in time that it runs. Whoever runs it is done with it.
            log.info("a trial comes again while it runs here", backtest_id=job.backtest_id)
            room.release()
            return
        trial = Trial(
            taken,
            job,
            self._launch,
            bus=bus,
            zygote=self._zygote,
            claims=claims,
            packages=self._packages,
            slots=self._slots,
            is_oom=lambda: self._reporter.telemetry.oom.has_risen(self._meter.oom_kills()),
            on_line=self._reporter.add_line,
        )
        self._trials.add(trial)
        try:
            await trial.run()
        except* ZygoteLostError as error:
            # The queue hands it out again, sooner if the orchestrator hears that we ended.
            log.warning("trial is lost", backtest_id=job.backtest_id, error=str(error.exceptions[0]))
        finally:
            self._trials.discard(trial)
            room.release()

    async def _watch_memory(self) -> None:
        """Keeps each trial to its share of the worker's memory, where there is no container to do it."""
        share = self._launch.spec.memory_bytes // self._plan.slots
        while self._launch.enforce_memory:
            for trial in tuple(self._trials):
                if (pid := trial.pid) is not None and (rss_bytes(pid) or 0) > share:
                    trial.kill(TrialKill.MEMORY)
            await asyncio.sleep(CHECK_S)

    def _enter(self, change: StateChange) -> None:
        self._reporter.record.write(change)
        self._session = msgspec.structs.replace(self._session, state=change.state)
        log.info("worker state", state=change.state, detail=change.detail)
