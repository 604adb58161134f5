"""Says what a start waits for while it waits: which clients are not connected, and why, as far as that is known."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

from flotilla.engine_sidecar.engine.venues.gate import VenueGate
from flotilla.engine_sidecar.engine.venues.reach import addresses, heard_of, note_reach, why_not_reached
from flotilla.engine_sidecar.link.frames import Phase
from flotilla.schemas.states import RunState

LOOK_EVERY_S: Final = 1.0
REACH_AFTER: Final = 2
REACH_EVERY: Final = 5
"""Looks before the first connection of our own to where a client waits for, and between two."""
UNKNOWN: Final = "no answer yet"


class Waiting:
    """Sends the phases of a start, each again when its detail changes."""

    def __init__(self, kernel: Any, venues: VenueGate, send: Callable[[object], None]) -> None:
        self._kernel, self._venues, self._send = kernel, venues, send
        self._state: RunState | None = None
        self._detail = self._clock = ""

    def begin(self, state: RunState, clock: str = "") -> None:
        """The start has come as far as `state`; `clock` is what is said of clocks while it lasts."""
        self._state, self._detail, self._clock = state, clock, clock
        self._send(Phase(state, clock))

    def over(self) -> None:
        """The start is over, or waits for a person: others say how it goes on."""
        self._state = None

    async def watch(self) -> None:
        """Looks every second; ends with the start."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._state is RunState.CONNECTING:
                if looks >= REACH_AFTER and (looks - REACH_AFTER) % REACH_EVERY == 0:
                    await self._reach()
                self._say(RunState.CONNECTING, connecting_words(self._kernel))
            elif self._state is RunState.RECONCILING:
                why = self._venues.last_fault or "waiting for reconciliation"
                self._say(RunState.RECONCILING, "; ".join(filter(None, (why, self._clock))))
            else:
                return
            looks += 1

    async def _reach(self) -> None:
        for _, client in unconnected(self._kernel):
            note_reach(client, await why_not_reached(addresses(client)))

    def _say(self, state: RunState, detail: str) -> None:
        # It may have gone on while it was looked at.
        if self._state is state and detail != self._detail:
            self._detail = detail
            self._send(Phase(state, detail))


def connecting_words(kernel: Any) -> str:
    """`OKX data and execution: no DNS for www.okx.com`; in the same words while it stays so."""
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for kind, client in unconnected(kernel):
        kinds[str(client.id), heard_of(client) or UNKNOWN].append(kind)
    return "; ".join(f"{name} {' and '.join(found)}: {why}" for (name, why), found in kinds.items())


def unconnected(kernel: Any) -> Iterator[tuple[str, Any]]:
    """What each client without a connection is for, and the client."""
    for kind, engine in (("data", kernel.data_engine), ("execution", kernel.exec_engine)):
        yield from ((kind, client) for client in engine._clients.values() if not client.is_connected)
