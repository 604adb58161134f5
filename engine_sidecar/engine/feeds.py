"""Counts what each venue's data client delivers, and when it last did: NautilusTrader itself keeps no such figure."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import msgspec
from nautilus_trader.model.data import (
    Bar,
    IndexPriceUpdate,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderBookDeltas,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.instruments import Instrument

from flotilla.schemas.telemetry import FeedProgress, QuietData

QUIET_AFTER_S: Final = 2.0
MOST_QUIET: Final = 20
_SUBSCRIPTIONS: Final = {
    "subscribed_quote_ticks": "quotes",
    "subscribed_trade_ticks": "trades",
    "subscribed_bars": "bars",
    "subscribed_order_book_deltas": "book",
    "subscribed_order_book_depth": "book",
    "subscribed_mark_prices": "mark prices",
    "subscribed_index_prices": "index prices",
}
_WORDS: Final[dict[type, str]] = {
    QuoteTick: "quotes",
    TradeTick: "trades",
    Bar: "bars",
    OrderBookDelta: "book",
    OrderBookDeltas: "book",
    OrderBookDepth10: "book",
    MarkPriceUpdate: "mark prices",
    IndexPriceUpdate: "index prices",
}
_OPEN: Final = (
    MarketStatusAction.TRADING,
    MarketStatusAction.QUOTING,
    MarketStatusAction.CROSS,
    MarketStatusAction.SHORT_SELL_RESTRICTION_CHANGE,
)

type _Key = tuple[str, Any]


class Count(msgspec.Struct):
    """What came from one client so far; `since` is the loop's time of the last of it, or of the first subscription.

    `seen` has the same time for each subscription.
    """

    events: int = 0
    since: float | None = None
    last_ts_event: int | None = None
    seen: dict[_Key, float] = {}


class Feeds:
    """Stands before each data client's way into the engine. A client that gives its own account, as a replay does, is asked.

    `always_open` are the clients of venues whose market never closes; `now` is the loop's time (s).
    """

    def __init__(self, kernel: Any, now: Callable[[], float], always_open: Collection[str] = ()) -> None:
        self._now, self._cache, self._always_open = now, kernel.cache, always_open
        self._clients = list(kernel.data_engine._clients.values())
        self._counts = {client.id: self._count(client) for client in self._clients}

    def progress(self) -> tuple[FeedProgress, ...]:
        """Each feed as it is now."""
        return tuple(self._progress(client) for client in self._clients)

    def _count(self, client: Any) -> Count:
        count = Count()
        if hasattr(client, "progress"):
            return count
        handle = client._handle_data

        def counted(data: Any) -> None:
            handle(data)
            if not isinstance(data, Instrument):
                count.events += 1
                count.since, count.last_ts_event = self._now(), getattr(data, "ts_event", None)
                if (word := _WORDS.get(type(data))) is not None:
                    count.seen[word, data.bar_type if word == "bars" else data.instrument_id] = count.since

        client._handle_data = counted
        return count

    def _progress(self, client: Any) -> FeedProgress:
        if hasattr(client, "progress"):
            progress: FeedProgress = client.progress()
            return progress
        count, now = self._counts[client.id], self._now()
        subscribed = list(_subscribed(client))
        if count.since is None and subscribed:
            count.since = now
        count.seen = {key: count.seen.get(key, now) for key in subscribed}
        return FeedProgress(
            venue=client.id.value,
            events=count.events,
            age_s=None if count.since is None else round(now - count.since, 3),
            last_ts_event=count.last_ts_event,
            is_connected=client.is_connected,
            quiet=self._quiet(client, count, now),
        )

    def _quiet(self, client: Any, count: Count, now: float) -> tuple[QuietData, ...]:
        quiet = [(since, key) for key, since in count.seen.items() if now - since > QUIET_AFTER_S]
        quiet.sort(key=lambda each: each[0])
        is_always_open = client.id.value in self._always_open
        return tuple(
            QuietData(
                what=f"{word} of {source}",
                age_s=round(now - since, 3),
                interval_s=_interval_s(source) if word == "bars" else 0.0,
                is_market_open=True if is_always_open else self._is_open(word, source),
            )
            for since, (word, source) in quiet[:MOST_QUIET]
        )

    def _is_open(self, word: str, source: Any) -> bool | None:
        """What the venue said last of the instrument's market; None when it never did, or says what tells neither."""
        instrument_id = source.instrument_id if word == "bars" else source
        status = self._cache.instrument_status(instrument_id)
        if status is None or status.action is MarketStatusAction.NONE:
            return None
        return status.action in _OPEN


def _subscribed(client: Any) -> Iterator[_Key]:
    for name, word in _SUBSCRIPTIONS.items():
        for source in getattr(client, name, list)():
            yield word, source


def _interval_s(bar_type: Any) -> float:
    """How far apart bars are; 0 for bars that time does not make."""
    return bar_type.spec.timedelta.total_seconds() if bar_type.spec.is_time_aggregated() else 0.0
