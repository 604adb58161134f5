"""Buy and hold: puts a part of the account into the instrument at the first close, and does nothing after. What others are measured by."""

from collections.abc import Iterator
from decimal import Decimal

from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide

from flotilla.engine_sidecar.strategies.bars import BarsConfig, BarsStrategy
from flotilla.engine_sidecar.strategies.sizing import unit_value, whole_quantity


class BuyAndHoldConfig(BarsConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """`invested` is the part of the account's balance that is bought for, 1 for all of it."""

    invested: Decimal = Decimal(1)

    def faults(self) -> Iterator[str]:
        """What is wrong with the fields together."""
        yield from super().faults()
        if not 0 < self.invested <= 1:
            yield "`invested` must be more than 0 and at most 1"


class BuyAndHold(BarsStrategy):
    """Buys once, at the market, as many whole units as the balance pays for with their fee at the close.

    Holds what an earlier session has bought. The loss of a day closes nothing: there is no exit in it.
    """

    def _begin(self) -> None:
        super()._begin()
        self._is_done = False

    def manage(self, bar: Bar) -> None:
        """Buys, unless it has."""
        own = {"instrument_id": self.instrument.id, "strategy_id": self.id}
        is_buying = self.cache.orders_inflight(**own) or self.cache.orders_open(**own)
        if self._is_done or self.position is not None or is_buying:
            return
        quantity = whole_quantity(self.instrument, self._units(bar.close.as_decimal()))
        if quantity is None:
            self.log.error(
                f"Bought nothing: the balance is less than {self.instrument.id} costs at {bar.close}"
            )
            return
        self._is_done = True
        self.submit_order(self.order_factory.market(self.instrument.id, OrderSide.BUY, quantity))

    def _units(self, price: Decimal) -> Decimal:
        account = self.portfolio.account(self.instrument.id.venue)
        currency = self.instrument.get_cost_currency()
        balance = account and account.balance_free(currency)
        if balance is None:
            self.log.error(f"Cannot size an order: the account has no {currency}")
            return Decimal(0)
        cost = unit_value(self.instrument, price) * (1 + max(Decimal(0), self.instrument.taker_fee))
        return balance.as_decimal() * self.config.invested / cost if cost > 0 else Decimal(0)
