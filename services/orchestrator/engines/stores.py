"""Whether what we are told can be kept: PostgreSQL and JetStream are tried by writing, their disks are measured."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.alerts import DISK_LOW, DISK_LOW_OVER
from flotilla.schemas.contract import FLEET_PROBE
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.telemetry import StoreProbe
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Alerts
from flotilla.services.orchestrator.engines.clock import RecordClock
from flotilla.services.orchestrator.engines.core.alerts import once_per
from flotilla.services.orchestrator.engines.core.disk import Space, is_low
from flotilla.services.orchestrator.engines.ports import Record

log = get_logger(__name__)

ROUND_S: Final = 1.0
_PROBE_EVERY_S: Final = 10.0
"""How often the stream is tried while all is well; otherwise in every round."""
_PROBE_TIMEOUT_S: Final = 3.0
_NOT_TRIED: Final = "not tried yet"


class Stores:
    """What each store was like when it was last tried; `folders` are those whose disks are measured."""

    def __init__(
        self, bus: Bus, record: Record, clock: RecordClock, *, folders: Sequence[Path], alerts: Alerts
    ) -> None:
        self._bus = bus
        self._record = record
        self._clock = clock
        self._folders = folders
        self._alerts = alerts
        self._low: dict[int, str] = {}
        self._record_problem = self._events_problem = _NOT_TRIED
        self._disk_problem = ""
        self._probed_at_s = 0.0
        self._free_bytes: int | None = None

    def checks(self) -> dict[str, str]:
        """Each store: ok, or what is wrong with it."""
        return {
            "record": self._record_problem or "ok",
            "events": self._events_problem or "ok",
            "disk": self._disk_problem or "ok",
        }

    def metrics(self) -> dict[str, float]:
        """The least room on any of the disks, once one was measured."""
        return {} if self._free_bytes is None else {"disk_free_bytes": self._free_bytes}

    def refuse_unless_kept(self) -> None:
        """Raises FaultError `unavailable` while a store fails: what is begun now could not be followed."""
        for name, state in self.checks().items():
            if state != "ok":
                text = f"nothing is begun while what happens cannot be kept: {name}: {state}"
                raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=2.0)

    async def run(self) -> None:
        """Tries and measures once a second, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time(), name="record")
            group.create_task(self._look(), name="events and disk")

    async def _keep_time(self) -> None:
        while True:
            try:
                await self._record.keep_time(self._clock.keep())
            except FaultError as error:
                self._record_problem = f"PostgreSQL does not answer, or cannot write: {error.fault.message}"
            else:
                self._record_problem = ""
            await asyncio.sleep(ROUND_S)

    async def _look(self) -> None:
        while True:
            await self._measure()
            await self._probe()
            if not self._events_problem:
                # Not before: whoever listens would hear it each time, and it would be kept none of them.
                await self._alerts.tell_again()
            await asyncio.sleep(ROUND_S)

    async def _probe(self) -> None:
        """Writes into the stream of events, which alone says whether that stores."""
        loop = asyncio.get_running_loop()
        is_well = not (self._record_problem or self._events_problem or self._disk_problem)
        if is_well and loop.time() - self._probed_at_s < _PROBE_EVERY_S:
            return
        at = wall(self._clock())
        try:
            await self._bus.publish_durable(
                FLEET_PROBE, StoreProbe(at=at), message_id=at.isoformat(), timeout_s=_PROBE_TIMEOUT_S
            )
        except FaultError as error:
            self._events_problem = f"JetStream does not store: {error.fault.message}"
        else:
            self._events_problem, self._probed_at_s = "", loop.time()

    async def _measure(self) -> None:
        try:
            found = await asyncio.to_thread(_spaces, self._folders)
        except OSError as error:
            self._disk_problem = f"cannot be measured: {error}"
            return
        self._free_bytes = min((space.free_bytes for _, space in found.values()), default=None)
        full = [_text(folder, space) for folder, space in found.values() if space.is_full]
        self._disk_problem = "; ".join(full)
        for disk, (folder, space) in found.items():
            await self._tell(disk, folder, space)

    async def _tell(self, disk: int, folder: Path, space: Space) -> None:
        """One alert when room gets low, and one when there is enough again."""
        key = self._low.get(disk)
        if is_low(key is not None, space) == (key is not None):
            return
        at = wall(self._clock())
        if key is None:
            key = self._low[disk] = f"{at:%Y%m%d%H%M%S%f}-{disk}"
            text = f"{_text(folder, space)}; below {space.full_bytes >> 20} MiB nothing is started"
            await self._alerts.tell(once_per(key, DISK_LOW.fleet_alert(text, at)))
        else:
            del self._low[disk]
            text = f"there is room again: {_text(folder, space)}"
            await self._alerts.tell(once_per(key, DISK_LOW_OVER.fleet_alert(text, at)))


def _spaces(folders: Sequence[Path]) -> dict[int, tuple[Path, Space]]:
    """Each disk once, by its device, with a folder on it. Raises OSError."""
    found: dict[int, tuple[Path, Space]] = {}
    for folder in folders:
        usage = shutil.disk_usage(folder)
        found.setdefault(os.stat(folder).st_dev, (folder, Space(usage.total, usage.free)))
    return found


def _text(folder: Path, space: Space) -> str:
    return f"{space.free_bytes >> 20} MiB of {space.total_bytes >> 20} MiB are free where {folder} lies"
