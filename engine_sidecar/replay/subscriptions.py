"""What strategies subscribe to and no longer want, as data sets of the catalog: a method for each of NautilusTrader's commands."""

from typing import Any

from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.model.data import (
    Bar,
    FundingRateUpdate,
    IndexPriceUpdate,
    InstrumentClose,
    InstrumentStatus,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)

from flotilla.engine_sidecar.replay.streams import DataSet


class Subscriptions(LiveMarketDataClient):  # type: ignore[misc]
    """Answered in the step that brings them, not in tasks of their own: so the barrier, which watches the engines' queues, sees all there is."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._of_own_classes: set[DataSet] = set()

    def open(self, data_set: DataSet) -> None:
        """Plays a data set from now on."""
        raise NotImplementedError

    def close(self, data_set: DataSet) -> None:
        """Plays a data set no longer."""
        raise NotImplementedError

    def subscribe(self, command: Any) -> None:
        """Plays data of a class of somebody's own from now on: those of the instrument that is named, else those of none.

        They are played to their end: NautilusTrader tells such subscriptions apart by class alone, so one of another instrument would not
        come here once the class was noted as subscribed, and would end with that of the first.
        """
        data_set = DataSet(command.data_type.type, str(command.instrument_id or ""))
        if data_set not in self._of_own_classes:
            self._of_own_classes.add(data_set)
            self.open(data_set)

    def subscribe_bars(self, command: Any) -> None:
        """Plays these bars from now on."""
        self._add_subscription_bars(command.bar_type)
        self.open(DataSet(Bar, str(command.bar_type)))

    def unsubscribe_bars(self, command: Any) -> None:
        """Plays these bars no longer."""
        self._remove_subscription_bars(command.bar_type)
        self.close(DataSet(Bar, str(command.bar_type)))

    def subscribe_quote_ticks(self, command: Any) -> None:
        """Plays these quotes from now on."""
        self._add_subscription_quote_ticks(command.instrument_id)
        self.open(DataSet(QuoteTick, str(command.instrument_id)))

    def unsubscribe_quote_ticks(self, command: Any) -> None:
        """Plays these quotes no longer."""
        self._remove_subscription_quote_ticks(command.instrument_id)
        self.close(DataSet(QuoteTick, str(command.instrument_id)))

    def subscribe_trade_ticks(self, command: Any) -> None:
        """Plays these trades from now on."""
        self._add_subscription_trade_ticks(command.instrument_id)
        self.open(DataSet(TradeTick, str(command.instrument_id)))

    def unsubscribe_trade_ticks(self, command: Any) -> None:
        """Plays these trades no longer."""
        self._remove_subscription_trade_ticks(command.instrument_id)
        self.close(DataSet(TradeTick, str(command.instrument_id)))

    def subscribe_order_book_deltas(self, command: Any) -> None:
        """Plays these changes of an order book from now on."""
        self._add_subscription_order_book_deltas(command.instrument_id)
        self.open(DataSet(OrderBookDelta, str(command.instrument_id)))

    def unsubscribe_order_book_deltas(self, command: Any) -> None:
        """Plays these changes of an order book no longer."""
        self._remove_subscription_order_book_deltas(command.instrument_id)
        self.close(DataSet(OrderBookDelta, str(command.instrument_id)))

    def subscribe_order_book_depth(self, command: Any) -> None:
        """Plays these ten levels of an order book from now on."""
        self._add_subscription_order_book_depth(command.instrument_id)
        self.open(DataSet(OrderBookDepth10, str(command.instrument_id)))

    def unsubscribe_order_book_depth(self, command: Any) -> None:
        """Plays these ten levels of an order book no longer."""
        self._remove_subscription_order_book_depth(command.instrument_id)
        self.close(DataSet(OrderBookDepth10, str(command.instrument_id)))

    def subscribe_mark_prices(self, command: Any) -> None:
        """Plays these mark prices from now on."""
        self._add_subscription_mark_prices(command.instrument_id)
        self.open(DataSet(MarkPriceUpdate, str(command.instrument_id)))

    def unsubscribe_mark_prices(self, command: Any) -> None:
        """Plays these mark prices no longer."""
        self._remove_subscription_mark_prices(command.instrument_id)
        self.close(DataSet(MarkPriceUpdate, str(command.instrument_id)))

    def subscribe_index_prices(self, command: Any) -> None:
        """Plays these index prices from now on."""
        self._add_subscription_index_prices(command.instrument_id)
        self.open(DataSet(IndexPriceUpdate, str(command.instrument_id)))

    def unsubscribe_index_prices(self, command: Any) -> None:
        """Plays these index prices no longer."""
        self._remove_subscription_index_prices(command.instrument_id)
        self.close(DataSet(IndexPriceUpdate, str(command.instrument_id)))

    def subscribe_funding_rates(self, command: Any) -> None:
        """Plays these funding rates from now on."""
        self._add_subscription_funding_rates(command.instrument_id)
        self.open(DataSet(FundingRateUpdate, str(command.instrument_id)))

    def unsubscribe_funding_rates(self, command: Any) -> None:
        """Plays these funding rates no longer."""
        self._remove_subscription_funding_rates(command.instrument_id)
        self.close(DataSet(FundingRateUpdate, str(command.instrument_id)))

    def subscribe_instrument_status(self, command: Any) -> None:
        """Plays these changes of an instrument's status from now on."""
        self._add_subscription_instrument_status(command.instrument_id)
        self.open(DataSet(InstrumentStatus, str(command.instrument_id)))

    def unsubscribe_instrument_status(self, command: Any) -> None:
        """Plays these changes of an instrument's status no longer."""
        self._remove_subscription_instrument_status(command.instrument_id)
        self.close(DataSet(InstrumentStatus, str(command.instrument_id)))

    def subscribe_instrument_close(self, command: Any) -> None:
        """Plays these closes of an instrument from now on."""
        self._add_subscription_instrument_close(command.instrument_id)
        self.open(DataSet(InstrumentClose, str(command.instrument_id)))

    def unsubscribe_instrument_close(self, command: Any) -> None:
        """Plays these closes of an instrument no longer."""
        self._remove_subscription_instrument_close(command.instrument_id)
        self.close(DataSet(InstrumentClose, str(command.instrument_id)))
