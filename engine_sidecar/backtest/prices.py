"""What a run's first instruments cost while it went on: what the price chart of a tear sheet and its benchmark are drawn from."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.backtest.marks import Marks
from flotilla.schemas.backtest import MAX_PRICE_POINTS, MAX_PRICED, DataKind, PricePoint, TrialData
from flotilla.schemas.thinning import Point, thinned

type Source = Callable[[], Any]
"""Gives a price, or None while there is none."""
_TICKS: Final = ((DataKind.TRADES, PriceType.LAST), (DataKind.QUOTES, PriceType.MID))


class PriceSampler:
    """Notes the prices of the first MAX_PRICED of `instruments` when it is told to; it has no timer, as EquitySampler has none.

    It is told at every day's end: it asks for what the run's `data` has of each instrument, and for nothing else.
    """

    def __init__(
        self, cache: Any, instruments: Sequence[str], data: Sequence[TrialData], marks: Marks
    ) -> None:
        self._seen: list[tuple[str, list[Source], list[Point]]] = [
            (name, list(_sources(cache, name, data, marks)), []) for name in instruments[:MAX_PRICED]
        ]

    def sample(self, at_ns: int) -> None:
        """Adds what they cost now, as of `at_ns`; of several at one moment the last stays."""
        for _, sources, seen in self._seen:
            price = next((found for source in sources if (found := source()) is not None), None)
            if price is None:
                continue
            if seen and seen[-1][0] == at_ns:
                seen.pop()
            seen.append((at_ns, float(price)))

    def of(self, instrument: str | None) -> dict[int, float]:
        """What an instrument cost, by moment (UNIX ns); nothing of one that is not noted."""
        return {at_ns: price for name, _, seen in self._seen if name == instrument for at_ns, price in seen}

    @property
    def points(self) -> tuple[PricePoint, ...]:
        """One instrument after the other, each thinned to MAX_PRICE_POINTS."""
        return tuple(
            PricePoint(instrument_id=name, at_ns=at_ns, price=price)
            for name, _, seen in self._seen
            for at_ns, price in thinned(seen, MAX_PRICE_POINTS)
        )


def _sources(cache: Any, name: str, data: Sequence[TrialData], marks: Marks) -> Iterator[Source]:
    """Where the price of an instrument is looked for, the first that has one."""
    instrument_id = InstrumentId.from_str(name)
    for kind, price in _TICKS:
        if TrialData(kind=kind, identifier=name) in data:
            yield partial(cache.price, instrument_id, price)
    bars = [BarType.from_str(one.identifier) for one in data if one.kind is DataKind.BARS]
    if own := [each for each in bars if each.instrument_id == instrument_id]:
        yield partial(_last_close, cache, own)
    yield partial(marks.middle, instrument_id)


def _last_close(cache: Any, bar_types: Sequence[Any]) -> Any:
    """The close of the last bar of any of the types; None before the first one."""
    bars = [bar for each in bar_types if (bar := cache.bar(each)) is not None]
    return max(bars, key=lambda bar: bar.ts_init).close if bars else None
