"""The containers of the fleet as hosts list them: listed again while somebody asks, and between two lists as hosts tell of changes."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas import contract
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import ContainerFacts, ContainerStatus, ListContainers

log = get_logger(__name__)

AGAIN_S: Final = 1.0
"""A list that is older is asked for again behind whoever asks."""
OLD_S: Final = 5.0
"""A list that is older is waited for: what a container is now cannot be told from it."""
_TIMEOUT_S: Final = 2.0


class KnownContainers:
    """By session. Nobody is asked while nobody asks us."""

    def __init__(self, bus: Bus, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._monotonic = monotonic
        self._facts: dict[str, ContainerFacts] = {}
        self._told: dict[str, ContainerFacts] = {}
        self._asked_s = self._listed_s = -math.inf
        self._listing: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    async def start(self) -> None:
        """Subscribes; returns when the server knows of it. The bus unsubscribes when it drains."""
        await self._bus.listen(contract.HOST_CONTAINER, self._hear)

    async def close(self) -> None:
        """Ends what is being asked."""
        await self._tasks.close()

    def forget(self) -> None:
        """What was just asked for may have changed them: nothing is known any more, nor by a list that is on its way."""
        self._asked_s = self._listed_s = -math.inf
        self._listing = None

    async def read(self) -> Mapping[str, ContainerFacts]:
        """What the hosts in sight listed at most OLD_S ago, and told since; nothing where no list came."""
        if not self._is_asking and self._monotonic() - self._asked_s > AGAIN_S:
            self._listing = self._tasks.start(self._list(), name="containers")
        if self._is_old and self._listing is not None:
            await asyncio.shield(self._listing)
        return {} if self._is_old else self._facts

    @property
    def _is_asking(self) -> bool:
        return self._listing is not None and not self._listing.done()

    @property
    def _is_old(self) -> bool:
        return self._monotonic() - self._listed_s > OLD_S

    async def _list(self) -> None:
        asked_s = self._asked_s = self._monotonic()
        self._told = {}
        try:
            answer = await self._bus.call(contract.CONTAINER_LIST, ListContainers(), timeout_s=_TIMEOUT_S)
        except FaultError as error:
            log.warning("containers not read for a status", error=str(error))
            return
        if asked_s == self._asked_s:  # else it was forgotten meanwhile
            self._listed_s = asked_s
            self._facts = {facts.session_id: facts for facts in answer.containers}
            for facts in self._told.values():
                self._take(facts)

    async def _hear(self, facts: ContainerFacts, ids: Mapping[str, str]) -> None:
        # While nobody asks, nothing is kept: the next list has it.
        if facts.host == ids["host"] and (self._is_asking or not self._is_old):
            self._told[facts.session_id] = facts
            self._take(facts)

    def _take(self, facts: ContainerFacts) -> None:
        if facts.status is ContainerStatus.GONE:
            self._facts.pop(facts.session_id, None)
        else:
            self._facts[facts.session_id] = facts
