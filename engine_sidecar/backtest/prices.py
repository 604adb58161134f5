"""What a run's first instruments cost while it went on: what the price chart of a tear sheet and its benchmark are drawn from."""

from collections.abc import Sequence
from typing import Any

from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.backtest.leftovers import last_close
from flotilla.schemas.backtest import MAX_PRICE_POINTS, MAX_PRICED, PricePoint
from flotilla.schemas.thinning import Point, thinned


class PriceSampler:
    """Notes the prices of the first MAX_PRICED of `instruments` when it is told to; it has no timer, as EquitySampler has none."""

    def __init__(self, cache: Any, instruments: Sequence[str]) -> None:
        self._cache = cache
        self._seen: dict[Any, list[Point]] = {
            InstrumentId.from_str(name): [] for name in instruments[:MAX_PRICED]
        }

    def sample(self, at_ns: int) -> None:
        """Adds what they cost now, as of `at_ns`; of several at one moment the last stays."""
        for instrument_id, seen in self._seen.items():
            price = self._price(instrument_id)
            if price is None:
                continue
            if seen and seen[-1][0] == at_ns:
                seen.pop()
            seen.append((at_ns, float(price)))

    @property
    def points(self) -> tuple[PricePoint, ...]:
        """One instrument after the other, each thinned to MAX_PRICE_POINTS."""
        return tuple(
            PricePoint(instrument_id=instrument_id.value, at_ns=at_ns, price=price)
            for instrument_id, seen in self._seen.items()
            for at_ns, price in thinned(seen, MAX_PRICE_POINTS)
        )

    def _price(self, instrument_id: Any) -> Any:
        for kind in (PriceType.LAST, PriceType.MID):
            if (price := self._cache.price(instrument_id, kind)) is not None:
                return price
        return last_close(instrument_id, self._cache)
