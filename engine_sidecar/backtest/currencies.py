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
    """The plan with its `currency`, and the base currency of every venue whose balances were of QUOTE_CURRENCY.

    Raises TrialRefusedError when instruments are settled in several, or are not there, and for money of a currency that nobody knows.
    """
    _require_known(plan, catalog)
    kept_in = {venue.get("base_currency") for venue in plan.venues}
    unnamed = [venue for venue in plan.venues if QUOTE_CURRENCY in msgspec.json.encode(venue).decode()]
    if not unnamed and (plan.currency or (len(kept_in) == 1 and None not in kept_in)):
        return msgspec.structs.replace(plan, currency=plan.currency or kept_in.pop())
    settled = _settled(plan, catalog)
    return msgspec.structs.replace(
        plan,
        currency=plan.currency or settled,
        venues=tuple(_named(venue, settled) if venue in unnamed else venue for venue in plan.venues),
    )


def _named(venue: dict[str, Any], currency: str) -> dict[str, Any]:
    """The venue with the currency in place of QUOTE_CURRENCY; its account is kept in it, if it begins with such money."""
    is_kept_in_it = any(QUOTE_CURRENCY in money for money in venue.get("starting_balances", ()))
    text = msgspec.json.encode(venue).replace(QUOTE_CURRENCY.encode(), currency.encode())
    named: dict[str, Any] = msgspec.json.decode(text)
    return named | ({"base_currency": currency} if is_kept_in_it else {})


def _settled(plan: TrialPlan, catalog: Path) -> str:
    """The currency that all instruments are settled in."""
    instruments = _instruments(plan, catalog)
    require_instruments(plan, (instrument.id for instrument in instruments))
    found = sorted({instrument.get_cost_currency().code for instrument in instruments})
    if len(found) != 1:
        settled = ", ".join(f"{one.id} in {one.get_cost_currency().code}" for one in instruments)
        raise TrialRefusedError(
            f"base_currency must be given: instruments are not settled in one currency ({settled})"
        )
    return str(found[0])


def _instruments(plan: TrialPlan, catalog: Path) -> list[Any]:
    found: list[Any] = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=list(plan.instruments))
    return found


def _require_known(plan: TrialPlan, catalog: Path) -> None:
    """NautilusTrader makes a currency of any code."""
    codes = {money.partition(" ")[2] for venue in plan.venues for money in venue.get("starting_balances", ())}
    unknown = {code for code in codes - {QUOTE_CURRENCY} if Currency.from_str(code, strict=True) is None}
    if not unknown:
        return
    for instrument in _instruments(plan, catalog):
        traded = (instrument.get_base_currency(), instrument.quote_currency, instrument.get_cost_currency())
        unknown -= {each.code for each in traded if each is not None}
    if unknown:
        raise TrialRefusedError(
            f"starting_balances: {', '.join(sorted(unknown))} is no currency that NautilusTrader or an instrument of the run has"
        )


def result_currency(plan: TrialPlan) -> Any:
    """What results are counted in, of a plan that names it."""
    return Currency.from_str(str(plan.currency))


class Unconverted(NamedTuple):
    """A fill that changed no balance: what it was settled in, and when it was (UNIX ns)."""

    currency: str
    at_ns: int


class RateWatch:
    """Looks at every fill whether the venue's account could take it; calls `stop` at the first that it could not.

    An account without a base currency takes every one.
    """

    def __init__(self, engine: Any, plan: TrialPlan, stop: Callable[[], None]) -> None:
        self._cache = engine.cache
        self._kept_in = {
            Venue(str(venue["name"])): Currency.from_str(code)
            for venue in plan.venues
            if (code := venue.get("base_currency"))
        }
        self._stop = stop
        self._currency: Any = None
        self.missed: Unconverted | None = None

    def saw(self, fill: Any) -> None:
        """Takes an OrderFilled."""
        base = self._kept_in.get(fill.instrument_id.venue)
        if self.missed is not None or base is None:
            return
        instrument = self._cache.instrument(fill.instrument_id)
        for currency in {instrument.get_cost_currency(), fill.commission.currency}:
            if not self._has_rate(fill.instrument_id.venue, currency, base):
                self.missed, self._currency = Unconverted(currency.code, fill.ts_event), base
                self._stop()

    def _has_rate(self, venue: Venue, currency: Any, base: Any) -> bool:
        return currency == base or bool(self._cache.get_xrate(venue, currency, base))

    def refuse(self, unpriced: Iterable[str]) -> None:
        """Raises TrialRefusedError when money was lost sight of: a fill without a rate, or a position or balance without a price."""
        if self.missed is not None:
            at = datetime.fromtimestamp(self.missed.at_ns // 1_000_000_000, UTC)
            raise TrialRefusedError(
                f"base_currency {self._currency.code}: the run's data have no rate from {self.missed.currency} "
                f"for its fill of {at:%Y-%m-%d %H:%M:%S} UTC; give {self.missed.currency}, or quotes of a pair of both"
            )
        if names := ", ".join(sorted(unpriced)):
            raise TrialRefusedError(f"equity is not known: there is no price for what was held in {names}")
