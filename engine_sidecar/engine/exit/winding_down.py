"""Takes an engine, or one strategy, out of the market: cancels orders, closes positions, and says what it could not confirm."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder, SubmitOrder
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import Order

from flotilla.engine_sidecar.engine.exit.netting import to_close
from flotilla.engine_sidecar.engine.exit.unanswered_orders import Presumed
from flotilla.engine_sidecar.engine.order_gate import OrderGate
from flotilla.engine_sidecar.engine.venues.reports import is_at_venue
from flotilla.schemas.states import StopPolicy

CLOSING: Final = "WIND-DOWN"
"""The tag of orders that wind an engine down."""


def reduce(kernel: Any, position: Any, quantity: Decimal) -> None:
    """Sends a market order that reduces the position by so much, in the name of the strategy that the position bears."""
    factory = OrderFactory(
        trader_id=kernel.trader_id, strategy_id=position.strategy_id, clock=kernel.clock, cache=kernel.cache
    )
    order = factory.market(
        instrument_id=position.instrument_id,
        order_side=Order.closing_side(position.side),
        quantity=Quantity(quantity, position.size_precision),
        reduce_only=True,
        tags=[CLOSING],
    )
    kernel.msgbus.publish(topic=f"events.order.{position.strategy_id}", msg=order.init_event)
    kernel.cache.add_order(order, position.id)
    command = SubmitOrder(
        trader_id=kernel.trader_id,
        strategy_id=position.strategy_id,
        order=order,
        command_id=UUID4(),
        ts_init=kernel.clock.timestamp_ns(),
        position_id=position.id,
    )
    kernel.msgbus.send(endpoint="RiskEngine.execute", msg=command)


LEAST_S: Final = 0.005
"""Between two looks at what is left: a burst of events is one reason to look, not many."""
POLL_S: Final = 0.1
"""What has no event, such as a time that has come, is seen by looking again: each look goes through the whole cache."""
_TOPICS: Final = ("events.order.*", "events.position.*")
RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 4.0
"""What a venue has refused it is asked for again, and less often each time."""
STUCK_S: Final = 2.0
"""An order in flight for longer does not keep a position from being closed."""


class Aim(msgspec.Struct):
    """What is to be reached by when (s of the loop's time). Both may be tightened while somebody is at it."""

    policy: StopPolicy
    until: float


class WindDown:
    """The way out of the market of one node, or of one of its strategies; `now` is the loop's time. Orders that it `spares` it leaves."""

    def __init__(
        self,
        kernel: Any,
        gate: OrderGate,
        presumed: Presumed,
        now: Callable[[], float],
        strategy_id: Any = None,
        *,
        spares: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self._kernel, self._cache = kernel, kernel.cache
        self._spares = spares
        self._gate, self._presumed = gate, presumed
        self._now = now
        self._strategy_id = strategy_id
        self._due: dict[Any, tuple[float, float]] = {}
        self._in_flight_since: dict[Any, float] = {}
        self._happened = asyncio.Event()
        self.cancel_ms: float | None = None
        self.close_ms: float | None = None

    async def run(self, aim: Aim) -> None:
        """Does as the aim says until that is reached or its time is over.

        Positions are closed once nothing else works, or after half of the time: a cancel that a venue does not confirm must not
        leave them in the market. An order that is acknowledged late is cancelled even then.
        """
        if aim.policy is StopPolicy.LEAVE:
            return
        with self._listening():
            began = self._now()
            while self._unwanted_orders() and self._now() < (until := self._cancel_until(aim, began)):
                self._cancel_all()
                await self._change(until)
            self.cancel_ms = self._ms_since(began)
            if aim.policy is StopPolicy.FLATTEN:
                began = self._now()
                while (self._unwanted_orders() or self.open_positions()) and self._now() < aim.until:
                    self._cancel_all()
                    self._close_all()
                    await self._change(aim.until)
                self.close_ms = self._ms_since(began)

    def look_again(self) -> None:
        """Has a wind-down that goes on look at once: its aim was changed."""
        self._happened.set()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Within this each event of an order or a position is a reason to look again."""
        bus = self._kernel.msgbus

        def hear(_: object) -> None:
            self._happened.set()

        for topic in _TOPICS:
            bus.subscribe(topic, hear)
        try:
            yield
        finally:
            for topic in _TOPICS:
                bus.unsubscribe(topic, hear)

    async def _change(self, until: float) -> None:
        """Returns when something happened since it was called last, or after POLL_S, or at `until`."""
        began = self._now()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(POLL_S, max(0.0, until - began))):
                await self._happened.wait()
                await asyncio.sleep(LEAST_S - (self._now() - began))
        self._happened.clear()

    @staticmethod
    def _cancel_until(aim: Aim, began: float) -> float:
        return (began + aim.until) / 2 if aim.policy is StopPolicy.FLATTEN else aim.until

    def working_orders(self) -> list[Any]:
        """The orders that are open, in flight or emulated, and those that an execution algorithm has in hand."""
        found = [
            *self._cache.orders_open(strategy_id=self._strategy_id),
            *self._cache.orders_inflight(strategy_id=self._strategy_id),
            *self._cache.orders_emulated(strategy_id=self._strategy_id),
            *self._in_hand(),
        ]
        working = {order.client_order_id: order for order in found}.values()
        return [order for order in working if not self._spares(order)]

    def _in_hand(self) -> list[Any]:
        """What execution algorithms send bit by bit: nothing of it need be open anywhere while they wait."""
        return [
            order
            for algorithm in self._cache.exec_algorithm_ids()
            for order in self._cache.orders_for_exec_algorithm(algorithm, strategy_id=self._strategy_id)
            if order.is_active_local and order.is_primary
        ]

    def open_positions(self) -> list[Any]:
        """The positions that are open at the venue. Contrary ones that make up for each other there are not."""
        return [position for position, _ in self._to_close()]

    def _to_close(self) -> list[tuple[Any, Decimal]]:
        return to_close(self._cache.positions_open(strategy_id=self._strategy_id), self._is_netted)

    def _is_netted(self, position: Any) -> bool:
        """True where the venue has one position of the instrument. One strategy's are closed as they are, whatever others hold."""
        clients = self._kernel.exec_engine._clients.values()
        client = next((each for each in clients if each.account_id == position.account_id), None)
        if self._strategy_id is not None or client is None or not is_at_venue(client):
            return False
        if getattr(client, "_is_dual_side_position", None) is False:
            return True  # Binance futures, not in hedge mode.
        # NautilusTrader's own id where the adapter nets; in hedge mode a venue names its two sides.
        return bool(position.id.value == f"{position.instrument_id}-{position.strategy_id}")

    def presumed_orders(self) -> list[Any]:
        """The orders that NautilusTrader gave up on: no venue ever said what became of them."""
        return self._presumed.orders(self._strategy_id)

    def not_confirmed(self, policy: StopPolicy) -> tuple[str, ...]:
        """What the policy asked for and is not known to be done, in words."""
        if policy is StopPolicy.LEAVE:
            return ()
        orders = [
            f"order {order.client_order_id} still {order.status_string().lower()}"
            for order in self.working_orders()
        ]
        orders += [
            f"order {order.client_order_id} taken for {order.status_string().lower()}: the venue never said so"
            for order in self.presumed_orders()
        ]
        if policy is StopPolicy.CANCEL:
            return tuple(orders)
        return (*orders, *(_still_open(position, quantity) for position, quantity in self._to_close()))

    def _ms_since(self, moment: float) -> float:
        return round((self._now() - moment) * 1000, 1)

    def _unwanted_orders(self) -> list[Any]:
        """All that work, but for our own that are closing a position."""
        open_at = {(position.instrument_id, position.strategy_id) for position in self.open_positions()}
        return [
            order
            for order in self.working_orders()
            if not _is_closing(order) or (order.instrument_id, order.strategy_id) not in open_at
        ]

    def _cancel_all(self) -> None:
        for order in self._unwanted_orders():
            if order.status != OrderStatus.SUBMITTED and self._is_due(order.client_order_id):
                self._cancel(order)

    def _close_all(self) -> None:
        for position, quantity in self._to_close():
            if self._is_changing(position) or not self._is_due(position.id):
                continue
            if not self._is_being_sent(position):
                self._close(position, quantity)

    def _is_changing(self, position: Any) -> bool:
        """True while a closing order of ours works, or any order is on its way that could change the position any moment."""
        is_shared = self._is_netted(position) and self._has_contrary(position)
        return any(
            _is_closing(order) or self._is_fresh(order)
            for order in self.working_orders()
            if order.instrument_id == position.instrument_id
            and (is_shared or order.strategy_id == position.strategy_id)
        )

    def _is_being_sent(self, position: Any) -> bool:
        """True while a closing order of ours waits in a queue: on a busy machine longer than until it is due again."""
        orders = self._cache.orders(instrument_id=position.instrument_id, strategy_id=position.strategy_id)
        return any(_is_closing(order) and not order.is_closed for order in orders)

    def _has_contrary(self, position: Any) -> bool:
        others = self._cache.positions_open(instrument_id=position.instrument_id)
        return any(each.side != position.side for each in others if each.account_id == position.account_id)

    def _is_fresh(self, order: Any) -> bool:
        if not order.is_inflight:
            return False
        since = self._in_flight_since.setdefault(order.client_order_id, self._now())
        return self._now() - since < STUCK_S

    def _is_due(self, key: Any) -> bool:
        """True when it is time to ask for it, or to ask again: a venue may refuse."""
        now = self._now()
        due, wait_s = self._due.get(key, (now, RETRY_S))
        if now < due:
            return False
        self._due[key] = now + wait_s, min(1.5 * wait_s, LONGEST_RETRY_S)
        return True

    def _cancel(self, order: Any) -> None:
        command = CancelOrder(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            command_id=UUID4(),
            ts_init=self._kernel.clock.timestamp_ns(),
            client_id=self._cache.client_id(order.client_order_id),
        )
        with self._gate.ours():
            self._kernel.msgbus.send(endpoint=_keeper(order), msg=command)

    def _close(self, position: Any, quantity: Decimal) -> None:
        strategies = self._kernel.trader.strategies()
        owner = next((strategy for strategy in strategies if strategy.id == position.strategy_id), None)
        with self._gate.ours():
            if owner is None or quantity != position.quantity.as_decimal():
                reduce(self._kernel, position, quantity)
            else:
                owner.close_position(position, tags=[CLOSING])


def _keeper(order: Any) -> str:
    """Who has the order, and cancels it."""
    if order.is_emulated:
        return "OrderEmulator.execute"
    return f"{order.exec_algorithm_id}.execute" if order.is_active_local else "ExecEngine.execute"


def _is_closing(order: Any) -> bool:
    return CLOSING in (order.tags or ())


def _still_open(position: Any, quantity: Decimal) -> str:
    signed = quantity if position.is_long else -quantity
    return f"position {position.id} still open: {signed} {position.instrument_id}"
