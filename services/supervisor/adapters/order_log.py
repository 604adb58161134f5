"""The fleet's emergency stops and lifts in their stream on the bus."""

from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.streams import next_kept
from flotilla.schemas.contract import FLEET_STOP_ORDER

_ANSWER_S: Final = 2.0


class BusOrderLog:
    """Reads one message at a time: they are few."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def after(self, seq: int) -> tuple[int, bytes] | None:
        """See the port."""
        return await next_kept(self._bus, FLEET_STOP_ORDER, seq, timeout_s=_ANSWER_S)
