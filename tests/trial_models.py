"""Models of a venue that are nobody's but the tests'."""

from decimal import Decimal
from typing import Any

from nautilus_trader.accounting.margin_models import MarginModel
from nautilus_trader.backtest.config import (
    FeeModelConfig,
    FillModelConfig,
    LatencyModelConfig,
    SimulationModuleConfig,
)
from nautilus_trader.backtest.models import FeeModel, FillModel, LatencyModel
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.model.objects import Currency, Money


class TieredFeesConfig(FeeModelConfig, frozen=True):
    """`rate` is a share of the notional value; large orders pay half."""

    rate: Decimal
    large: int = 15_000


class TieredFees(FeeModel):
    """Cheaper by the amount."""

    def __init__(self, config: TieredFeesConfig) -> None:
        self.config = config

    def get_commission(self, order: Any, fill_qty: Any, fill_px: Any, instrument: Any) -> Money:
        rate = self.config.rate / (2 if order.quantity.as_decimal() >= self.config.large else 1)
        notional = instrument.notional_value(fill_qty, fill_px)
        return Money(notional.as_decimal() * rate, notional.currency)


class NeverSlips(FillModel):
    """Every second touched limit order fills."""

    def __init__(self, config: FillModelConfig) -> None:
        super().__init__(config=config)
        self.asked = 0

    def is_limit_filled(self) -> bool:
        self.asked += 1
        return self.asked % 2 == 0

    def is_slipped(self) -> bool:
        return True


class SlowConfig(LatencyModelConfig, frozen=True):
    """`seconds` stand for all kinds of commands."""

    seconds: int = 1


class Slow(LatencyModel):
    """In seconds."""

    def __init__(self, config: SlowConfig) -> None:
        super().__init__(base_latency_nanos=config.seconds * 1_000_000_000)


class FlatMargin(MarginModel):
    """The same for each unit, whatever the leverage."""

    def __init__(self, config: Any) -> None:
        self.each = Decimal(str(config.config["each"]))

    def calculate_margin_init(
        self, instrument: Any, quantity: Any, price: Any, leverage: Any, use_quote_for_inverse: bool = False
    ) -> Money:
        return Money(quantity.as_decimal() * self.each, instrument.quote_currency)

    def calculate_margin_maint(
        self,
        instrument: Any,
        side: Any,
        quantity: Any,
        price: Any,
        leverage: Any,
        use_quote_for_inverse: bool = False,
    ) -> Money:
        return Money(quantity.as_decimal() * self.each, instrument.quote_currency)


class RentConfig(SimulationModuleConfig, frozen=True):
    """`a_day` in dollars."""

    a_day: Decimal


class Rent(SimulationModule):
    """Takes money from the account once a day."""

    def __init__(self, config: RentConfig) -> None:
        super().__init__(config)
        self.rent = config.a_day
        self.day = 0

    def pre_process(self, data: Any) -> None: ...

    def process(self, ts_now: int) -> None:
        if (day := ts_now // 86_400_000_000_000) > self.day:
            self.day = day
            self.exchange.adjust_account(Money(-self.rent, Currency.from_str("USD")))

    def log_diagnostics(self, logger: Any) -> None: ...

    def reset(self) -> None: ...
