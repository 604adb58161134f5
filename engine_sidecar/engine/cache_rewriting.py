"""Writes all that a node's cache holds into its database again, after an outage in which NautilusTrader's writes were lost.

NautilusTrader appends events to what the database has, and drops those for which it has nothing. So each order and position is
made anew from its own events, and written as it grows.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from nautilus_trader.model.orders.unpacker import OrderUnpacker
from nautilus_trader.model.position import Position

_AT_ONCE: Final = 50


class Rewritten(msgspec.Struct, frozen=True):
    """How much was written, and what could not be."""

    orders: int
    positions: int
    accounts: int
    failed: tuple[str, ...]


async def rewrite(kernel: Any, database: Any) -> Rewritten:
    """Writes instruments, accounts, orders, positions and states; lets the engine trade on between."""
    cache = kernel.cache
    steps = [
        *(("instrument", item.id, _instrument, item) for item in _traded(cache)),
        *(("account", item.id, _account, item) for item in cache.accounts()),
        *(("order", item.client_order_id, _order, item) for item in cache.orders()),
        *(("position", item.id, _position, item) for item in cache.positions()),
        *(("strategy", item.id, _state, item) for item in kernel.trader.strategies()),
    ]
    done = dict.fromkeys(("instrument", "account", "order", "position", "strategy"), 0)
    failed = []
    for number, (kind, name, write, item) in enumerate(steps):
        if fault := _attempt(write, database, cache, item):
            failed.append(f"{kind} {name}: {fault}")
        else:
            done[kind] += 1
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return Rewritten(done["order"], done["position"], done["account"], tuple(failed))


def _attempt(write: Callable[[Any, Any, Any], None], database: Any, cache: Any, item: Any) -> str:
    try:
        write(database, cache, item)
    except Exception as error:  # noqa: BLE001 - one that cannot be written must not keep the others from it
        return f"{type(error).__name__}: {error}"
    return ""


def _traded(cache: Any) -> Iterator[Any]:
    ids = {item.instrument_id for item in (*cache.orders(), *cache.positions())}
    return (found for found in map(cache.instrument, sorted(ids)) if found is not None)


def _instrument(database: Any, _: Any, instrument: Any) -> None:
    for currency in (instrument.quote_currency, instrument.get_base_currency()):
        if currency is not None:
            database.add_currency(currency)
    database.add_instrument(instrument)


def _account(database: Any, _: Any, account: Any) -> None:
    for currency in account.currencies():
        database.add_currency(currency)
    database.add_account(account)


def _order(database: Any, cache: Any, order: Any) -> None:
    first, *later = order.events
    copy = OrderUnpacker.from_init(first)
    database.delete_order(order.client_order_id)
    database.add_order(copy, cache.position_id(order.client_order_id), cache.client_id(order.client_order_id))
    for event in later:
        copy.apply(event)
        database.update_order(copy)


def _position(database: Any, cache: Any, position: Any) -> None:
    first, *later = position.events
    copy = Position(cache.instrument(position.instrument_id), first)
    database.add_position(copy)
    for fill in later:
        copy.apply(fill)
        database.update_position(copy)


def _state(database: Any, _: Any, strategy: Any) -> None:
    database.update_strategy(strategy)
