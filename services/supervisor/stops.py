"""Stops are carried through: SIGTERM, a look at the pulse, SIGKILL. Those that an earlier supervisor began are taken up."""

import asyncio
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.heartbeats import SIDECAR_STUCK_S
from flotilla.schemas.session import ContainerFacts
from flotilla.services.supervisor.core.stops import StopUnderWay, stopped_by, with_pulse
from flotilla.services.supervisor.ports import ContainerRuntime, StopStore

log = get_logger(__name__)

PULSE_S: Final = 3.0
RETRY_S: Final = 1.0


class Stops:
    """The stops of this host that are under way, on disk too: what is known of each must outlive its supervisor."""

    def __init__(self, runtime: ContainerRuntime, store: StopStore) -> None:
        self._runtime = runtime
        self._store = store
        self._saving = asyncio.Lock()
        self._under_way: dict[str, StopUnderWay] = {}
        self._tasks = Tasks()

    async def resume(self) -> None:
        """Goes on with what an earlier supervisor of this host began and did not see end. Before anything is asked of us."""
        for stop in await asyncio.to_thread(self._load):
            self._under_way[stop.session_id] = stop
            log.info("stop taken up", session_id=stop.session_id)
            self._go_on(stop)

    async def begin(self, session_id: str, timeout_s: float) -> None:
        """Begins to stop a session; on return it is stored. Asked again, the earlier end of patience holds."""
        known = self._under_way.get(session_id)
        stop = stopped_by(known, session_id, _now() + timeout_s)
        if stop is not known:
            log.info("session stopping", session_id=session_id, timeout_s=timeout_s)
            await self._keep(stop)
            self._go_on(stop)

    async def close(self) -> None:
        """Lets go of what is under way; the next supervisor takes it up."""
        await self._tasks.close()

    def _go_on(self, stop: StopUnderWay) -> None:
        self._tasks.start(self._carry_through(stop), name=f"stop:{stop.session_id}")

    async def _carry_through(self, stop: StopUnderWay) -> None:
        stopping = self._tasks.start(self._terminate(stop), name=f"stopping:{stop.session_id}")
        try:
            await self._kill_if_silent(stop, stopping)
        except FaultError as error:
            log.warning("silent sidecar not killed", session_id=stop.session_id, fault=error.fault.message)
        await stopping
        self._under_way.pop(stop.session_id, None)
        await self._save()

    async def _terminate(self, stop: StopUnderWay) -> None:
        """SIGTERM, and SIGKILL when its time is over; a runtime that is away is asked again until then, and once after."""
        while True:
            left_s = max(0.0, stop.until - _now())
            try:
                facts = await self._runtime.stop(stop.session_id, left_s)
            except FaultError as error:
                log.warning("session not stopped", session_id=stop.session_id, fault=error.fault.message)
                if error.fault.code == FaultCode.NOT_FOUND or left_s == 0:
                    return
                await asyncio.sleep(RETRY_S)
            else:
                _log_end(facts)
                return

    async def _kill_if_silent(self, stop: StopUnderWay, stopping: asyncio.Task[None]) -> None:
        """Ends the wait for a sidecar that is known not to obey; one that turns has all of its time."""
        if stop.pulse is None:
            if (pulse := await self._seen(stop.session_id, stopping)) is None:
                return
            stop = with_pulse(self._under_way.get(stop.session_id, stop), pulse, _now())
            await self._keep(stop)
        await asyncio.wait({stopping}, timeout=max(0.0, stop.seen_at + SIDECAR_STUCK_S - _now()))
        if await self._seen(stop.session_id, stopping) == stop.pulse:
            log.warning(
                "sidecar is silent and is killed", session_id=stop.session_id, silent_s=SIDECAR_STUCK_S
            )
            await self._runtime.kill(stop.session_id)

    async def _seen(self, session_id: str, stopping: asyncio.Task[None]) -> str | None:
        """Its pulse as soon as that can be told; None once it has ended."""
        while not stopping.done():
            if (pulse := await self._pulse(session_id)) is not None:
                return pulse
            await asyncio.wait({stopping}, timeout=RETRY_S)
        return None

    async def _pulse(self, session_id: str) -> str | None:
        try:
            async with asyncio.timeout(PULSE_S):
                return await self._runtime.pulse(session_id)
        except TimeoutError:
            return None

    async def _keep(self, stop: StopUnderWay) -> None:
        self._under_way[stop.session_id] = stop
        await self._save()

    async def _save(self) -> None:
        """What cannot be stored is carried through all the same, as long as this supervisor lives."""
        async with self._saving:
            try:
                await asyncio.to_thread(self._store.save, tuple(self._under_way.values()))
            except OSError:
                log.exception("stops under way not stored")

    def _load(self) -> tuple[StopUnderWay, ...]:
        try:
            return self._store.load()
        except (OSError, ValueError):
            # Runtime and orchestrator keep their deadlines; only a sidecar that is frozen lives until then.
            log.exception("stops under way cannot be read")
            return ()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _log_end(facts: ContainerFacts) -> None:
    log.info(
        "session stopped",
        instance_id=facts.instance_id,
        session_id=facts.session_id,
        exit_code=facts.exit_code,
    )
