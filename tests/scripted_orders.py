"""A strategy that sends exactly the orders a test asks for, each on a given bar."""

from decimal import Decimal
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide, TriggerType
from nautilus_trader.trading.strategy import Strategy


class ScriptConfig(StrategyConfig, frozen=True):
    """`script` has one step per order: {"bar": 1, "do": "market", "side": "BUY", "size": "10", ...}; bar 0 is the start."""

    bar_type: BarType
    script: tuple[dict[str, Any], ...] = ()


class SendsOrders(Strategy):
    """What a step can `do`: market, limit, stop, bracket, or modify the resting order."""

    def __init__(self, config: ScriptConfig) -> None:
        super().__init__(config)
        self.bars = 0

    def on_start(self) -> None:
        self.instrument_id = self.config.bar_type.instrument_id
        self.instrument = self.cache.instrument(self.instrument_id)
        self.subscribe_bars(self.config.bar_type)
        self.take_steps()

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        self.take_steps()

    def take_steps(self) -> None:
        for step in self.config.script:
            if step["bar"] == self.bars:
                getattr(self, step["do"])(step)

    def parts(self, step: dict[str, Any]) -> dict[str, Any]:
        return {
            "instrument_id": self.instrument_id,
            "order_side": OrderSide[step["side"]],
            "quantity": self.instrument.make_qty(Decimal(step["size"])),
        }

    def price(self, step: dict[str, Any]) -> Any:
        return self.instrument.make_price(Decimal(step["price"]))

    def market(self, step: dict[str, Any]) -> None:
        reduce_only = step.get("reduce_only", False)
        self.submit_order(self.order_factory.market(**self.parts(step), reduce_only=reduce_only))

    def limit(self, step: dict[str, Any]) -> None:
        trigger = TriggerType[step.get("emulation_trigger", "NO_TRIGGER")]
        order = self.order_factory.limit(
            **self.parts(step), price=self.price(step), emulation_trigger=trigger
        )
        self.submit_order(order)

    def stop_order(self, step: dict[str, Any]) -> None:
        self.submit_order(self.order_factory.stop_market(**self.parts(step), trigger_price=self.price(step)))

    def bracket(self, step: dict[str, Any]) -> None:
        price = Decimal(step["price"])
        self.submit_order_list(
            self.order_factory.bracket(
                **self.parts(step),
                tp_price=self.instrument.make_price(price * 2),
                sl_trigger_price=self.instrument.make_price(price / 2),
            )
        )

    def modify(self, step: dict[str, Any]) -> None:
        order = self.cache.orders_open(strategy_id=self.id)[0]
        self.modify_order(
            order,
            quantity=self.instrument.make_qty(Decimal(step["size"])) if "size" in step else None,
            price=self.price(step) if "price" in step else None,
        )
