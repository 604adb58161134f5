"""The sidecar on the bus: finds it, takes commands from it, and keeps publishing for as long as the session lives."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.bus.tasks import Tasks
from flotilla.engine_sidecar.outbox.publisher import OF_PROCESS
from flotilla.engine_sidecar.session.renewal import Renewal
from flotilla.engine_sidecar.session.reporter import Reporter
from flotilla.schemas.contract import Call
from flotilla.schemas.session import Launch

log = get_logger(__name__)

RETRY_S: Final = 1.0
CLOSE_S: Final = 3.0

type Answering = Callable[[Any], Awaitable[Any]]
type Served = tuple[tuple[Call[Any, Any], Answering], ...]
"""Calls to a session, each with what answers it."""


class BusSession:
    """All that is said and heard on the bus. Whatever goes wrong here, an engine trades on.

    `on_found` gets the bus once commands are taken from it.
    """

    def __init__(
        self,
        launch: Launch,
        served: Served,
        reporter: Reporter,
        *,
        connect: Callable[[BusSettings], Awaitable[Bus]],
        on_found: Callable[[Bus], None],
    ) -> None:
        self._launch = launch
        self._served = served
        self._reporter = reporter
        self._connect = connect
        self._renewal = Renewal(launch, connect)
        self._on_found = on_found
        self._bus: Bus | None = None

    async def run(self) -> None:
        """Speaks until it is cancelled. The engine starts only after the bus was found once."""
        tasks = Tasks()
        tasks.start(self._renewal.run(self._renewed), name="credential")
        try:
            self._bus = bus = await self._find()
            # A stop may wait for this session to be heard. It is told before there is an engine.
            await self._reporter.appear(bus)
            self._on_found(bus)
            await self._reporter.publish(bus)
        finally:
            await tasks.close()

    def _renewed(self, jwt: str) -> None:
        if self._bus is not None:
            self._bus.renew(jwt)

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
        name = engine_name(spec.instance_id, spec.session_id)
        while True:
            bus: Bus | None = None
            settings = BusSettings(
                url=access.url,
                name=name,
                creds=self._renewal.creds,
                obeys=access.fleet,
                ca=access.ca,
                mark=OF_PROCESS,
            )
            try:
                bus = await self._connect(settings)
                for call, handler in self._served:
                    await bus.serve(call, handler, instance_id=spec.instance_id)
            except Exception:
                # No bus, no admission, or it went away again before it knew what we answer.
                log.exception("bus cannot be used yet", url=access.url)
            else:
                return bus
            if bus is not None:
                await bus.close()
            await asyncio.sleep(RETRY_S)
