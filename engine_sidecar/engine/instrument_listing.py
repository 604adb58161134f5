"""`python -m flotilla.engine_sidecar.engine.instrument_listing`: one ListVenue as JSON on stdin; on stdout what the venue has.

That is an instrument a line in the form of NautilusTrader's `to_dict`, and a VenueList behind them; or a VenueRefused alone, and exit
code 2. It speaks with a venue and may hold a key, so it has nothing to do with any catalog: whoever asked stores what it says.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.live.config import LiveDataClientConfig
from nautilus_trader.model.enums import CurrencyType
from nautilus_trader.model.identifiers import InstrumentId, TraderId

from flotilla.engine_sidecar.catalog.described import to_dict
from flotilla.engine_sidecar.engine.client_configs import config_class, decoded, with_secret
from flotilla.engine_sidecar.engine.node_plan import data_client_factories, with_client_ids
from flotilla.engine_sidecar.engine.repairs.ib_unknown_contracts import repair_ib_unknown_contracts
from flotilla.engine_sidecar.engine.secrets import hidden_in
from flotilla.engine_sidecar.engine.starting import why_not_connected
from flotilla.engine_sidecar.engine.venues.instruments import NEAREST
from flotilla.engine_sidecar.engine.venues.reports import fault_words
from flotilla.schemas.instrument import ListVenue, VenueList, VenueRefused

MAX_BYTES: Final = 1 << 20
LIST_S: Final = 60.0
"""For connecting and the list; the largest venues give thousands of instruments in a few seconds."""
_OWNER: Final = "instrument-import"
"""Whose client ids it has where a venue has such: no engine's."""
_WITHOUT_LIST: Final = (
    "nautilus_trader.adapters.interactive_brokers.",
    "nautilus_trader.adapters.databento.",
)
"""Adapters that give what is asked for by its id, and have no list of all that there is."""
_FAULTS: Final = (msgspec.ValidationError, msgspec.DecodeError, AttributeError, TypeError, ValueError)


class ListRefusedError(Exception):
    """There is no such list; `is_away` where the venue did not give one."""

    def __init__(self, text: str, *, is_away: bool = False) -> None:
        super().__init__(text)
        self.is_away = is_away


def matching(names: Sequence[str], patterns: Sequence[str], adapter: str) -> tuple[str, ...]:
    """Those of `names` that a pattern fits, in their order; all without patterns. Raises ListRefusedError for a pattern that fits none."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            nearest = get_close_matches(pattern, names, NEAREST, cutoff=0.5)
            instead = f"the nearest are {', '.join(nearest)}" if nearest else f"it has {_some(names)}"
            raise ListRefusedError(f"match: {adapter} has no instrument {pattern}; {instead}")
    return tuple(name for name in names if not patterns or any(fnmatchcase(name, one) for one in patterns))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NEAREST} more" if len(names) > NEAREST else ""
    return f"{', '.join(names[:NEAREST]) or 'none'}{more}"


async def listed(order: ListVenue) -> tuple[list[Any], VenueList]:
    """The instruments that match, and what else there is to say. Raises ListRefusedError, with no secret in it."""
    hidden = hidden_in([order.secret])
    ids = _ids(order)
    try:
        client = _client(order)
    except _FAULTS as error:
        raise ListRefusedError(hidden(f"venue: {error}")) from None
    try:
        async with asyncio.timeout(LIST_S):
            await _load(client, ids)
    except Exception as error:  # noqa: BLE001 - whatever an adapter raises
        where = f"{order.adapter}{hidden(why_not_connected(client))}"
        why = f"{where} gives no instruments: {fault_words(error, hidden)}"
        raise ListRefusedError(why, is_away=True) from None
    found = {each.id.value: each for each in client._instrument_provider.get_all().values()}
    if ids and (missing := [name for name in order.match if name not in found]):
        text = f"match: {order.adapter} has no instrument {', '.join(missing)}; it has no list of others"
        raise ListRefusedError(text)
    if not found:
        raise ListRefusedError(f"{order.adapter} lists no instrument")
    chosen = [found[name] for name in matching(sorted(found), order.match, order.adapter)]
    currencies = client._instrument_provider.currencies().values()
    crypto = sorted(each.code for each in currencies if each.currency_type == CurrencyType.CRYPTO)
    return chosen, VenueList(listed=len(found), matched=len(chosen), currencies=tuple(crypto))


def _ids(order: ListVenue) -> tuple[InstrumentId, ...]:
    """What an adapter without a list is asked for; empty for all others. Raises ListRefusedError."""
    if not order.path.startswith(_WITHOUT_LIST):
        return ()
    if not order.match or any(mark in name for name in order.match for mark in "*?["):
        raise ListRefusedError(
            f"match: {order.adapter} has no list: name each instrument, such as AAPL.NASDAQ"
        )
    try:
        return tuple(InstrumentId.from_str(name) for name in order.match)
    except ValueError as error:
        raise ListRefusedError(f"match: {error}") from None


def _client(order: ListVenue) -> Any:
    """A data client that is not connected: its adapter makes the provider of instruments with it."""
    given = {"path": order.path, "factory": {"path": order.factory}, "config": order.config}
    clients = with_client_ids(_OWNER, {"data_clients": {order.adapter: given}})["data_clients"]
    secret, _ = with_secret(order.adapter, clients, {}, order.secret)
    kind = config_class(clients[order.adapter], LiveDataClientConfig)
    config = decoded(kind, {**clients[order.adapter]["config"], **secret})
    (factory,) = data_client_factories(clients).values()
    clock = LiveClock()
    return factory.create(
        loop=asyncio.get_running_loop(),
        name=order.adapter,
        config=config,
        msgbus=MessageBus(TraderId("LISTING-001"), clock),
        cache=Cache(),
        clock=clock,
    )


async def _load(client: Any, ids: Sequence[InstrumentId]) -> None:
    provider = client._instrument_provider
    if not ids:
        await provider.load_all_async(provider._filters)
        return
    # Interactive Brokers answers by a gateway that has to be there first.
    gateway: Any = getattr(client, "_client", None)
    if hasattr(gateway, "wait_until_ready"):
        await gateway.wait_until_ready(client._connection_timeout)
        repair_ib_unknown_contracts(client)
        _hear_refusals(gateway)
    await provider.load_ids_async(list(ids), provider._filters)


def _hear_refusals(gateway: Any) -> None:
    """Has a request end that the gateway refuses: the adapter takes note, and waits for its answer until time is up."""
    handle = gateway._handle_request_error

    async def end(req_id: int, error_code: int, error_string: str) -> None:
        request = gateway._requests.get(req_id=req_id)
        await handle(req_id, error_code, error_string)
        if request is None or request.future.done():
            return
        request.future.set_exception(ConnectionError(f"{error_code} {error_string}"))

    gateway._handle_request_error = end


async def _answer(order: ListVenue) -> tuple[list[bytes], int]:
    """The lines to say, and the exit code."""
    try:
        chosen, last = await listed(order)
    except ListRefusedError as error:
        return [msgspec.json.encode(VenueRefused(message=str(error), is_away=error.is_away))], 2
    return [*(msgspec.json.encode(to_dict(each)) for each in chosen), msgspec.json.encode(last)], 0


def main() -> int:
    """The exit code: 0, 2 when there is no list, 78 when the line could not be read."""
    said = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an adapter prints is no answer
    try:
        order = msgspec.json.decode(sys.stdin.buffer.readline(MAX_BYTES), type=ListVenue)
    except msgspec.MsgspecError as error:
        print(error, file=sys.stderr)
        return 78
    loop = asyncio.new_event_loop()
    lines, code = loop.run_until_complete(_answer(order))
    with suppress(BrokenPipeError):
        said.write(b"".join(line + b"\n" for line in lines))
        said.close()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    # Adapters leave threads and connections that nothing ends.
    os._exit(main())
