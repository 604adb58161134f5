"""What money a trial counts in: the base currency that was chosen, else the one that all of its instruments are settled in.

NautilusTrader completes a run whose account cannot be converted into: its fills change no balance, and it made 0.00 %.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Currency
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.backtest.building import TrialRefusedError, require_instruments
from flotilla.schemas.backtest import QUOTE_CURRENCY, TrialPlan


def with_currency(plan: TrialPlan, catalog: Path) -> TrialPlan:
    """The plan with the base currency of every venue named. Raises TrialRefusedError when instruments are settled in several, or are not there."""
    if all(venue.get("base_currency") for venue in plan.venues):
        return plan
    instruments = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=list(plan.instruments))
    require_instruments(plan, (instrument.id for instrument in instruments))
    found = sorted({instrument.get_cost_currency().code for instrument in instruments})
    if len(found) != 1:
        settled = ", ".join(f"{one.id} in {one.get_cost_currency().code}" for one in instruments)
        raise TrialRefusedError(
            f"base_currency must be given: instruments are not settled in one currency ({settled})"
        )
    venues = msgspec.json.encode(plan.venues).replace(QUOTE_CURRENCY.encode(), found[0].encode())
    named = [{**venue, "base_currency": found[0]} for venue in msgspec.json.decode(venues)]
    return msgspec.structs.replace(plan, venues=tuple(named))


def base_currency(plan: TrialPlan) -> Any:
    """What results are counted in: the base currency of the first venue."""
    return Currency.from_str(plan.venues[0]["base_currency"])


class Unconverted(NamedTuple):
    """A fill that changed no balance: what it was settled in, and when it was (UNIX ns)."""

    currency: str
    at_ns: int


class RateWatch:
    """Looks at every fill whether the venue's account could take it; calls `stop` at the first that it could not."""

    def __init__(self, engine: Any, currency: Any, stop: Callable[[], None]) -> None:
        self._cache = engine.cache
        self._currency = currency
        self._stop = stop
        self.missed: Unconverted | None = None

    def saw(self, fill: Any) -> None:
        """Takes an OrderFilled."""
        if self.missed is not None:
            return
        instrument = self._cache.instrument(fill.instrument_id)
        for currency in {instrument.get_cost_currency(), fill.commission.currency}:
            if not self._has_rate(fill.instrument_id.venue, currency):
                self.missed = Unconverted(currency.code, fill.ts_event)
                self._stop()

    def _has_rate(self, venue: Venue, currency: Any) -> bool:
        return currency == self._currency or bool(self._cache.get_xrate(venue, currency, self._currency))

    def refuse(self, unpriced: Iterable[str]) -> None:
        """Raises TrialRefusedError when money was lost sight of: a fill without a rate, or a position without a price."""
        if self.missed is not None:
            at = datetime.fromtimestamp(self.missed.at_ns // 1_000_000_000, UTC)
            raise TrialRefusedError(
                f"base_currency {self._currency.code}: the run's data have no rate from {self.missed.currency} "
                f"for its fill of {at:%Y-%m-%d %H:%M:%S} UTC; give {self.missed.currency}, or quotes of a pair of both"
            )
        if names := ", ".join(sorted(unpriced)):
            raise TrialRefusedError(f"equity is not known: there is no price for what was held in {names}")
