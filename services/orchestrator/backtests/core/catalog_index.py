"""What the data catalog holds, as a backtest asks for it: by instrument, kind and range."""

from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.backtest import DataKind, TrialData
from flotilla.schemas.catalog import CatalogEntry, folder_name, is_of_class, market_data
from flotilla.schemas.fault import FieldError

SLACK: Final = timedelta(days=7)
"""How far a date may lie outside of what there is: weekends and holidays hold no data."""

_SPARSE: Final = frozenset((DataKind.FUNDING_RATES, DataKind.INSTRUMENT_CLOSES, DataKind.INSTRUMENT_STATUS))
"""A range may well have nothing of these."""


class CatalogIndex(msgspec.Struct, frozen=True):
    """A catalog's listing. Identifiers are compared as NautilusTrader's folder names, which leave slashes out."""

    entries: tuple[CatalogEntry, ...]

    def bar_types(self, instrument: str) -> list[str]:
        """The bar types that are held of an instrument."""
        return [entry.identifier for entry in self._of(instrument) if entry.data_type == DataKind.BARS]

    def data(self, instrument: str, kinds: Set[DataKind]) -> list[TrialData]:
        """The data sets of these kinds that are held of an instrument."""
        return [_data(entry, instrument) for entry in self._of(instrument) if entry.data_type in kinds]

    def has_instrument(self, instrument: str) -> bool:
        """True when there is any data of it."""
        return bool(self._of(instrument))

    def instruments(self) -> list[str]:
        """All that there are."""
        return sorted({entry.instrument_id for entry in market_data(self.entries)})

    def has_bars(self, bar_type: str) -> bool:
        """True when these bars are held."""
        return any(
            entry.data_type == DataKind.BARS and _same(entry.identifier, bar_type) for entry in self.entries
        )

    def custom(self, name: str, instruments: Sequence[str]) -> list[str]:
        """The identifiers of the rows of a class of this name that are of these instruments, or of none."""
        folders = {"", *map(folder_name, instruments)}
        return [
            entry.identifier
            for entry in self.entries
            if is_of_class(entry.data_type, name) and folder_name(entry.instrument_id) in folders
        ]

    def range_errors(self, data: Sequence[TrialData], start_ns: int, end_ns: int) -> list[FieldError]:
        """What is wrong with a run's dates, given the data sets that it reads."""
        found = [entry for entry in self.entries for one in data if _is(entry, one)]
        if not found:
            return []
        first, last = min(entry.start for entry in found), max(entry.end for entry in found)
        there = f"the catalog holds these data from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        start, end = _moment(start_ns), _moment(end_ns)
        errors = []
        if start < first - SLACK or start > last:
            errors.append(FieldError("config.start_date", there))
        if end > last + SLACK or end < first:
            errors.append(FieldError("config.end_date", there))
        if errors:
            return errors
        return [
            FieldError(
                "config.start_date", f"there are no {entry.data_type} of {entry.identifier} in this range"
            )
            for entry in found
            if (entry.start > end or entry.end < start) and entry.data_type not in _SPARSE
        ]

    def _of(self, instrument: str) -> list[CatalogEntry]:
        return [entry for entry in market_data(self.entries) if _same(entry.instrument_id, instrument)]


def unique(data: Iterable[TrialData]) -> tuple[TrialData, ...]:
    """The data sets in order, each once."""
    return tuple(sorted(set(data)))


def _data(entry: CatalogEntry, instrument: str) -> TrialData:
    kind = DataKind(entry.data_type)
    return TrialData(kind=kind, identifier=entry.identifier if kind is DataKind.BARS else instrument)


def _is(entry: CatalogEntry, data: TrialData) -> bool:
    return entry.data_type == data.kind and _same(entry.identifier, data.identifier)


def _same(one: str, other: str) -> bool:
    return folder_name(one) == folder_name(other)


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC)
