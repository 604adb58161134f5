"""What only a venue knows and keeps an engine from trading as it is configured: looked at before strategies start.

NautilusTrader goes on with a key that may not trade, with an instrument that is halted, and with a size that it rounds to nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.engine.venues import okx_fitness
from flotilla.schemas.states import FailureReason

_DENIED: Final = "flotilla_key_may_not_trade"
_ACCOUNTS: Final = (
    ("_futures_http_account", "query_futures_account_info"),
    ("_spot_http_account", "query_spot_account_info"),
)
_HALTED: Final = frozenset({
    "TRADING_HALT", "HALT", "BREAK", "CLOSE", "PRE_SETTLE", "SETTLING", "DELIVERING", "DELIVERED", "END_OF_DAY", "POST_TRADING",
})  # fmt: skip
"""The statuses of Binance's instruments in which no order is taken."""
_HALTED_AT_OKX: Final = frozenset({"suspend", "preopen", "rebase", "settling", "expired", "test"})
"""OKX's states in which none is taken: its adapter does not keep them."""


def hear_permission(client: Any) -> None:
    """Keeps what Binance's account says of its key when the client connects."""
    for part, name in _ACCOUNTS:
        account = getattr(client, part, None)
        if account is not None and hasattr(account, name):
            _hear(client, account, name)


def _hear(client: Any, account: Any, name: str) -> None:
    ask = getattr(account, name)

    async def heard(*args: Any, **kwargs: Any) -> Any:
        found = await ask(*args, **kwargs)
        setattr(client, _DENIED, not found.canTrade)
        return found

    setattr(account, name, heard)


async def ask_okx(kernel: Any, instruments: Collection[InstrumentId]) -> Mapping[InstrumentId, str]:
    """Asks OKX what its adapter does not: whether a key may trade, which is kept, and the state of each instrument.

    Where it does not say, nothing is known against it.
    """
    found: dict[InstrumentId, str] = {}
    for client in filter(okx_fitness.is_okx, kernel.exec_engine._clients.values()):
        try:
            setattr(client, _DENIED, not await okx_fitness.may_trade(client))
        except okx_fitness.NotSaid as error:
            kernel.logger.warning(f"{client.id} does not say whether its key may trade: {error}")
    for client in filter(okx_fitness.is_okx, kernel.data_engine._clients.values()):
        try:
            its_own = [each for each in instruments if each.venue == client.venue]
            found |= await okx_fitness.states(client, its_own)
        except okx_fitness.NotSaid as error:
            kernel.logger.warning(f"{client.id} does not say which instruments trade: {error}")
    return found


def unfit(
    kernel: Any,
    instruments: Collection[InstrumentId],
    of_catalog: Collection[InstrumentId] = (),
    states: Mapping[InstrumentId, str] | None = None,
) -> tuple[str, FailureReason]:
    """Why the engine cannot trade as configured, by field, and what to call that; empty where nothing is known against it.

    `instruments` are those of its venues that its strategies name. Of those `of_catalog` no venue says whether they trade now; `states`
    are what OKX says of them.
    """
    found = [(name, kernel.cache.instrument(name)) for name in instruments]
    known = {name: instrument for name, instrument in found if instrument is not None}
    wrong = [*_keys(kernel.exec_engine._clients.values()), *_sizes(kernel.trader.strategies(), known)]
    # A halt passes.
    reason = FailureReason.CONFIG if wrong else FailureReason.VENUE
    said = {name: instrument for name, instrument in known.items() if name not in of_catalog}
    return "; ".join((*wrong, *_halts(said, states or {}))), reason


def _keys(clients: Iterable[Any]) -> Iterator[str]:
    for client in clients:
        if getattr(client, _DENIED, False):
            yield f"the secret of venue {client.id}: its key has no permission to trade"


def _sizes(strategies: Iterable[Any], known: Mapping[InstrumentId, Any]) -> Iterator[str]:
    for strategy in strategies:
        instrument = known.get(getattr(strategy.config, "instrument_id", None))
        size = getattr(strategy.config, "trade_size", None)
        if instrument is not None and isinstance(size, Decimal) and (why := wrong_size(size, instrument)):
            yield f"trade_size of {strategy.id} is {size}: {why}"


def _halts(known: Mapping[InstrumentId, Any], states: Mapping[InstrumentId, str]) -> Iterator[str]:
    for name, instrument in known.items():
        status = states.get(name) or (instrument.info or {}).get("status")
        if status in _HALTED | _HALTED_AT_OKX:
            yield f"instrument {name} does not trade: the venue says {status}"


def wrong_size(size: Decimal, instrument: Any) -> str:
    """Why an order of this size is none that the instrument takes; empty where it is one."""
    if size.normalize() != round(size, instrument.size_precision).normalize():
        return f"{instrument.id} takes {instrument.size_precision} decimals"
    if instrument.min_quantity is not None and size < instrument.min_quantity.as_decimal():
        return f"the least that {instrument.id} takes is {instrument.min_quantity}"
    if instrument.max_quantity is not None and size > instrument.max_quantity.as_decimal():
        return f"the most that {instrument.id} takes is {instrument.max_quantity}"
    if size % instrument.size_increment.as_decimal():
        return f"{instrument.id} takes multiples of {instrument.size_increment}"
    return ""
