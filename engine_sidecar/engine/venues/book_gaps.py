"""Sees where changes of an order book are missing, on Binance; takes the book anew, and says so.

Each change of a book there names the one before it (`pu` on futures; spot's ids follow each other), and whoever misses one is to begin
again with a snapshot (Binance, "How to manage a local order book correctly"). NautilusTrader's adapter does so when its connection is
new and else applies what comes, so that a strategy would trade on a book that never was. Two snapshots of a book under way at once
would undo what came between them, so there is one at a time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from flotilla.schemas.alerts import BOOK_GAP
from flotilla.schemas.telemetry import Alert

_CHANGES: Final = "@depth@"
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)


class _Change(msgspec.Struct, frozen=True, gc=False):
    """Of a book: its symbol, its first and its last update, and the last one before it, which only futures tell."""

    s: str
    U: int
    u: int
    pu: int | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    data: _Change


class _TooOldError(Exception):
    """A snapshot from before the first change that is known."""


def watch_books(clients: Iterable[Any], alert: Callable[[Alert], None]) -> None:
    """Watches the books of those of the data clients that are Binance's."""
    for client in clients:
        if _CHANGES in getattr(client, "_ws_handlers", ()) and hasattr(client, "_book_depths"):
            _Books(client, alert)


class _Books:
    """Of one client."""

    def __init__(self, client: Any, alert: Callable[[Alert], None]) -> None:
        self._client, self._alert = client, alert
        self._decode = msgspec.json.Decoder(_Message).decode
        self._last: dict[Any, int] = {}
        """The update that each book is at."""
        self._snapshots: dict[Any, int] = {}
        """Those books of which nothing came since their snapshot."""
        self._begun: dict[Any, int] = {}
        """The update before the first change that came since a snapshot was asked for."""
        self._asking: set[Any] = set()
        self._turns: dict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._apply = client._ws_handlers[_CHANGES]
        self._take = client._order_book_snapshot_then_deltas
        self._ask = client._http_market.request_order_book_snapshot
        client._ws_handlers[_CHANGES] = self._change
        client._order_book_snapshot_then_deltas = self._anew
        client._http_market.request_order_book_snapshot = self._asked

    def _change(self, raw: bytes) -> None:
        change = self._decode(raw).data
        instrument_id = self._client._get_cached_instrument_id(change.s)
        before = change.U - 1 if change.pu is None else change.pu
        snapshot = self._snapshots.get(instrument_id, 0)
        if change.u <= snapshot:
            return
        # The first change after a snapshot may have begun before it.
        last = self._last.get(instrument_id, before)
        if before != last and not (snapshot and before < snapshot):
            self._gap(instrument_id, last, before)
        self._snapshots.pop(instrument_id, None)
        self._last[instrument_id] = change.u
        self._begun.setdefault(instrument_id, before)
        self._apply(raw)

    def _gap(self, instrument_id: Any, last: int, before: int) -> None:
        if instrument_id in self._client._book_depths:
            text = (
                f"the book of {instrument_id} lacks what came between {last} and {before}: it is taken anew"
            )
            self._alert(BOOK_GAP.alert(text))
            self._client.create_task(self._anew(instrument_id), log_msg=f"book of {instrument_id}")

    async def _asked(self, *, instrument_id: Any, **asked: Any) -> Any:
        snapshot = await self._ask(instrument_id=instrument_id, **asked)
        if instrument_id in self._asking:
            if self._begun.get(instrument_id, 0) > snapshot.sequence:
                raise _TooOldError(f"{snapshot.sequence} is older than the first change that came")
            if instrument_id not in self._begun:
                self._last[instrument_id] = self._snapshots[instrument_id] = snapshot.sequence
        return snapshot

    async def _anew(self, instrument_id: Any) -> None:
        """A snapshot, and what came since. Until there is one nothing of the book is passed on, which feeds tell as silence."""
        async with self._turns[instrument_id]:
            for pause_s in _PAUSES_S:
                try:
                    await self._once(instrument_id)
                except Exception as error:  # noqa: BLE001 - whatever the adapter raises: without a snapshot there is no book
                    self._client._log.error(f"no snapshot of the book of {instrument_id}: {error}")
                    await asyncio.sleep(pause_s)
                else:
                    return
            await self._once(instrument_id)

    async def _once(self, instrument_id: Any) -> None:
        for each in (self._last, self._snapshots, self._begun):
            each.pop(instrument_id, None)
        self._asking.add(instrument_id)
        try:
            await self._take(instrument_id)
        finally:
            self._asking.discard(instrument_id)
