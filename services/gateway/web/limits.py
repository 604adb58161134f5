"""How often one address may come without a good token, and one token may ask. Decides; the time is an argument."""

from typing import Final

import msgspec

WINDOW_S: Final = 60.0
BURST_S: Final = 5.0
"""A token that was quiet may ask at once for as much as it may ask in this time."""
MOST: Final = 10_000
"""Addresses, and tokens, that are kept in mind; with more the one that came first is forgotten."""


class _Window(msgspec.Struct):
    began: float
    count: int = 0


class _Bucket(msgspec.Struct):
    left: float
    at: float


class Limits:
    """Counts, by address and by the name of a token; nothing here looks at what is asked."""

    def __init__(self, *, failures: int, per_s: float) -> None:
        self._failures = failures
        self._per_s = per_s
        self._windows: dict[str, _Window] = {}
        self._buckets: dict[str, _Bucket] = {}

    def failed(self, address: str, now: float) -> float | None:
        """Notes a request without a good token; seconds until the next one is looked at when it was one too many."""
        window = self._windows.get(address)
        if window is None or now - window.began >= WINDOW_S:
            self._windows.pop(address, None)
            _make_room(self._windows)
            window = self._windows[address] = _Window(now)
        window.count += 1
        return window.began + WINDOW_S - now if window.count > self._failures else None

    def spend(self, name: str, now: float) -> float | None:
        """Notes a request of a token; seconds until it may ask again when it was one too many."""
        full = self._per_s * BURST_S
        bucket = self._buckets.get(name)
        if bucket is None:
            _make_room(self._buckets)
            bucket = self._buckets[name] = _Bucket(full, now)
        bucket.left = min(full, bucket.left + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.left < 1.0:
            return (1.0 - bucket.left) / self._per_s
        bucket.left -= 1.0
        return None


def _make_room(kept: dict[str, _Window] | dict[str, _Bucket]) -> None:
    if len(kept) >= MOST:
        del kept[next(iter(kept))]
