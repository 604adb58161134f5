"""Cancels or flattens while the engine trades, then lets its strategies go on as far as its brake allows.

What came of it is answered to whoever asked, and told in an alert.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.engine.exit.winding_down import Aim
from flotilla.engine_sidecar.engine.exit.withdrawing import Withdrawing
from flotilla.engine_sidecar.engine.tap import Tap
from flotilla.engine_sidecar.engine.venues.gate import CONFIRM_S, VenueGate
from flotilla.engine_sidecar.link.asking import Intervene
from flotilla.engine_sidecar.link.frames import CutLosses
from flotilla.schemas.alerts import (
    CANCEL_CONFIRMED,
    CANCEL_NOT_CONFIRMED,
    FLATTEN_CONFIRMED,
    FLATTEN_NOT_CONFIRMED,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.states import StopPolicy

_CONFIRMED: Final = {
    StopPolicy.CANCEL: CANCEL_CONFIRMED.alert("no order is open"),
    StopPolicy.FLATTEN: FLATTEN_CONFIRMED.alert("no order and no position is open"),
}
SPARED: Final = CANCEL_CONFIRMED.alert("no order is open that could open or add")
_NOT_CONFIRMED: Final = {
    StopPolicy.CANCEL: CANCEL_NOT_CONFIRMED,
    StopPolicy.FLATTEN: FLATTEN_NOT_CONFIRMED,
}


class Intervened(msgspec.Struct, frozen=True):
    """What events confirmed since an intervention began, and what is not confirmed, in words."""

    orders_cancelled: int
    positions_closed: int
    not_confirmed: tuple[str, ...]


class Intervening:
    """One intervention at a time. `now` is the loop's time (s).

    While strategies wait because engine and venue do not agree, a person may cancel and flatten too. What came of it is what the
    venue says: what it and the engine do not agree on afterwards is not confirmed.
    """

    def __init__(
        self,
        kernel: Any,
        tap: Tap,
        withdrawing: Withdrawing,
        *,
        venues: VenueGate,
        now: Callable[[], float],
    ) -> None:
        self._kernel, self._tap, self._withdrawing = kernel, tap, withdrawing
        self._venues, self._now = venues, now
        self._one_at_a_time = asyncio.Lock()

    async def intervene(self, asked: Intervene) -> Intervened:
        """Does as the policy says, once. Raises FaultError `conflict` while the engine does not trade."""
        until = self._now() + asked.timeout_s
        async with self._one_at_a_time:
            if not self._kernel.trader.is_running and not self._venues.told:
                raise fault(FaultCode.CONFLICT, "the engine does not trade")
            cancelled, closed = self._tap.cancelled, self._tap.closed
            wind_down = self._withdrawing.wind_down_of(is_sparing=asked.is_sparing)
            try:
                await self._withdrawing.withdraw(wind_down, Aim(asked.policy, until))
            except Exception:
                # Not on a cancellation: that is a stop, which keeps the gate shut.
                self._withdrawing.go_on()
                raise
            left = wind_down.not_confirmed(asked.policy)
            if not asked.is_sparing:
                left += await self._venues.not_agreed(asked.policy, self._now() + CONFIRM_S)
            if asked.policy is StopPolicy.FLATTEN and asked.is_by_person:
                self._venues.forget_closed()
            self._withdrawing.go_on()
        done = SPARED if asked.is_sparing else _CONFIRMED[asked.policy]
        self._tap.alert(_NOT_CONFIRMED[asked.policy].alert("; ".join(left)) if left else done)
        return Intervened(self._tap.cancelled_since(cancelled), self._tap.closed - closed, left)

    async def cut(self, losses: CutLosses) -> None:
        """The same for a loss limit, which nobody waits for: what is not done for the engine's state is told in the alert."""
        is_sparing = losses.policy is not StopPolicy.FLATTEN
        try:
            await self.intervene(
                Intervene(losses.policy, losses.timeout_s, is_sparing=is_sparing, is_by_person=False)
            )
        except FaultError as error:
            self._tap.alert(_NOT_CONFIRMED[losses.policy].alert(error.fault.message))
