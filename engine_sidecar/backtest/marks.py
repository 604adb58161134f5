"""What open positions are valued at: as NautilusTrader's portfolio does, and by the order book where a run has no other price of something."""

from typing import Any, Final

from nautilus_trader.common.data_topics import TopicCache
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.replay.account_worth import Prices
from flotilla.schemas.backtest import ORDER_BOOKS, TICKS, DataKind, TrialPlan

_BOOK_TYPES: Final = {"L3_MBO": BookType.L3_MBO}


class Marks(Prices):
    """Prices of positions. Its order books are those of instruments that the plan has no quotes, trades or bars of."""

    def __init__(self, engine: Any, plan: TrialPlan) -> None:
        is_by_mark = plan.engine.get("portfolio", {}).get("use_mark_prices", False)
        super().__init__(engine.cache, is_by_mark=is_by_mark)
        self._books: dict[InstrumentId, OrderBook] = {}
        types = {str(venue["name"]): venue.get("book_type") for venue in plan.venues}
        for name, kind in _book_alone(plan).items():
            instrument_id = InstrumentId.from_str(name)
            book_type = _BOOK_TYPES.get(str(types.get(instrument_id.venue.value)), BookType.L2_MBP)
            book = self._books[instrument_id] = OrderBook(instrument_id, book_type)
            topics = TopicCache()
            topic = topics.get_deltas_topic if kind is DataKind.ORDER_BOOK_DELTAS else topics.get_depth_topic
            engine.kernel.msgbus.subscribe(topic(instrument_id), book.apply)

    def in_book(self, instrument_id: InstrumentId, *, is_long: bool) -> Any:
        """What closes a position of that side in an order book that is kept here; None for any other, and while that side is empty."""
        book = self._books.get(instrument_id)
        if book is None:
            return None
        return book.best_bid_price() if is_long else book.best_ask_price()

    def middle(self, instrument_id: InstrumentId) -> float | None:
        """Between the best prices of an order book that is kept here."""
        book = self._books.get(instrument_id)
        return None if book is None else book.midpoint()


def _book_alone(plan: TrialPlan) -> dict[str, DataKind]:
    """Of which instruments an order book is all there is, and which of its kinds; both would undo each other."""
    priced = {
        _instrument(one.identifier) for one in plan.data if one.kind in TICKS or one.kind is DataKind.BARS
    }
    found: dict[str, DataKind] = {}
    for one in sorted(plan.data):
        if one.kind in ORDER_BOOKS and one.identifier not in priced:
            found.setdefault(one.identifier, one.kind)
    return found


def _instrument(identifier: str) -> str:
    return identifier.rsplit("-", 4)[0] if identifier.endswith("-EXTERNAL") else identifier
