"""Stops the trading of a node by policy, and the node itself, within a deadline."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from nautilus_trader.model.enums import TradingState

from engine_sidecar.adapters.node_building import Node
from engine_sidecar.adapters.order_gate import Gate
from engine_sidecar.adapters.winding_down import WindDown
from schemas.states import StopPolicy

SETTLE_S: Final = 0.5


class Stopping:
    """What a stop and an intervention have in common. `now` is the loop's time (s)."""

    def __init__(self, node: Node, now: Callable[[], float]) -> None:
        self._node, self._now = node, now

    async def wind_down(self, policy: StopPolicy, deadline: float) -> tuple[str, ...]:
        """Shuts the gate and does as the policy says; returns what could not be confirmed by `deadline`.

        The simulated time of a replay stands still meanwhile, so that orders meet the market that the operator saw.
        """
        node = self._node
        node.gate.state = Gate.SHUT if policy is StopPolicy.LEAVE else Gate.CANCELS
        for replay in node.replays:
            replay.pause()
        if policy is StopPolicy.LEAVE:
            return ()
        node.kernel.risk_engine.set_trading_state(TradingState.REDUCING)
        await self._settle(deadline)
        winding_down = WindDown(node.kernel, node.gate, self._now)
        if policy is StopPolicy.CANCEL:
            await winding_down.cancel_orders(deadline)
            return winding_down.still_working()
        # A cancel that a venue does not confirm must not leave the positions in the market.
        await winding_down.cancel_orders((self._now() + deadline) / 2)
        await winding_down.close_positions(deadline)
        return winding_down.still_working() + winding_down.still_open()

    def go_on(self) -> None:
        """Opens the gate again after an intervention."""
        self._node.kernel.risk_engine.set_trading_state(TradingState.ACTIVE)
        self._node.gate.state = Gate.OPEN
        for replay in self._node.replays:
            replay.resume()

    async def stop_node(self, running: asyncio.Task[None], deadline: float) -> tuple[str, ...]:
        """Stops strategies, clients and engines; returns what went wrong. `running` is the task that runs the node.

        Nothing is disposed of: the process ends now, and disposing empties the cache before its last figures are told.
        """
        try:
            async with asyncio.timeout_at(max(deadline, self._now() + self._node.stop_s)):
                await self._node.trading.stop_async()
                await asyncio.wait([running])
        except TimeoutError:
            running.cancel()
            return ("NautilusTrader's node did not stop in time",)
        except Exception as error:  # noqa: BLE001 - an engine that cannot stop cleanly still ends, and says so
            running.cancel()
            return (f"NautilusTrader's node did not stop cleanly: {type(error).__name__}: {error}",)
        return ()

    async def _settle(self, deadline: float) -> None:
        """Lets orders that passed the gate before it was shut reach the venue, where they can be seen and cancelled.

        A busy feed may never leave the queues empty; orders pass them in milliseconds all the same.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(deadline, self._now() + SETTLE_S)):
                await self._node.barrier.wait()
