"""Cancels or flattens while the engine trades, then lets its strategies go on; what came of it is told in an alert."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from flotilla.engine_sidecar.engine.exit.winding_down import Aim
from flotilla.engine_sidecar.engine.exit.withdrawing import Withdrawing
from flotilla.engine_sidecar.engine.tap import Tap
from flotilla.schemas.alerts import (
    CANCEL_CONFIRMED,
    CANCEL_NOT_CONFIRMED,
    FLATTEN_CONFIRMED,
    FLATTEN_NOT_CONFIRMED,
    NOTHING_TO_DO,
)
from flotilla.schemas.states import StopPolicy

_CONFIRMED: Final = {
    StopPolicy.CANCEL: CANCEL_CONFIRMED.alert("no order is open"),
    StopPolicy.FLATTEN: FLATTEN_CONFIRMED.alert("no order and no position is open"),
}
_NOT_CONFIRMED: Final = {
    StopPolicy.CANCEL: CANCEL_NOT_CONFIRMED,
    StopPolicy.FLATTEN: FLATTEN_NOT_CONFIRMED,
}


class Intervening:
    """One intervention at a time. `now` is the loop's time (s); each has `timeout_s`.

    `is_held` is true while strategies wait because engine and venue do not agree: a person may cancel and flatten then.
    """

    def __init__(
        self,
        kernel: Any,
        tap: Tap,
        withdrawing: Withdrawing,
        *,
        is_held: Callable[[], bool],
        now: Callable[[], float],
        timeout_s: float,
    ) -> None:
        self._kernel, self._tap, self._withdrawing = kernel, tap, withdrawing
        self._is_held = is_held
        self._now, self._timeout_s = now, timeout_s
        self._one_at_a_time = asyncio.Lock()

    async def intervene(self, policy: StopPolicy) -> None:
        """Does as the policy says, once."""
        async with self._one_at_a_time:
            if not self._kernel.trader.is_running and not self._is_held():
                text = f"nothing to {policy}: the engine does not trade yet"
                self._tap.alert(NOTHING_TO_DO.alert(text))
                return
            wind_down = self._withdrawing.wind_down_of()
            await self._withdrawing.withdraw(wind_down, Aim(policy, self._now() + self._timeout_s))
            left = wind_down.not_confirmed(policy)
            self._withdrawing.go_on()
        if left:
            self._tap.alert(_NOT_CONFIRMED[policy].alert("; ".join(left)))
        else:
            self._tap.alert(_CONFIRMED[policy])
