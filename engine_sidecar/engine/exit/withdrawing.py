"""Keeps the engine, or one of its strategies, from trading on: while it is taken out of the market, or as long as a brake is on."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from nautilus_trader.model.enums import TradingState

from flotilla.engine_sidecar.engine.exit.unanswered_orders import Presumed
from flotilla.engine_sidecar.engine.exit.winding_down import Aim, WindDown
from flotilla.engine_sidecar.engine.node_building import Node
from flotilla.engine_sidecar.engine.order_gate import Gate, is_reducing
from flotilla.schemas.states import Brake, StopPolicy

SETTLE_S: Final = 0.5
_STOPPING: Final = "the engine is stopping"
_GATES: Final = {Brake.NONE: Gate.OPEN, Brake.REDUCED: Gate.REDUCES, Brake.HALTED: Gate.CANCELS}
_TRADING: Final = {
    Gate.OPEN: TradingState.ACTIVE,
    Gate.REDUCES: TradingState.REDUCING,
    Gate.CANCELS: TradingState.HALTED,
}


class Withdrawing:
    """Shuts the gates around wind-downs, and opens them again. `now` is the loop's time (s)."""

    def __init__(self, node: Node, now: Callable[[], float]) -> None:
        self._node, self._now = node, now
        self._presumed = Presumed(node.kernel)
        self._lease = self._brake = self._venue = Gate.OPEN
        self._is_withdrawn = False

    def wind_down_of(self, strategy_id: Any = None, *, is_sparing: bool = False) -> WindDown:
        """The way out of the market of the engine, or of one strategy. `is_sparing`: orders that can only reduce a position are left."""
        cache = self._node.kernel.cache
        spares = (lambda order: is_reducing(order, cache)) if is_sparing else (lambda _: False)
        return WindDown(
            self._node.kernel, self._node.gate, self._presumed, self._now, strategy_id, spares=spares
        )

    async def withdraw(self, wind_down: WindDown, aim: Aim) -> None:
        """Shuts the gate for all strategies and does as the aim says. What is open afterwards `wind_down` can tell."""
        self.shut(aim.policy)
        await self.settle(aim)
        await wind_down.run(aim)

    def shut(self, policy: StopPolicy) -> None:
        """Shuts the gate for all strategies.

        The simulated time of a replay stands still from then on, so that orders meet the market that the operator saw.
        """
        self._is_withdrawn = self._presumed.is_held = True
        self._node.gate.state, self._node.gate.why = _gate_for(policy), _STOPPING
        for replay in self._node.replays:
            replay.pause()
        if policy is not StopPolicy.LEAVE:
            self._set_trading_state(TradingState.REDUCING)

    async def withdraw_one(self, strategy_id: Any, wind_down: WindDown, aim: Aim) -> None:
        """The same for one strategy, while the others trade on. Its gate stays shut until `let_in`."""
        self._node.gate.strategies[strategy_id] = _gate_for(aim.policy)
        if aim.policy is not StopPolicy.LEAVE:
            await self.settle(aim)
        await wind_down.run(aim)

    def shut_out(self, strategy_id: Any) -> None:
        """Lets nothing of this strategy through until `let_in`."""
        self._node.gate.strategies[strategy_id] = Gate.SHUT

    def let_in(self, strategy_id: Any) -> None:
        """Opens the gate of one strategy."""
        self._node.gate.strategies.pop(strategy_id, None)

    def go_on(self) -> None:
        """Opens the gate again after an intervention, as far as lease and brake allow."""
        self._is_withdrawn = self._presumed.is_held = False
        self._set_free()
        for replay in self._node.replays:
            replay.resume()

    def limit(self, *, is_reducing: bool) -> None:
        """Has the lease let strategies only reduce positions from now on, or trade freely again."""
        self._lease = Gate.REDUCES if is_reducing else Gate.OPEN
        self._set_free()

    def hold(self, *, is_held: bool) -> None:
        """While engine and venue do not agree only orders pass of which the venue makes sure that they reduce."""
        self._venue = Gate.REDUCES if is_held else Gate.OPEN
        self._node.gate.is_position_doubted = is_held
        self._set_free()

    def brake(self, brake: Brake) -> None:
        """Puts a brake on, or lifts it. What was let through before may be on its way still: see `has_left`."""
        self._brake = _GATES[brake]
        self._set_free()

    async def has_left(self) -> None:
        """Returns once no order is on its way any more that passed the gate before."""
        while not await self.settle(Aim(StopPolicy.LEAVE, self._now() + SETTLE_S)):
            pass

    def _set_free(self) -> None:
        """The narrowest of lease, brake and venue holds; a withdrawal under way comes first."""
        if self._is_withdrawn:
            return
        free = max(self._lease, self._brake, self._venue)
        self._node.gate.state, self._node.gate.why = free, "the engine is halted"
        self._set_trading_state(_TRADING[free])

    def _set_trading_state(self, state: TradingState) -> None:
        risk = self._node.kernel.risk_engine
        if risk.trading_state != state:
            risk.set_trading_state(state)

    async def settle(self, aim: Aim) -> bool:
        """Lets orders that passed the gate before it was shut reach the venue, where they can be seen and cancelled.

        False when that is not known of all of them. A busy feed may never leave the queues empty; orders pass them all the same.
        """
        have_left = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(aim.until, self._now() + SETTLE_S)):
                await self._node.barrier.orders_left()
                have_left = True
                await self._node.barrier.wait()
        return have_left


def _gate_for(policy: StopPolicy) -> Gate:
    return Gate.SHUT if policy is StopPolicy.LEAVE else Gate.CANCELS
