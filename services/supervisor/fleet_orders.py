"""The fleet's emergency stops and their lifts, as the bus keeps them, are made true on this host, whoever could not ask it then."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import EmergencyStop, StopOrder
from flotilla.services.supervisor.core.fleet_orders import OrderBook
from flotilla.services.supervisor.ports import OrderLog
from flotilla.services.supervisor.stop_gate import StopGate

log = get_logger(__name__)

LOOK_S: Final = 2.0
CURRENT_S: Final = 3.0
"""How long a start, or our own, waits for the orders to be read."""


class FleetOrders:
    """Reads the orders at our start, whenever the bus was away, and every two seconds.

    `reconnects` counts how often the bus was away: orders may have come then. `carry_out` ends what a stop names that this host
    did not know of.
    """

    def __init__(
        self,
        kept: OrderLog,
        orders: StopGate,
        *,
        reconnects: Callable[[], int],
        carry_out: Callable[[EmergencyStop], None],
    ) -> None:
        self._kept = kept
        self._orders = orders
        self._reconnects = reconnects
        self._carry_out = carry_out
        self._turn = asyncio.Lock()
        self._book, self._last = OrderBook(), 0
        self._read_at: int | None = None

    async def be_current(self) -> None:
        """Returns when no order can have been missed. Raises FaultError `unavailable` when that cannot be told now."""
        if self._read_at == self._reconnects():
            return
        try:
            async with asyncio.timeout(CURRENT_S):
                await self.catch_up()
        except TimeoutError:
            text = "whether an emergency stop is in force cannot be read"
            raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from None

    async def catch_up(self) -> None:
        """Makes true what is kept. Raises FaultError `unavailable` when it cannot be read."""
        async with self._turn:
            reconnects = self._reconnects()
            if self._read_at != reconnects:
                # Perhaps of another server, whose orders are counted from the start again.
                self._book, self._last = OrderBook(), 0
            missed = None
            while missed is None:
                lifts = self._orders.lifts
                await self._read()
                missed = await self._orders.follow(self._book, as_of=lifts)
            self._read_at = reconnects
        for order in missed:
            log.warning(
                "an emergency stop was missed", order_id=order.order_id, of=order.instance_id or "all"
            )
            self._carry_out(
                EmergencyStop(
                    instance_id=order.instance_id, reason=order.reason[:200], request_id=order.order_id
                )
            )

    async def run(self) -> None:
        """Looks again and again, for ever."""
        told = ""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.catch_up()
            except FaultError as error:
                if str(error) != told:
                    log.warning("the fleet's stops cannot be read", error=str(error))
                told = str(error)
            else:
                told = ""

    async def _read(self) -> None:
        while (found := await self._kept.after(self._last)) is not None:
            self._last, text = found
            try:
                self._book.take(msgspec.json.decode(text, type=StopOrder))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("an order cannot be read and is passed over", seq=self._last, error=str(error))
