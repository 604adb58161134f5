"""NautilusTrader's sandbox venue, made exact: it fills as the BacktestEngine does on the same data.

Three things stand between the sandbox of NautilusTrader 1.231.0 and that. It never sees bars, because their topics do not
fit its subscription. It learns of a price at the same time as the strategies, or later, and executes an order while the
strategy is still at work. And its exchange decides by order states that lag, because its own events wait in a queue.
Here the replay moves the market first, lets the strategies see the event, then has the venue execute what they sent, and
`deliver_events_at_once` closes the last gap. Fed by a real venue's data, it takes orders as they come.

One difference to a backtest is left on purpose, because it is one between backtests and all live trading: while a strategy's
callback runs, what it sends is on its way and no more. A BacktestEngine has submitted the order when `submit_order` returns,
so that `cancel_all_orders` in the next line cancels it; here, as live, that finds nothing to cancel.
"""

from collections import deque
from collections.abc import Mapping
from copy import copy
from typing import Any, Final

import msgspec
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.model.data import (
    Bar,
    InstrumentClose,
    InstrumentStatus,
    OrderBookDelta,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Currency, Money

from flotilla.engine_sidecar.replay.messages import ALERTS
from flotilla.schemas.alerts import ORDERS_FORGOTTEN


def tagged(fill: OrderFilled, tag: str) -> OrderFilled:
    """The fill with a tag behind its trade id, the same one without a tag."""
    if not tag:
        return fill
    values = OrderFilled.to_dict(fill)
    values["trade_id"] = f"{values['trade_id']}-{tag}"
    return OrderFilled.from_dict(values)


def continued[C: SandboxExecutionClientConfig](config: C, cache: Any) -> C:
    """The config with the balances that the account had when it was last seen, and ids that were not given yet.

    Raises ValueError for an account that was kept in another currency.
    """
    account = cache.account(AccountId(f"{config.venue}-001"))
    if account is None:
        return config
    kept = account.base_currency.code if account.base_currency else None
    if kept != config.base_currency:
        raise ValueError(
            f"base_currency {config.base_currency}: the account at {config.venue} that came back was kept in {kept}"
        )
    balances = [str(balance) for balance in account.balances_total().values()]
    after = copy(config)
    msgspec.structs.force_setattr(after, "starting_balances", balances)
    msgspec.structs.force_setattr(after, "use_random_ids", True)
    return after


_NS: Final = 1_000_000_000


class SandboxClientConfig(SandboxExecutionClientConfig, frozen=True, kw_only=True):  # type: ignore[call-arg, misc]
    """Refuses what NautilusTrader would take in silence, or panic on."""

    def __post_init__(self) -> None:
        _one_of("oms_type", self.oms_type, ("NETTING", "HEDGING"))
        _one_of("account_type", self.account_type, ("CASH", "MARGIN", "BETTING"))
        _one_of("book_type", self.book_type, ("L1_MBP", "L2_MBP", "L3_MBO"))
        for balance in self.starting_balances:
            _check_currency(balance.rpartition(" ")[2])
            if Money.from_str(balance).as_decimal() <= 0:
                raise ValueError(f"`starting_balances`: {balance} is not positive")
        if self.base_currency is not None:
            _check_currency(self.base_currency)


class SandboxClient(SandboxExecutionClient):  # type: ignore[misc]
    """The sandbox's execution client. A replay drives it in steps: `open_step`, `execute_next`, `iterate`, `close_step`."""

    def __init__(self, *, config: SandboxClientConfig, cache: Any, **parts: Any) -> None:
        after = continued(config, cache)
        super().__init__(config=after, cache=cache, **parts)
        self.trade_tag = "" if after is config else f"{self._clock.timestamp_ns() // _NS:x}"
        self._held: deque[Any] = deque()
        self._is_in_step = False
        self._is_driven = False
        self._moves = {
            Bar: self.exchange.process_bar,
            QuoteTick: self.exchange.process_quote_tick,
            TradeTick: self.exchange.process_trade_tick,
            OrderBookDelta: self.exchange.process_order_book_delta,
            OrderBookDepth10: self.exchange.process_order_book_depth10,
            InstrumentStatus: self.exchange.process_instrument_status,
            InstrumentClose: self.exchange.process_instrument_close,
        }

    def connect(self) -> None:
        """Connects, and subscribes to bars too."""
        self._cancel_forgotten()
        super().connect()
        self._msgbus.subscribe(f"data.bars.*.{self.venue}-*", handler=self.on_data, priority=10)

    def _cancel_forgotten(self) -> None:
        """Cancels what an earlier session left: this exchange is a new one and knows none of it."""
        left = [*self._cache.orders_open(venue=self.venue), *self._cache.orders_inflight(venue=self.venue)]
        orders = {order.client_order_id: order for order in left}
        for order in orders.values():
            self._client.generate_order_canceled(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                ts_event=self._clock.timestamp_ns(),
            )
        if orders:
            names = ", ".join(sorted(map(str, orders)))
            text = (
                f"the simulated venue {self.venue} forgot what the last session left open; cancelled: {names}"
            )
            self._msgbus.publish(topic=ALERTS, msg=ORDERS_FORGOTTEN.alert(text))

    def on_data(self, data: Any) -> None:
        """Takes market data from the bus; while a replay drives, only instruments."""
        if not self._is_driven or isinstance(data, Instrument):
            super().on_data(data)

    @property
    def has_held(self) -> bool:
        """True when commands wait for `execute_next`."""
        return bool(self._held)

    def open_step(self, ts: int) -> None:
        """Begins a step at `ts` (ns): the clock follows, and commands wait until the strategies have had their turn."""
        self._is_driven = self._is_in_step = True
        self.test_clock.set_time(ts)

    def move_market(self, event: Any) -> None:
        """Moves the market by an event of a kind that does; resting orders may fill."""
        if (move := self._moves.get(type(event))) is not None:
            move(event)

    def execute_next(self) -> None:
        """Executes the oldest command that waits."""
        self.exchange.send(self._held.popleft())

    def iterate(self, ts: int) -> None:
        """Matches resting orders against the market as it stands."""
        for engine in self.exchange.get_matching_engines().values():
            engine.iterate(ts)

    def close_step(self, ts: int) -> None:
        """Ends the step: expiries are due, and commands no longer wait."""
        self.exchange.process(ts)
        self._is_in_step = False

    def abandon_step(self) -> None:
        """Ends a step that broke off: what waits is executed, and later commands do not wait any more."""
        self._is_in_step = False
        while self._held:
            self.execute_next()

    def submit_order(self, command: Any) -> None:
        """Acknowledges the order as submitted and passes it on."""
        self._submitted(command.order)
        self._pass_on(command)

    def submit_order_list(self, command: Any) -> None:
        """Acknowledges the orders as submitted and passes them on."""
        for order in command.order_list.orders:
            self._submitted(order)
        self._pass_on(command)

    def modify_order(self, command: Any) -> None:
        """Passes the change on."""
        self._pass_on(command)

    def cancel_order(self, command: Any) -> None:
        """Passes the cancel on."""
        self._pass_on(command)

    def cancel_all_orders(self, command: Any) -> None:
        """Passes the cancel on."""
        self._pass_on(command)

    def batch_cancel_orders(self, command: Any) -> None:
        """Passes the cancels on; NautilusTrader's sandbox has no such method."""
        self._pass_on(command)

    def _submitted(self, order: Any) -> None:
        self._client.generate_order_submitted(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            ts_event=self.test_clock.timestamp_ns(),
        )

    def _pass_on(self, command: Any) -> None:
        if self._is_in_step:
            self._held.append(command)
        else:
            self.exchange.send(command)
            self.iterate(self.test_clock.timestamp_ns())


class SandboxLiveExecClientFactory(LiveExecClientFactory):  # type: ignore[misc]
    """Makes SandboxClients. NautilusTrader passes the portfolio only to a factory of this very name."""

    @staticmethod
    def create(name: str, **parts: Any) -> SandboxClient:
        """Called by the node's builder."""
        return SandboxClient(**parts)


def deliver_events_at_once(kernel: Any, venues: Mapping[Any, SandboxClient]) -> None:
    """Has order events applied when they happen instead of through the execution engine's queue.

    The simulated exchange runs in this process and asks the order itself whether it is open, filled or closed; through the
    queue it would see the state before its own last event, and fill or cancel otherwise than in a backtest.

    It names its trades by their time. A replay that begins anew would give the names of the last session again, and positions
    that came back from it would refuse them: they get a tag of the session.
    """
    engine, bus = kernel.exec_engine, kernel.msgbus
    tags = {venue: client.trade_tag for venue, client in venues.items() if client.trade_tag}

    def process(event: Any) -> None:
        if tags and isinstance(event, OrderFilled):
            event = tagged(event, tags.get(event.instrument_id.venue, ""))
        engine._record_local_activity(event)
        engine._handle_event_with_tracking(event)

    bus.deregister("ExecEngine.process", engine.process)
    bus.register("ExecEngine.process", process)


def _one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"`{field}` must be one of {', '.join(allowed)}, not {value!r}")


def _check_currency(code: str) -> None:
    if not code or Currency.from_str(code, strict=True) is None:
        raise ValueError(f"{code!r} is no currency that NautilusTrader knows")
