"""Bars: of what the gateway has seen since it was started, and of the price path before."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from exchanges.core.prices import to_step
from exchanges.interactive_brokers.core.asked import good_till_ms
from exchanges.interactive_brokers.core.errors import Refusal
from exchanges.interactive_brokers.core.state import ZERO, Contract
from exchanges.interactive_brokers.core.venue import Touch, path_of

FIVE_MS = 5_000
KEPT = 17_280  # a day of five seconds
MOST = 2_000  # bars of one answer
SAMPLES = 2
SHOWN = ("TRADES", "MIDPOINT", "BID", "ASK")
UNITS_MS = {"S": 1_000, "D": 86_400_000, "W": 604_800_000, "M": 2_592_000_000, "Y": 31_536_000_000}
SIZES_MS = {
    **{f"{n} secs": n * 1_000 for n in (5, 10, 15, 30)},
    "1 min": 60_000,
    **{f"{n} mins": n * 60_000 for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3_600_000,
    **{f"{n} hours": n * 3_600_000 for n in (2, 3, 4, 8)},
    "1 day": 86_400_000,
    "1 week": 604_800_000,
}


class Bar(msgspec.Struct):
    """A bar. `start_ms` is when it opens; volume is 0 but of trades."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    count: int = 0

    def add(self, other: "Bar") -> None:
        """Takes the next bar into this one."""
        self.high, self.low, self.close = max(self.high, other.high), min(self.low, other.low), other.close
        self.volume += other.volume
        self.count += other.count


class Bars:
    """The bars of one contract, by what they show."""

    def __init__(self, contract: Contract, seed: int, now_ms: int) -> None:
        self._contract = contract
        self._path = path_of(contract, seed)
        self._begun_ms = now_ms // FIVE_MS * FIVE_MS
        self._seen: dict[str, dict[int, Bar]] = {show: {} for show in SHOWN}

    def see(self, touch: Touch, last: Decimal, traded: Iterable[Decimal], now_ms: int) -> None:
        """Takes the market of a moment into the bars: `traded` are the quantities since the call before, at `last` in the end."""
        start = now_ms // FIVE_MS * FIVE_MS
        amounts = list(traded)
        prices = {"BID": touch.bid, "ASK": touch.ask, "MIDPOINT": (touch.bid + touch.ask) / 2, "TRADES": last}
        for show, price in prices.items():
            bar = Bar(start, price, price, price, price)
            if show == "TRADES":
                bar.volume, bar.count = sum(amounts, ZERO), len(amounts)
            kept = self._seen[show]
            if start in kept:
                kept[start].add(bar)
            else:
                kept[start] = bar
                if len(kept) > KEPT:
                    kept.pop(next(iter(kept)))

    def history(self, show: str, size_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
        """The bars that open from a moment on and before another, the newest 2,000 of them; the last may be unfinished."""
        first = max(-(-start_ms // size_ms), -(-end_ms // size_ms) - MOST)
        starts = range(first * size_ms, end_ms, size_ms)
        return [bar for start in starts if (bar := self._bar(show, start, min(start + size_ms, end_ms)))]

    def _bar(self, show: str, start_ms: int, end_ms: int) -> Bar | None:
        bar: Bar | None = None
        if start_ms < self._begun_ms:
            bar = self._sampled(show, start_ms, min(end_ms, self._begun_ms))
        seen = self._seen[show]
        for at in range(max(start_ms, self._begun_ms), end_ms, FIVE_MS):
            found = seen.get(at)
            if found is None:
                continue
            if bar is None:
                bar = msgspec.structs.replace(found, start_ms=start_ms)
            else:
                bar.add(found)
        return bar

    def _sampled(self, show: str, start_ms: int, end_ms: int) -> Bar:
        tick, length = self._contract.tick, end_ms - start_ms
        prices = [self._path.price(start_ms + length * n // SAMPLES, tick) for n in range(SAMPLES + 1)]
        if show in ("BID", "MIDPOINT"):  # the path is the ask, a tick above the bid
            prices = [price - (tick if show == "BID" else tick / 2) for price in prices]
        bar = Bar(start_ms, prices[0], max(prices), min(prices), prices[-1])
        if show == "TRADES":
            volume = to_step(self._contract.size, self._contract.step)
            bar.volume, bar.count = volume, SAMPLES
        return bar


def span_ms(duration: str) -> int:
    """The length of a duration like `1 D` in milliseconds.

    Raises:
        Refusal: 321 if it is none.
    """
    found = re.fullmatch(r"(\d{1,6}) ([SDWMY])", duration)
    if found is None:
        raise Refusal(321, f"Invalid duration:{duration}")
    return int(found[1]) * UNITS_MS[found[2]]


def end_of(text: str, now_ms: int) -> int:
    """The end of a request for bars: now if it is empty or to come.

    Raises:
        Refusal: 321 if it is no date.
    """
    if not text:
        return now_ms
    at_ms = good_till_ms(text)
    if at_ms is None:
        raise Refusal(321, f"Invalid end date:{text}")
    return min(at_ms, now_ms)


def dated(bar: Bar, size_ms: int, epoch: bool) -> str:
    """The date of a bar as a client wants it: of days always as a date."""
    moment = datetime.fromtimestamp(bar.start_ms / 1000, UTC)
    if size_ms >= UNITS_MS["D"]:
        return f"{moment:%Y%m%d}"
    return str(bar.start_ms // 1000) if epoch else f"{moment:%Y%m%d %H:%M:%S} UTC"
