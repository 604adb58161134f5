"""Finds the instruments that a strategy's config names, and those of them that the engine does not know."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId


def not_loaded(strategies: Iterable[Any], cache: Any) -> tuple[str, ...]:
    """One sentence for each instrument that a strategy names and the cache does not have."""
    return tuple(
        f"strategy {strategy.id} names {instrument_id}, which is not loaded"
        for strategy in strategies
        for instrument_id in named(strategy.config)
        if not _is_loaded(instrument_id, cache)
    )


def named(config: Any) -> tuple[InstrumentId, ...]:
    """The instruments in the fields of a config, in their order; a name that is plain text cannot be told from other text."""
    return tuple(dict.fromkeys(_instruments(config)))


def _is_loaded(instrument_id: InstrumentId, cache: Any) -> bool:
    if instrument_id.is_synthetic():
        return cache.synthetic(instrument_id) is not None
    return cache.instrument(instrument_id) is not None


def _instruments(value: Any) -> Iterator[InstrumentId]:
    if isinstance(value, InstrumentId):
        yield value
    elif isinstance(value, BarType):
        yield value.instrument_id
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _instruments(getattr(value, field))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _instruments(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _instruments(one)
