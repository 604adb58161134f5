"""The sidecar on the bus: finds it, takes commands from it, and keeps publishing for as long as the session lives."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.settings import BusSettings
from flotilla.engine_sidecar.link.messages import BusFound
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.engine_sidecar.outbox.publisher import EventPublisher, LogPublisher
from flotilla.engine_sidecar.session.commands import Commands
from flotilla.engine_sidecar.session.handlers import Handlers
from flotilla.engine_sidecar.session.strategy_commands import StrategyCommands
from flotilla.engine_sidecar.session.telemetry import Telemetry
from flotilla.schemas import contract
from flotilla.schemas.contract import Call
from flotilla.schemas.session import Launch

log = get_logger(__name__)

RETRY_S: Final = 1.0
CLOSE_S: Final = 3.0
_LOOK_S: Final = 0.02


class BusSession:
    """All that is said and heard on the bus. Whatever goes wrong here, the engine trades on."""

    def __init__(
        self,
        launch: Launch,
        handlers: Handlers,
        commands: Commands,
        strategies: StrategyCommands,
        *,
        outbox: Outbox,
        events: EventPublisher,
        logs: LogPublisher,
        telemetry: Telemetry,
        connect: Callable[[BusSettings], Awaitable[Bus]],
    ) -> None:
        self._launch = launch
        self._handlers = handlers
        self._served = _served(commands, strategies)
        self._outbox = outbox
        self._events = events
        self._logs = logs
        self._telemetry = telemetry
        self._connect = connect
        self._bus: Bus | None = None

    async def run(self) -> None:
        """Speaks until it is cancelled. The engine starts only after the bus was found once."""
        self._bus = bus = await self._find()
        self._telemetry.bus = bus
        # A stop may wait for this session to be heard. It is told before there is an engine.
        await self._telemetry.beat()
        self._handlers.post(BusFound())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_going("events", lambda: self._events.run(bus)), name="events")
            tasks.create_task(keep_going("logs", lambda: self._logs.run(bus)), name="logs")
            tasks.create_task(keep_going("metrics", self._telemetry.run_metrics), name="metrics")

    async def flush(self, patience_s: float) -> None:
        """Waits until all was delivered, or until nothing was for `patience_s`; then the rest is given up, and counted."""
        loop = asyncio.get_running_loop()
        least, deadline = math.inf, 0.0
        while left := len(self._outbox) + self._logs.unpublished:
            if left < least:
                least, deadline = left, loop.time() + patience_s
            if loop.time() > deadline:
                log.error("not delivered", events=len(self._outbox), log_lines=self._logs.unpublished)
                return
            await asyncio.sleep(_LOOK_S)

    async def hang_up(self) -> None:
        """Closes the connection; what is lost with it was lossy anyway."""
        if self._bus is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._bus.drain()
        except Exception:
            log.exception("bus not closed in order")

    async def _find(self) -> Bus:
        spec, access = self._launch.spec, self._launch.bus
        settings = BusSettings(url=access.url, name=f"engine_{spec.instance_id}", creds=access.creds)
        while True:
            bus: Bus | None = None
            try:
                bus = await self._connect(settings)
                await self._serve(bus)
            except Exception:
                # No bus, no admission, or it went away again before it knew what we answer.
                log.exception("bus cannot be used yet", url=access.url)
            else:
                return bus
            if bus is not None:
                await bus.client.close()
            await asyncio.sleep(RETRY_S)

    async def _serve(self, bus: Bus) -> None:
        for call, handler in self._served:
            await bus.serve(call, handler, instance_id=self._launch.spec.instance_id)


def _served(
    commands: Commands, strategies: StrategyCommands
) -> tuple[tuple[Call[Any, Any], Callable[[Any], Awaitable[Any]]], ...]:
    return (
        (contract.COMMAND_STOP, commands.stop),
        (contract.COMMAND_END_NOW, commands.end_now),
        (contract.COMMAND_CANCEL_ORDERS, commands.cancel_orders),
        (contract.COMMAND_FLATTEN, commands.flatten),
        (contract.COMMAND_RENEW_LEASE, commands.renew_lease),
        (contract.COMMAND_DESCRIBE, commands.describe),
        (contract.COMMAND_LIST_STRATEGIES, strategies.list_all),
        (contract.COMMAND_ADD_STRATEGY, strategies.add),
        (contract.COMMAND_START_STRATEGY, strategies.start),
        (contract.COMMAND_STOP_STRATEGY, strategies.stop),
        (contract.COMMAND_REMOVE_STRATEGY, strategies.remove),
    )


async def keep_going(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Starts `run` again when it fails: an engine that trades is worth more than what it tells."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("task failed and is started again", task=name)
        await asyncio.sleep(RETRY_S)
