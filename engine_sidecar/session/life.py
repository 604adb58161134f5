"""One sidecar from launch line to exit code: makes the parts, joins them, and ends them in order."""

import asyncio
import signal
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.link.messages import Checked
from flotilla.engine_sidecar.outbox.journal import Journal
from flotilla.engine_sidecar.outbox.log_book import LogBook
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.engine_sidecar.outbox.publisher import EventPublisher, LogPublisher
from flotilla.engine_sidecar.outbox.record import EventRecord
from flotilla.engine_sidecar.outbox.redaction import Redaction, secrets_of
from flotilla.engine_sidecar.process.echo import Echo
from flotilla.engine_sidecar.process.ports import EngineProcesses, Meter, Surroundings
from flotilla.engine_sidecar.process.processes import rss_bytes
from flotilla.engine_sidecar.session.bus_session import BusSession, keep_going
from flotilla.engine_sidecar.session.commands import Commands
from flotilla.engine_sidecar.session.core.verdict import final_state
from flotilla.engine_sidecar.session.handlers import Handlers
from flotilla.engine_sidecar.session.questions import Questions
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.engine_sidecar.session.strategy_commands import StrategyCommands
from flotilla.engine_sidecar.session.telemetry import Telemetry
from flotilla.schemas.session import Launch
from flotilla.schemas.telemetry import StateChange

log = get_logger(__name__)

CHECK_S: Final = 0.2
LAST_OUTPUT_S: Final = 1.0
"""For what a dead engine left in its pipes; a process that it started may hold them open for ever."""


class Life:
    """The parts of one sidecar, and the tasks that run them. Made within the running loop."""

    def __init__(
        self,
        launch: Launch,
        zygote: EngineProcesses,
        meter: Meter,
        around: Surroundings,
        settings: Settings,
    ) -> None:
        spec = launch.spec
        self._launch = launch
        self._settings = settings
        self._is_over = asyncio.Event()
        self._zygote = zygote
        self._book = LogBook(max_lines=settings.log_lines, max_bytes=settings.log_bytes)
        self._echo = Echo(around.stdout)
        outbox = Outbox(max_events=settings.queue_events, max_bytes=settings.queue_bytes)
        events = EventPublisher(spec, outbox)
        self._logs = LogPublisher(spec, self._book, around.now_ns)
        self._redaction = Redaction(secrets_of(launch))
        journal = Journal(spec, self._redaction)
        self._record = EventRecord(journal, outbox, now=around.now, now_ns=around.now_ns, wake=events.wake)
        self._meter = meter
        self._telemetry = Telemetry(
            spec,
            session=lambda: self._handlers.session,
            outbox=outbox,
            event_age_s=self._record.age_s,
            last_seq=lambda: self._record.last_seq,
            logs_dropped=lambda: self._book.dropped,
            meter=self._meter,
            heartbeat_file=settings.heartbeat_file,
            now=around.now,
            now_ns=around.now_ns,
        )
        questions = Questions(self._zygote)
        self._handlers = Handlers(
            launch,
            self._zygote,
            self._record,
            questions,
            self._redaction,
            now=around.now,
            measured=self._telemetry.measured,
            over=self._is_over.set,
        )
        self._commands = Commands(launch, self._handlers, self._zygote)
        self._bus_session = BusSession(
            launch,
            self._handlers,
            self._commands,
            StrategyCommands(spec, self._handlers, questions),
            outbox=outbox,
            events=events,
            logs=self._logs,
            telemetry=self._telemetry,
            connect=around.connect,
        )

    async def run(self) -> StateChange:
        """Lives until the engine has ended and all was told, or could not be told in time."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._ask_to_stop)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._zygote.run(self._handlers.hear, self._on_line), name="zygote"),
                tasks.create_task(self._watch(), name="watch"),
                tasks.create_task(keep_going("heartbeat", self._telemetry.run_heartbeat), name="heartbeat"),
                tasks.create_task(keep_going("echo", self._echo.run), name="echo"),
                tasks.create_task(self._bus_session.run(), name="voice"),
            ]
            await self._is_over.wait()
            change = await self._conclude()
            await self._bus_session.flush(self._settings.flush_s)
            for task in running:
                task.cancel()
        self._echo.finish()
        await self._bus_session.hang_up()
        return change

    async def _conclude(self) -> StateChange:
        await self._zygote.drain(LAST_OUTPUT_S)
        is_oom = self._telemetry.oom.has_risen(self._meter.oom_kills())
        change = final_state(self._handlers.session, is_oom=is_oom, log_tail=self._book.tail)
        self._handlers.conclude(change)
        self._zygote.kill_engine()
        self._zygote.kill_zygote()
        return change

    async def _watch(self) -> None:
        while True:
            pid = self._handlers.session.engine_pid if self._launch.enforce_memory else None
            self._handlers.post(Checked(rss_bytes(pid) if pid is not None else None))
            await asyncio.sleep(CHECK_S)

    def _ask_to_stop(self) -> None:
        self._commands.ask_to_stop(self._launch.spec.stop_policy, "its container was told to end (SIGTERM)")

    def _on_line(self, line: str) -> None:
        line = self._redaction.text(line)
        self._book.add(line)
        self._logs.wake()
        self._echo.add(line)
