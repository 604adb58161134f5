"""Engines as reads show them: from memory while that is current, else as the orchestrator answers.

What was changed through this gateway is asked for once before memory is believed of it again, so that whoever changed it sees that.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.engine import FleetStatus, ListEngines, WhichEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.labels import matches
from flotilla.services.gateway.live.fleet_memory import FleetMemory
from flotilla.services.gateway.live.known_engines import Shown, unknown_engine

ONE_BY_ONE: Final = 8
"""Engines in doubt that are asked for by name; with more, all engines are."""
MOST: Final = 1_000
"""Engines in doubt that are kept in mind; with more, any engine may have changed."""
_ANY: Final = ""
"""In place of an id: any engine may have changed."""


class EngineList(msgspec.Struct, frozen=True):
    """Engines, most recent first; `total_count` counts all that were asked for, whatever the limit."""

    engines: Sequence[Shown]
    total_count: int


class EngineReads:
    """Answers as ENGINE_STATUS and ENGINE_LIST do, and raises what they raise."""

    def __init__(self, bus: Bus, memory: FleetMemory) -> None:
        self._bus = bus
        self._memory = memory
        self._doubts: dict[str, int] = {}
        self._count = 0

    @property
    def is_current(self) -> bool:
        """True while memory says what the orchestrator would."""
        return self._memory.is_current

    def doubt(self, instance_id: str | None) -> None:
        """This engine, or any, may have been changed by what was just asked for."""
        self._count += 1
        if len(self._doubts) >= MOST:  # of ids that nobody reads, perhaps of none that is there
            self._doubts.clear()
            instance_id = None
        self._doubts[instance_id or _ANY] = self._count

    async def one(self, instance_id: str, *, timeout_s: float | None = None) -> Shown:
        """One engine. Raises FaultError `not_found`."""
        if self.is_current:
            await self._settle([instance_id], timeout_s)
            if instance_id not in self._memory.known:
                raise unknown_engine(instance_id)
            return self._memory.known.shown(instance_id, datetime.now(UTC), time.monotonic())
        which = WhichEngine(instance_id=instance_id)
        found = await self._bus.call(contract.ENGINE_STATUS, which, timeout_s=timeout_s)
        if found.engine is None:
            raise unknown_engine(instance_id)
        return Shown(found.engine)

    async def status(self, instance_id: str | None) -> FleetStatus:
        """The engine meant, and every active one. Raises FaultError `not_found`, `ambiguous_engine`."""
        if not self.is_current:
            return await self._bus.call(contract.ENGINE_STATUS, WhichEngine(instance_id=instance_id))
        await self._settle(tuple(self._doubts))
        known, now, now_s = self._memory.known, datetime.now(UTC), time.monotonic()
        meant = known.which(instance_id)
        active = tuple(known.shown(one, now, now_s).at(now_s) for one in known.active_engines())
        engine = known.shown(meant, now, now_s).at(now_s) if meant else None
        return FleetStatus(engine=engine, active=active)

    async def page(self, request: ListEngines) -> EngineList:
        """A page of engines; `cursor` is for the orchestrator's own pages, and not taken here."""
        if not self.is_current:
            found = await self._bus.call(contract.ENGINE_LIST, request)
            return EngineList([Shown(view) for view in found.engines], found.total_count)
        await self._settle(tuple(self._doubts))
        known = self._memory.known
        ids: Iterable[str] = known.active() if request.active else known.recent()
        if request.labels:
            ids = (
                one for one in ids if (view := known.get(one)) and matches(view.config.labels, request.labels)
            )
        every = list(ids)
        now, now_s = datetime.now(UTC), time.monotonic()
        return EngineList([known.shown(one, now, now_s) for one in every[: request.limit]], len(every))

    async def _settle(self, ids: Sequence[str], timeout_s: float | None = None) -> None:
        """Asks for those of these engines that are in doubt. Raises FaultError."""
        if not self._doubts:
            return
        doubts = {one: self._doubts[one] for one in (*ids, _ANY) if one in self._doubts}
        if not doubts:
            return
        if _ANY in doubts or len(doubts) > ONE_BY_ONE:
            doubts = dict(self._doubts)
            await self._memory.ask_for_engines()
        else:
            for instance_id in doubts:
                await self._ask(instance_id, timeout_s)
        for instance_id, count in doubts.items():
            if self._doubts.get(instance_id) == count:  # else it was changed again meanwhile
                del self._doubts[instance_id]

    async def _ask(self, instance_id: str, timeout_s: float | None) -> None:
        which = WhichEngine(instance_id=instance_id)
        try:
            found = await self._bus.call(contract.ENGINE_STATUS, which, timeout_s=timeout_s)
        except FaultError as error:
            if error.fault.code != FaultCode.NOT_FOUND:
                raise
            self._memory.forget(instance_id)
            return
        if found.engine is not None:
            self._memory.saw(found.engine)
