"""The one stop of a node: out of the market by policy, then strategies, clients and engines, and an account of it all."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Any, Final

from flotilla.engine_sidecar.engine.exit.winding_down import Aim
from flotilla.engine_sidecar.engine.exit.withdrawing import Withdrawing
from flotilla.engine_sidecar.engine.node_building import Node
from flotilla.engine_sidecar.engine.tap import Tap
from flotilla.engine_sidecar.engine.venues.gate import CONFIRM_S, VenueGate
from flotilla.engine_sidecar.engine.venues.reports import LOOK_S
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import StopReport

POLL_S: Final = 0.01
NEVER_RECONCILED: Final = (
    "the engine had not compared orders and positions with the venue yet: what is open there is unknown"
)


class Stopping:
    """Stops within a time that may be cut short, by a policy that may be raised. `now` is the loop's time (s).

    `on_shut` is told once no order that opens or adds can leave any more.
    """

    def __init__(
        self,
        node: Node,
        tap: Tap,
        withdrawing: Withdrawing,
        venues: VenueGate,
        *,
        now: Callable[[], float],
        on_shut: Callable[[], None],
    ) -> None:
        self._on_shut = on_shut
        self._node, self._tap, self._withdrawing, self._now = node, tap, withdrawing, now
        self._venues = venues
        self._wind_down = withdrawing.wind_down_of()
        self._aim: Aim | None = None
        self._until = math.inf
        self._is_hurried = False
        self.is_reconciled = False
        _end_pause_early(node)

    def hurry(self, timeout_s: float) -> None:
        """Has a stop, begun or not, close positions too, and end within `timeout_s`."""
        self._is_hurried = True
        self._until = min(self._until, self._now() + timeout_s)
        if self._aim is not None:
            self._aim.policy = StopPolicy.FLATTEN
            self._aim.until = min(self._aim.until, self._market_until(self._until))
            self._wind_down.look_again()

    async def stop(
        self, policy: StopPolicy, timeout_s: float, running: asyncio.Task[None]
    ) -> tuple[tuple[str, ...], StopReport]:
        """Stops everything; returns what could not be confirmed, and the account. `running` is the task that runs the node.

        What is open is looked up at the very end: what the venue said until then counts.
        """
        began, cancelled, closed = self._now(), self._tap.cancelled, self._tap.closed
        self._until = min(self._until, began + timeout_s)
        policy = StopPolicy.FLATTEN if self._is_hurried else policy
        self._aim = aim = Aim(policy, self._market_until(self._until))
        self._withdrawing.shut(aim.policy)
        # Before it has reconciled no strategy runs, so that there is nothing on its way.
        if not self.is_reconciled or await self._withdrawing.settle(aim):
            self._on_shut()
        unlike: tuple[str, ...] = ()
        if self.is_reconciled:
            await self._wind_down.run(aim)
            unlike = await self._venues.not_agreed(aim.policy, self._confirm_until())
        if not self._node.kernel.trader.is_running:
            running.cancel()
        if self._is_hurried and not unlike and not self._not_confirmed(aim.policy):
            self._end_without_goodbyes()
        wrong = await self._stop_node(running, aim)
        orders, positions = self._left()
        report = StopReport(
            policy=aim.policy,
            orders_cancelled=self._tap.cancelled_since(cancelled),
            positions_closed=self._tap.closed - closed,
            orders_left=len(orders),
            positions_left=len(positions),
            is_flat=self.is_reconciled and not orders and not positions and not unlike,
            cancel_ms=self._wind_down.cancel_ms,
            close_ms=self._wind_down.close_ms,
            stop_ms=round((self._now() - began) * 1000, 1),
        )
        return self._not_confirmed(aim.policy) + unlike + wrong, report

    def _market_until(self, until: float) -> float:
        """When the market must be left: the node's own stop needs its share of the time, but never all of it."""
        left = until - self._now()
        return self._now() + max(left / 2, left - self._node.stop_s - self._confirm_s)

    def _confirm_until(self) -> float:
        """Until when the venues may say that the market is left: on a busy machine longer than it needs to be left.

        The node's own stop keeps its share, but never more than half of what is left.
        """
        left = max(self._until - self._now(), 0.0)
        return self._now() + min(LOOK_S, max(left / 2, left - self._node.stop_s))

    @property
    def _confirm_s(self) -> float:
        return CONFIRM_S if self._venues.is_needed else 0.0

    def _left(self) -> tuple[list[Any], list[Any]]:
        orders = [*self._wind_down.working_orders(), *self._wind_down.presumed_orders()]
        return orders, self._wind_down.open_positions()

    def _not_confirmed(self, policy: StopPolicy) -> tuple[str, ...]:
        if policy is not StopPolicy.LEAVE and not self.is_reconciled:
            return (NEVER_RECONCILED,)
        return self._wind_down.not_confirmed(policy)

    def _end_without_goodbyes(self) -> None:
        """Has the node's stop not wait for its clients to disconnect.

        For an emergency in which the venues have said that all is flat: the process ends at once, and its connections with it. Not
        where state is kept in Redis, which is written behind our back: there the time that it takes is of use.
        """
        if self._node.cache is not None:
            return
        kernel = self._node.kernel

        async def wait_for_nothing() -> None:
            return None

        kernel._disconnect_clients = lambda: None
        kernel._await_engines_disconnected = wait_for_nothing

    async def _stop_node(self, running: asyncio.Task[None], aim: Aim) -> tuple[str, ...]:
        """Stops strategies, clients and engines; returns what went wrong.

        Nothing is disposed of: the process ends now, and disposing empties the cache before its last figures are told.
        """
        policy = aim.policy
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(self._end_node(running), name="node stop")
            while not ended.done() and self._now() < self._until:
                if aim.policy is not policy and self.is_reconciled:
                    # Raised while the node was stopping: its clients may be connected still, so it is worth the try.
                    policy = aim.policy
                    await self._withdrawing.withdraw(self._wind_down, aim)
                await asyncio.wait([ended], timeout=POLL_S)
            running.cancel()
            if ended.done():
                return ended.result()
            ended.cancel()
        return ("NautilusTrader's node did not stop in time",)

    async def _end_node(self, running: asyncio.Task[None]) -> tuple[str, ...]:
        try:
            await self._node.trading.stop_async()
        except Exception as error:  # noqa: BLE001 - an engine that cannot stop cleanly still ends, and says so
            return (f"NautilusTrader's node did not stop cleanly: {type(error).__name__}: {error}",)
        await asyncio.wait([running])
        return ()


def _end_pause_early(node: Node) -> None:
    """Has the node's stop go on once its strategies have stopped and what they said is handled, not after a fixed pause."""
    trader = node.kernel.trader
    longest_s = max(0.0, node.stop_s - 1.0)

    async def pause() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                while any(strategy.is_running for strategy in trader.strategies()):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
                await node.barrier.wait()
        trader.check_residuals()

    node.kernel._await_trader_residuals = pause
