"""What money the simulated accounts of an engine count in: the base currency that was chosen, else the one that what is traded is settled in.

NautilusTrader runs on with an account that it cannot convert into: its fills change no balance, and it made 0.00 %.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient

from flotilla.engine_sidecar.replay.instruments import instruments_of
from flotilla.engine_sidecar.replay.named_instruments import named

_CONFIG: Final = "engine_sidecar.replay.sandbox:SandboxClientConfig"


def name_currencies(exec_clients: Mapping[str, Any], strategies: object, catalog: Path) -> None:
    """Gives each balance of the simulated accounts among these clients that is an amount alone the base currency of its account.

    An account without one takes the currency that all instruments are settled in that the strategies' configs name, or all of its
    venue that the catalog has where they name none. Raises ValueError where that is not one.
    """
    texts = {*_texts(strategies)}
    for name, config in _counted(exec_clients):
        try:
            base = config.get("base_currency") or _settled_in(catalog, str(config.get("venue")), texts)
        except ValueError as error:
            raise ValueError(f"`exec_clients.{name}`: {error}") from None
        config["base_currency"] = base
        config["starting_balances"] = [
            f"{each} {base}" if _is_amount(each) else each for each in config["starting_balances"]
        ]


def with_base_currency(node: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """The node with this base currency in each account that has none and needs one."""
    named_in = deepcopy(dict(node))
    for _, config in _counted(named_in.get("exec_clients") or {}):
        config["base_currency"] = config.get("base_currency") or currency
    return named_in


def _counted(exec_clients: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The configs of simulated accounts that have a balance without a currency, by the client's name."""
    for name, client in exec_clients.items():
        config = client.get("config") or {}
        if client.get("path") == _CONFIG and any(map(_is_amount, config.get("starting_balances") or ())):
            yield name, config


def _is_amount(balance: object) -> bool:
    return isinstance(balance, str) and " " not in balance


def _settled_in(catalog: Path, venue: str, texts: set[str]) -> str:
    listed = [each for each in instruments_of(catalog) if each.id.venue.value == venue]
    traded = [each for each in listed if _is_named(each.id.value, texts)] or listed
    found = sorted({each.get_cost_currency().code for each in traded})
    if len(found) == 1:
        return str(found[0])
    settled = ", ".join(f"{each.id} in {each.get_cost_currency().code}" for each in traded[:20])
    why = (
        f"instruments are not settled in one currency ({settled})"
        if traded
        else "the catalog has none of its instruments"
    )
    raise ValueError(f"base_currency must be given: {why}")


def _is_named(instrument: str, texts: set[str]) -> bool:
    """True for the instrument itself, and for a bar type of it."""
    return any(text == instrument or text.startswith(f"{instrument}-") for text in texts)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


class Conversions:
    """Whether the simulated accounts of a node can take what its strategies trade: before they begin, and at each fill."""

    def __init__(self, kernel: Any, refuse: Callable[[str], None]) -> None:
        """`refuse` is called with what is wrong at the first fill that changes no balance."""
        self._kernel, self._cache, self._refuse = kernel, kernel.cache, refuse
        self._clients = {
            client.venue: client
            for client in kernel.exec_engine._clients.values()
            if isinstance(client, SandboxExecutionClient) and client.base_currency is not None
        }

    def subscribe(self) -> None:
        """Begins to look at fills."""
        if self._clients:
            self._kernel.msgbus.subscribe("events.fills.*", self._saw)

    def why_not(self) -> str | None:
        """What a strategy names and no account can be converted from, as far as instruments tell; None where all can."""
        for strategy in self._kernel.trader.strategies():
            for instrument_id in named(strategy.config):
                client, instrument = (
                    self._clients.get(instrument_id.venue),
                    self._cache.instrument(instrument_id),
                )
                if client is None or instrument is None:
                    continue
                base, cost = client.base_currency.code, instrument.get_cost_currency().code
                if cost not in _reached(base, self._cache.instruments(venue=client.venue)):
                    return f"{_no_rate(base, cost)}, which {instrument_id} is settled in; give {cost}"
        return None

    def _saw(self, fill: Any) -> None:
        venue = fill.instrument_id.venue
        if (client := self._clients.get(venue)) is None:
            return
        base, instrument = client.base_currency, self._cache.instrument(fill.instrument_id)
        for currency in (instrument.get_cost_currency(), fill.commission.currency):
            if currency != base and not self._cache.get_xrate(venue, currency, base):
                why = _no_rate(base.code, currency.code)
                self._refuse(
                    f"{why} for a fill of {fill.instrument_id}; give {currency.code}, or have quotes of a pair of both"
                )
                return


def _no_rate(base: str, currency: str) -> str:
    return f"base_currency {base}: there is no rate from {currency}"


def _reached(base: str, instruments: Iterable[Any]) -> set[str]:
    """The currencies that pairs lead to from this one, one after the other."""
    pairs = [
        {instrument.get_base_currency().code, instrument.quote_currency.code}
        for instrument in instruments
        if instrument.get_base_currency() is not None
    ]
    found = {base}
    while near := [pair for pair in pairs if pair & found and not pair <= found]:
        found.update(*near)
    return found
