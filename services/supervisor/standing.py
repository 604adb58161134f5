"""What a stop flag says is made true, also when it was set while this supervisor was away: nothing that it names runs on."""

import asyncio
from collections.abc import Callable
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import EmergencyStop, HostStopped
from flotilla.services.supervisor.emergency import EmergencyStops
from flotilla.services.supervisor.stop_gate import StopGate

log = get_logger(__name__)

LOOK_S: Final = 0.5
RETRY_S: Final = 1.0


class StandingOrders:
    """Carries out the stops that are in force at our start, and those that are left in the state folder."""

    def __init__(
        self,
        orders: StopGate,
        emergency: EmergencyStops,
        *,
        carried_out: Callable[[EmergencyStop, HostStopped], None],
    ) -> None:
        """`carried_out` is told of every stop that was left in the folder, once it is done."""
        self._orders = orders
        self._emergency = emergency
        self._carried_out = carried_out
        self._stops = Tasks()

    async def begin(self) -> None:
        """Sets what was left as flags, before anybody can ask for a start, and begins to make true what the flags say.

        Flags that cannot be read keep engines from starting, and end none: nobody may have asked for that.
        """
        left = await self._orders.take_left()
        for request in left:
            self._carry_out(request, is_left=True)
        if self._orders.is_readable:
            for flag in self._orders.flags:
                if all(flag.instance_id != request.instance_id for request in left):
                    request = EmergencyStop(instance_id=flag.instance_id, reason=flag.reason[:200])
                    self._carry_out(request, is_left=False)

    async def run(self) -> None:
        """Looks into the folder, for ever."""
        while True:
            for request in await self._orders.take_left():
                self._carry_out(request, is_left=True)
            await asyncio.sleep(LOOK_S)

    def carry_out(self, request: EmergencyStop) -> None:
        """Begins to make a stop true of which its flag is set."""
        self._carry_out(request, is_left=False)

    async def close(self) -> None:
        """Lets go of what is under way; the next supervisor takes it up by the flags."""
        await self._stops.close()

    def _carry_out(self, request: EmergencyStop, *, is_left: bool) -> None:
        self._stops.start(self._stop(request, is_left=is_left), name=f"stop:{request.instance_id or 'all'}")

    async def _stop(self, request: EmergencyStop, *, is_left: bool) -> None:
        while True:
            try:
                done = await self._emergency.stop(request)
            except FaultError as error:
                log.warning("emergency stop is tried again", fault=error.fault.message)
                await asyncio.sleep(RETRY_S)
            else:
                log.warning("emergency stop carried out", receipts=len(done.receipts))
                if is_left:
                    self._carried_out(request, done)
                return
