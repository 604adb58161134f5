"""One worker from launch line to exit code: takes as many trials as it has room for, until it is told to stop."""

import asyncio
import signal
import sys
import time
from contextlib import suppress
from typing import Final

import msgspec

from flotilla.bus.alive import since_boot
from flotilla.bus.bus import Bus, connect
from flotilla.bus.logs import get_logger
from flotilla.bus.queue import Taken, WorkQueue
from flotilla.bus.settings import BusSettings
from flotilla.bus.tasks import Tasks
from flotilla.engine_sidecar.outbox.journal import Journal
from flotilla.engine_sidecar.outbox.log_book import LogBook
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.engine_sidecar.outbox.publisher import EventPublisher, LogPublisher
from flotilla.engine_sidecar.outbox.record import EventRecord
from flotilla.engine_sidecar.outbox.redaction import Redaction, secrets_of
from flotilla.engine_sidecar.process.children import Children
from flotilla.engine_sidecar.process.echo import Echo
from flotilla.engine_sidecar.process.processes import rss_bytes
from flotilla.engine_sidecar.process.resource_meter import session_meter
from flotilla.engine_sidecar.process.spawn import Spawned
from flotilla.engine_sidecar.session.bus_session import keep_going
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.engine_sidecar.session.core.verdict import describe_exit
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.engine_sidecar.session.telemetry import Telemetry
from flotilla.engine_sidecar.worker.commands import WorkerCommands
from flotilla.engine_sidecar.worker.forks import Forks, ZygoteLostError
from flotilla.engine_sidecar.worker.slots import Slots
from flotilla.engine_sidecar.worker.trial import Claims, Trial
from flotilla.engine_sidecar.worker.verdict import KillCause
from flotilla.schemas.backtest import TrialJob, WorkerPlan
from flotilla.schemas.contract import TRIAL_CONSUMER, TRIAL_QUEUE
from flotilla.schemas.session import Launch
from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import StateChange

log = get_logger(__name__)

TAKE_S: Final = 5.0
CHECK_S: Final = 0.2
RETRY_S: Final = 1.0
CONNECT_S: Final = 5.0
FLUSH_S: Final = 5.0
LEAVE_S: Final = 10.0
"""For killing the trials that run, and giving them back."""
_LOOK_S: Final = 0.02


class WorkerLife:
    """The parts of one worker. Made within the running loop."""

    def __init__(self, launch: Launch, plan: WorkerPlan, spawned: Spawned, settings: Settings) -> None:
        self._launch, self._plan, self._settings = launch, plan, settings
        self._children = Children()
        self._forks = Forks(spawned, self._children)
        self._book = LogBook(max_lines=settings.log_lines, max_bytes=settings.log_bytes)
        self._echo = Echo(sys.stdout.fileno())
        self._redaction = Redaction(secrets_of(launch))
        spec = launch.spec
        self._session = Session(spec=spec)
        self._outbox = Outbox(max_events=settings.queue_events, max_bytes=settings.queue_bytes)
        self._events = EventPublisher(spec, self._outbox)
        self._logs = LogPublisher(spec, self._book, time.time_ns)
        self._record = EventRecord(
            Journal(spec, self._redaction),
            self._outbox,
            now=since_boot,
            now_ns=time.time_ns,
            wake=self._events.wake,
        )
        self._meter = session_meter(launch, lambda: self._forks.pids)
        self._telemetry = Telemetry(
            spec,
            session=lambda: self._session,
            outbox=self._outbox,
            event_age_s=self._record.age_s,
            last_seq=lambda: self._record.last_seq,
            logs_dropped=lambda: self._book.dropped,
            meter=self._meter,
            heartbeat_file=settings.heartbeat_file,
            now=since_boot,
            now_ns=time.time_ns,
        )
        self._slots = Slots()
        self._trials: set[Trial] = set()
        self._running = Tasks()
        self._stop = asyncio.Event()

    async def run(self) -> StateChange:
        """Works until it is stopped, has been idle for long enough, or its zygote dies."""
        self._children.watch()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        self._enter(StateChange(state=RunState.BOOTING))
        async with asyncio.TaskGroup() as tasks:
            zygote = tasks.create_task(self._forks.run(self._on_line), name="zygote")
            others = [
                tasks.create_task(keep_going("heartbeat", self._telemetry.run_heartbeat), name="heartbeat"),
                tasks.create_task(keep_going("echo", self._echo.run), name="echo"),
                tasks.create_task(self._watch_memory(), name="memory"),
            ]
            if (bus := await self._find_bus()) is None:
                change = StateChange(state=RunState.STOPPED, detail="stopped before the bus was found")
            else:
                others += [
                    tasks.create_task(keep_going("events", lambda: self._events.run(bus)), name="events"),
                    tasks.create_task(keep_going("logs", lambda: self._logs.run(bus)), name="logs"),
                ]
                change = await self._work(bus, zygote)
            self._enter(change)
            if bus is not None:
                await self._flush()
            for task in (zygote, *others):
                task.cancel()
        self._echo.finish()
        if bus is not None:
            await bus.drain()
        return change

    async def _work(self, bus: Bus, zygote: asyncio.Task[int]) -> StateChange:
        tasks = Tasks()
        ready = tasks.start(self._forks.is_ready.wait(), name="zygote ready")
        stopping = tasks.start(self._stop.wait(), name="stop")
        await asyncio.wait({zygote, ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not (zygote.done() or stopping.done()):
            self._enter(StateChange(state=RunState.TRADING, detail=f"{self._plan.slots} slots"))
        taking = tasks.start(self._take_trials(bus), name="take")
        await asyncio.wait({zygote, taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        is_lost = self._forks.is_lost and not stopping.done()
        if not is_lost:
            self._enter(StateChange(state=RunState.STOPPING))
        taking.cancel()
        for trial in self._trials:
            trial.kill(KillCause.LEFT)
        await self._running.join(LEAVE_S)
        await self._running.close()
        await tasks.close()
        if is_lost:
            detail = f"the process that trials are forked from {describe_exit(await zygote)}"
            return StateChange(state=RunState.FAILED, reason=FailureReason.CRASH, detail=detail)
        return StateChange(state=RunState.STOPPED, exit_code=0)

    async def _take_trials(self, bus: Bus) -> None:
        """Takes work while there is room and a zygote; returns when there was none for `idle_s`."""
        queue = WorkQueue(bus, TRIAL_QUEUE, TRIAL_CONSUMER)
        claims = Claims(bus, self._launch.spec)
        room = asyncio.Semaphore(self._plan.slots)
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while True:
            await room.acquire()
            if self._forks.is_lost:
                # Whatever we claimed now would count as begun, and never begin.
                return
            taken = await queue.take(TAKE_S)
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
            order = msgspec.json.decode(taken.data, type=TrialJob)
        except msgspec.MsgspecError as error:
            log.error("work that nobody can read is thrown away", error=str(error))  # noqa: TRY400
            await taken.done()
            room.release()
            return
        if any(trial.backtest_id == order.backtest_id for trial in self._trials):
            # Handed out again because the queue was not told in time that it is being worked at. Whoever works at it is done with it.
            log.info("work comes again while it runs here", backtest_id=order.backtest_id)
            room.release()
            return
        trial = Trial(
            taken,
            order,
            self._launch,
            bus=bus,
            forks=self._forks,
            claims=claims,
            slots=self._slots,
            is_oom=lambda: self._telemetry.oom.has_risen(self._meter.oom_kills()),
            on_line=self._on_line,
        )
        self._trials.add(trial)
        try:
            await trial.run()
        except* ZygoteLostError as error:
            # The queue hands it out again, sooner if the orchestrator hears that we ended.
            log.warning("trial is lost", backtest_id=order.backtest_id, error=str(error.exceptions[0]))
        finally:
            self._trials.discard(trial)
            room.release()

    async def _find_bus(self) -> Bus | None:
        """The bus, with our orders served on it; None when the worker was stopped before it was found."""
        spec, access = self._launch.spec, self._launch.bus
        settings = BusSettings(url=access.url, name=f"engine_{spec.instance_id}", creds=access.creds)
        orders = WorkerCommands(spec, lambda: tuple(self._trials), self._stop.set)
        while not self._stop.is_set():
            bus: Bus | None = None
            try:
                bus = await connect(settings, wait_s=CONNECT_S)
                await orders.serve(bus)
            except Exception:
                log.exception("bus cannot be used yet", url=access.url)
            else:
                self._telemetry.bus = bus
                return bus
            if bus is not None:
                await bus.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._stop.wait()
        return None

    async def _watch_memory(self) -> None:
        """Keeps each trial to its share of the worker's memory, where there is no container to do it."""
        share = self._launch.spec.memory_bytes // self._plan.slots
        while self._launch.enforce_memory:
            for trial in tuple(self._trials):
                if (pid := trial.pid) is not None and (rss_bytes(pid) or 0) > share:
                    trial.kill(KillCause.MEMORY)
            await asyncio.sleep(CHECK_S)

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FLUSH_S
        # Two queues that have no event in common.
        while (len(self._outbox) or self._logs.unpublished) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)

    def _enter(self, change: StateChange) -> None:
        self._record.write(change)
        self._session = msgspec.structs.replace(self._session, state=change.state)
        log.info("worker state", state=change.state, detail=change.detail)

    def _on_line(self, line: str) -> None:
        line = self._redaction.text(line)
        self._book.add(line)
        self._logs.wake()
        self._echo.add(line)
