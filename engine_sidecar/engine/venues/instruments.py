"""The instruments of venues: each client is asked for what strategies name, and what a venue does not have ends the start.

NautilusTrader loads no instrument unless a client's `instrument_provider` says which, and runs on without: the strategy finds none
and stops, while the engine looks well.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.engine.node_plan import PlanRefusedError
from flotilla.engine_sidecar.engine.venues.ib_names import names_like
from flotilla.engine_sidecar.engine.venues.reach import heard_of
from flotilla.engine_sidecar.engine.venues.reports import fault_words
from flotilla.engine_sidecar.replay.client import ReplayDataClient
from flotilla.engine_sidecar.replay.instruments import instruments_of
from flotilla.engine_sidecar.replay.named_instruments import named
from flotilla.schemas.states import FailureReason

NEAREST: Final = 3
LIST_S: Final = 20.0
"""How long a venue may take to list what it has instead."""


class Asked(msgspec.Struct, frozen=True):
    """What a client of a venue was asked to load because strategies, actors or algorithms name it."""

    client: Any
    instruments: tuple[InstrumentId, ...]

    @property
    def provider(self) -> InstrumentProvider:
        """What the client loads instruments with; clients of one venue may share it."""
        return self.client._instrument_provider

    @property
    def fault(self) -> Exception | None:
        """What its provider logged last instead of raising it."""
        return self.provider._log.fault if isinstance(self.provider._log, _HeardLog) else None

    def missing(self) -> tuple[InstrumentId, ...]:
        """Those that the venue did not give."""
        return tuple(each for each in self.instruments if self.provider.find(each) is None)


class _HeardLog:
    """The log of an instrument provider, which keeps what was logged last of what went wrong."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.fault: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def exception(self, message: str, error: Exception) -> None:
        """Logs it as the provider asks."""
        self.fault = error
        self._log.exception(message, error)


def ask_for_named(kernel: Any) -> tuple[Asked, ...]:
    """Adds what the node's components name to what its venues' clients load on connecting. Call it before the start.

    A client of one venue is asked for that venue's instruments, one of many venues for those that no other client has. What the
    client's own `instrument_provider` says stays: `load_ids` are added to, `load_all` has them already. Raises PlanRefusedError for
    what no data client can have.
    """
    wanted = _wanted(kernel.trader)
    clients = [each for each in _clients(kernel) if _loads(each)]
    venues = {client.venue for client in clients if client.venue is not None}
    # A replay, and a client of many venues, may have any.
    if all(_loads(each) for each in kernel.data_engine._clients.values()) and None not in {
        each.venue for each in clients
    }:
        _refuse_unserved(wanted, venues)
    asked: list[Asked] = []
    for client in clients:
        theirs = tuple(sorted(each for each in wanted if _is_of(each, client.venue, venues)))
        if theirs:
            _add(client._instrument_provider, theirs)
            _add_datasets(client, theirs)
            client._instrument_provider._log = _HeardLog(client._instrument_provider._log)
            asked.append(Asked(client, theirs))
    return tuple(asked)


def offer_catalog(kernel: Any, asked: Iterable[Asked], catalog: Path) -> Collection[InstrumentId]:
    """Has a simulated engine's clients take from the catalog what their venues do not give of what is named. Call it before the start.

    Where orders go to a venue its own word counts, and nothing is offered. A replay has all of the catalog by itself. Returns what was
    taken so far, also while clients connect.
    """
    taken: set[InstrumentId] = set()
    has_replay = any(isinstance(each, ReplayDataClient) for each in kernel.data_engine._clients.values())
    if has_replay or any(map(_loads, kernel.exec_engine._clients.values())):
        return taken
    wanted = {each.value for each in _wanted(kernel.trader)}
    left = {each.id: each for each in instruments_of(catalog, wanted)}
    for one in asked:
        if offered := {name: left.pop(name) for name in one.instruments if name in left}:
            _fall_back(one, offered, taken, kernel.logger)
    for instrument in left.values():
        kernel.cache.add_instrument(instrument)
    return taken


def _fall_back(asked: Asked, offered: Mapping[InstrumentId, Any], taken: set[InstrumentId], log: Any) -> None:
    """Adds what is offered to the provider where loading it, or all, gave nothing; an unknown id raises KeyError at some adapters."""
    provider, load, load_all = asked.provider, asked.provider.load_ids_async, asked.provider.load_all_async

    def take(instrument_ids: Iterable[InstrumentId]) -> None:
        for name in instrument_ids:
            if provider.find(name) is None and name in offered:
                log.warning(f"{asked.client.id} does not give {name}: what the catalog says of it is taken")
                provider.add(offered[name])
                taken.add(name)

    async def load_or_take(instrument_ids: Sequence[InstrumentId], filters: Any = None) -> None:
        try:
            await load(instrument_ids, filters)
        except KeyError:
            for name in instrument_ids:
                await _load_one(load, name, filters, offered)
        take(instrument_ids)

    async def load_all_and_take(filters: Any = None) -> None:
        await load_all(filters)
        take(offered)

    provider.load_ids_async = load_or_take
    provider.load_all_async = load_all_and_take


async def _load_one(load: Any, name: InstrumentId, filters: Any, offered: Mapping[InstrumentId, Any]) -> None:
    try:
        await load([name], filters)
    except KeyError:
        if name not in offered:
            raise


class Missing(msgspec.Struct, frozen=True):
    """What venues did not give of what they were asked for: `config` where they do not have it, `venue` where that is not known."""

    text: str
    reason: FailureReason


async def not_at_venue(asked: Iterable[Asked], hidden: Callable[[str], str]) -> Missing | None:
    """What is missing, each with the nearest names that its venue has, or with why it did not come; None when all is there.

    `hidden` takes secrets out of a text.
    """
    found: dict[InstrumentId, Missing | None] = {}
    for one in asked:
        for instrument in one.missing():
            if instrument not in found:
                found[instrument] = await _missing(one, instrument, hidden)
    missing = [each for each in found.values() if each is not None]
    if not missing:
        return None
    is_certain = all(each.reason is FailureReason.CONFIG for each in missing)
    reason = FailureReason.CONFIG if is_certain else FailureReason.VENUE
    return Missing("; ".join(each.text for each in missing), reason)


def _wanted(trader: Any) -> dict[InstrumentId, str]:
    """Which component names each instrument; a synthetic one comes from no venue."""
    components = (*trader.strategies(), *trader.actors(), *trader.exec_algorithms())
    return {
        instrument: str(one.id)
        for one in components
        for instrument in named(one.config)
        if not instrument.is_synthetic()
    }


def _clients(kernel: Any) -> Iterator[Any]:
    yield from kernel.data_engine._clients.values()
    yield from kernel.exec_engine._clients.values()


def _loads(client: Any) -> bool:
    """False for a replay, which has instruments from the catalog, and for a simulated account, which has its data client's."""
    provider = getattr(client, "_instrument_provider", None)
    return provider is not None and type(provider) is not InstrumentProvider


def _refuse_unserved(wanted: Mapping[InstrumentId, str], venues: Collection[Any]) -> None:
    for instrument, component in sorted(wanted.items()):
        if instrument.venue not in venues:
            there = ", ".join(sorted(map(str, venues)))
            raise PlanRefusedError(
                f"plan.strategies: {component} names {instrument}, and the venues of this engine are {there}"
            )


def _is_of(instrument: InstrumentId, venue: Any, venues: Collection[Any]) -> bool:
    return instrument.venue == venue if venue is not None else instrument.venue not in venues


def _add(provider: InstrumentProvider, instruments: Iterable[InstrumentId]) -> None:
    given = provider._load_ids_on_start or ()
    kept = {each if isinstance(each, InstrumentId) else InstrumentId.from_str(each) for each in given}
    provider._load_ids_on_start = kept | set(instruments)


def _add_datasets(client: Any, instruments: Iterable[InstrumentId]) -> None:
    """Databento's client loads by dataset what its own config names, and nothing that its provider is asked for."""
    loader: Any = getattr(client, "_loader", None)
    if not hasattr(loader, "get_dataset_for_venue"):
        return
    for instrument in instruments:
        try:
            dataset = loader.get_dataset_for_venue(instrument.venue)
        except ValueError as error:
            raise PlanRefusedError(
                f"plan.strategies: {instrument} is in no dataset of {client.id}: {error}"
            ) from error
        client._instrument_ids[dataset].add(instrument)


async def _missing(asked: Asked, instrument: InstrumentId, hidden: Callable[[str], str]) -> Missing | None:
    """None where the venue has it after all, and loading failed of something else."""
    client = asked.client
    if asked.fault is not None:
        words = fault_words(asked.fault, hidden)
        return Missing(f"{client.id} did not load {instrument}: {words}", FailureReason.VENUE)
    try:
        async with asyncio.timeout(LIST_S):
            await asked.provider.load_all_async(asked.provider._filters)
    except Exception as error:  # noqa: BLE001 - whatever an adapter raises: it is the names that are not known
        unknown = f"what it has could not be listed: {fault_words(error, hidden)}"
        known = "; ".join(filter(None, (heard_of(client), unknown)))
        return Missing(f"{client.id} did not give {instrument} ({known})", FailureReason.VENUE)
    if asked.provider.find(instrument) is not None:
        return None
    text = f"{client.id} has no instrument {instrument}"
    names = {*map(str, asked.provider.get_all()), *await names_like(client, instrument.symbol.value)}
    nearest = get_close_matches(str(instrument), sorted(names), NEAREST, cutoff=0.5)
    return Missing(f"{text}; the nearest are {', '.join(nearest)}" if nearest else text, FailureReason.CONFIG)
