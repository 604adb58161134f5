"""Counts what each venue's data client delivers, and when it last did: NautilusTrader itself keeps no such figure."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from nautilus_trader.model.instruments import Instrument

from schemas.telemetry import FeedProgress

_SUBSCRIPTIONS: Final = (
    "subscribed_quote_ticks",
    "subscribed_trade_ticks",
    "subscribed_bars",
    "subscribed_order_book_deltas",
    "subscribed_order_book_depth",
    "subscribed_mark_prices",
    "subscribed_index_prices",
)


class Count(msgspec.Struct):
    """What came from one client so far; `since` is the loop's time of the last of it, or of the first subscription."""

    events: int = 0
    since: float | None = None
    last_ts_event: int | None = None


class Feeds:
    """Stands before each data client's way into the engine. A client that gives its own account, as a replay does, is asked."""

    def __init__(self, kernel: Any, now: Callable[[], float]) -> None:
        self._now = now
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

        client._handle_data = counted
        return count

    def _progress(self, client: Any) -> FeedProgress:
        if hasattr(client, "progress"):
            progress: FeedProgress = client.progress()
            return progress
        count, now = self._counts[client.id], self._now()
        if count.since is None and any(getattr(client, name, list)() for name in _SUBSCRIPTIONS):
            count.since = now
        return FeedProgress(
            venue=client.id.value,
            events=count.events,
            age_s=None if count.since is None else round(now - count.since, 3),
            last_ts_event=count.last_ts_event,
            is_connected=client.is_connected,
        )
