"""One sidecar from launch line to exit code: makes the parts, joins them, and ends them in order."""

import asyncio
import signal
from collections.abc import Iterable
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import asked
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.engine_sidecar.link.messages import BusFound, CannotRun, Checked, CommandedDirectly
from flotilla.engine_sidecar.process.forked import LAST_OUTPUT_S
from flotilla.engine_sidecar.process.ports import EngineProcesses, Meter, Surroundings
from flotilla.engine_sidecar.process.resource_meter import rss_bytes
from flotilla.engine_sidecar.session.bus_session import Answering, BusSession, Served
from flotilla.engine_sidecar.session.commands import Commands
from flotilla.engine_sidecar.session.core.final_state import final_state
from flotilla.engine_sidecar.session.handlers import Handlers
from flotilla.engine_sidecar.session.packages import Packages, is_for_good, is_passing
from flotilla.engine_sidecar.session.questions import Questions
from flotilla.engine_sidecar.session.reporter import Reporter
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.engine_sidecar.session.strategy_commands import PackageAccess, StrategyCommands
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor, Call
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import PackageRef
from flotilla.schemas.session import Launch
from flotilla.schemas.states import FailureReason
from flotilla.schemas.telemetry import StateChange

log = get_logger(__name__)

CHECK_S: Final = 0.2
RETRY_S: Final = 1.0


class EngineSession:
    """The parts of one sidecar, and the tasks that run them. Made within the running loop."""

    def __init__(
        self,
        launch: Launch,
        processes: EngineProcesses,
        meter: Meter,
        around: Surroundings,
        settings: Settings,
    ) -> None:
        self._launch = launch
        self._settings = settings
        self._is_over = asyncio.Event()
        self._packages = Packages(settings.wheels_folder, FaultCode.TOO_LARGE)
        self._bus: Bus | None = None
        self._fetching = Tasks()
        self._processes = processes
        self._meter = meter
        self._reporter = Reporter(launch, settings, around, meter, lambda: self._handlers.session)
        questions = Questions(processes)
        self._handlers = Handlers(
            launch,
            processes,
            self._reporter.record,
            questions,
            self._reporter.redaction,
            now=around.now,
            measured=self._reporter.telemetry.measured,
            over=self._is_over.set,
        )
        self._commands = Commands(launch, self._handlers, questions)
        self._bus_session = BusSession(
            launch,
            _served(
                self._handlers,
                self._commands,
                StrategyCommands(
                    launch.spec,
                    self._handlers,
                    questions,
                    PackageAccess(self._archives, lambda: self._packages.wheels, self._packages.let_go),
                ),
            ),
            self._reporter,
            connect=around.connect,
            on_found=self._found,
        )

    async def run(self) -> StateChange:
        """Lives until the engine has ended and all was told, or could not be told in time."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._ask_to_stop)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(
                    self._processes.run(self._handlers.hear, self._reporter.add_line), name="processes"
                ),
                tasks.create_task(self._watch(), name="watch"),
                tasks.create_task(self._reporter.run(), name="reporter"),
                tasks.create_task(self._bus_session.run(), name="bus session"),
            ]
            await self._is_over.wait()
            change = await self._conclude()
            await self._reporter.flush(self._settings.flush_s)
            for task in running:
                task.cancel()
        self._reporter.finish()
        await self._handlers.close()
        await self._fetching.close()
        await self._bus_session.hang_up()
        self._packages.close()
        return change

    def _found(self, bus: Bus) -> None:
        self._bus = bus
        if self._launch.spec.plan.packages:
            self._fetching.start(self._fetch(), name="packages")
        else:
            self._handlers.post(BusFound())

    async def _fetch(self) -> None:
        """Has the engine forked once its packages are here; ends the session when they are not to be had in the time that a start has."""
        spec = self._launch.spec
        try:
            async with asyncio.timeout(spec.boot_timeout_s):
                self._handlers.archives = await self._patiently(spec.plan.packages)
                self._handlers.wheels = self._packages.wheels
        except FaultError as error:
            reason = FailureReason.CONFIG if is_for_good(error) else FailureReason.HOST
            self._handlers.post(CannotRun(error.fault.message, reason))
        except TimeoutError:
            text = f"its packages could not be fetched within {spec.boot_timeout_s:g} s"
            self._handlers.post(CannotRun(text, FailureReason.HOST))
        else:
            self._handlers.post(BusFound())

    async def _patiently(self, packages: Iterable[PackageRef]) -> tuple[bytes, ...]:
        while True:
            try:
                return await self._archives(packages)
            except FaultError as error:
                if not is_passing(error):
                    raise
                log.warning("packages cannot be fetched yet", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _archives(self, packages: Iterable[PackageRef]) -> tuple[bytes, ...]:
        if self._bus is None:
            raise fault(FaultCode.UNAVAILABLE, "the bus was not found yet")
        return await self._packages.fetch(self._bus, packages)

    async def _conclude(self) -> StateChange:
        await self._processes.drain(LAST_OUTPUT_S)
        is_oom = self._reporter.telemetry.oom.has_risen(self._meter.oom_kills())
        change = final_state(self._handlers.session, is_oom=is_oom, log_tail=self._reporter.log_tail)
        self._handlers.conclude(change)
        self._processes.kill_engine()
        self._processes.kill_zygote()
        return change

    async def _watch(self) -> None:
        while True:
            pid = self._handlers.session.engine_pid if self._launch.enforce_memory else None
            self._handlers.post(Checked(rss_bytes(pid) if pid is not None else None))
            await asyncio.sleep(CHECK_S)

    def _ask_to_stop(self) -> None:
        self._commands.ask_to_stop(self._launch.spec.stop_policy, "its container was told to end (SIGTERM)")


def _served(handlers: Handlers, commands: Commands, strategies: StrategyCommands) -> Served:
    served: Served = (
        (contract.COMMAND_STOP, commands.stop),
        (contract.COMMAND_END_NOW, commands.end_now),
        (contract.COMMAND_BRAKE, commands.brake),
        (contract.COMMAND_CANCEL_ORDERS, commands.cancel_orders),
        (contract.COMMAND_ACCEPT, commands.accept),
        (contract.COMMAND_FLATTEN, commands.flatten),
        (contract.COMMAND_RENEW_LEASE, commands.renew_lease),
        (contract.COMMAND_ATTEND, commands.attend),
        (contract.COMMAND_DESCRIBE, commands.describe),
        (contract.COMMAND_LIST_STRATEGIES, strategies.list_all),
        (contract.COMMAND_ADD_STRATEGY, strategies.add),
        (contract.COMMAND_START_STRATEGY, strategies.start),
        (contract.COMMAND_STOP_STRATEGY, strategies.stop),
        (contract.COMMAND_REMOVE_STRATEGY, strategies.remove),
        (contract.COMMAND_SIGNAL, strategies.signal),
    )
    return tuple((call, _telling(handlers, call, handler)) for call, handler in served)


def _telling(handlers: Handlers, call: Call[Any, Any], handler: Answering) -> Answering:
    """Of a command that comes past the services it is told before it is carried out; the sender is the one that the server names."""

    async def answer(request: Any) -> Any:
        caller = asked().caller
        if caller.credential == Actor.OPERATOR:
            handlers.post(CommandedDirectly(call.subject.rpartition(".")[2], caller.name))
        return await handler(request)

    return answer if call.is_command else handler
