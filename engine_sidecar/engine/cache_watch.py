"""Watches over the Redis in which an engine keeps its state: NautilusTrader trades on without it, and says nothing.

Also saves the states of strategies while they trade; NautilusTrader saves them at an orderly stop only, and a killed engine has none.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec
from nautilus_trader.model.orders.unpacker import OrderUnpacker
from nautilus_trader.model.position import Position

from flotilla.engine_sidecar.engine.redis_wire import RedisRefusedError, RedisWire, fault_of
from flotilla.engine_sidecar.replay.messages import ALERTS
from flotilla.schemas.alerts import (
    CACHE_BACK,
    CACHE_INCOMPLETE,
    CACHE_LOST,
    STATE_NOT_SAVED,
    STATE_RESTORED,
)
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.telemetry import Alert

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


SAVE_S: Final = 3.0
PING_S: Final = 0.5
_PROBE: Final = "flotilla.written"
_SHOWN: Final = 5
_FAULTS: Final = (OSError, TimeoutError, EOFError, RedisRefusedError)


class CacheWatch:
    """Watches the database of one kernel. `now` is the loop's time (s)."""

    def __init__(self, kernel: Any, database: Any, access: CacheAccess, now: Callable[[], float]) -> None:
        self._kernel, self._database = kernel, database
        self._access, self._now = access, now
        self._probes = 0
        self._saved: dict[Any, dict[str, bytes]] = {}
        self._told: set[str] = set()
        self._restored = _restored(kernel.cache, database)

    async def run(self) -> None:
        """Watches and saves until it is cancelled; what happens is told in alerts on the node's bus."""
        for alert in self._restored:
            self._tell(alert)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._save(), name="saving states")
            tasks.create_task(self._watch(), name="watching Redis")

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE_S)
            if self._kernel.trader.is_running:
                for strategy in self._kernel.trader.strategies():
                    self._save_state(strategy)

    def _save_state(self, strategy: Any) -> None:
        """Saves what changed only: NautilusTrader puts a line into the log each time."""
        try:
            state = strategy.on_save() or {}
            if state != self._saved.get(strategy.id, {}):
                self._kernel.cache.update_strategy(strategy)
                self._saved[strategy.id] = state
        except Exception as error:  # noqa: BLE001 - whatever a strategy gives to be saved must not end the engine
            text = f"the state of {strategy.id} is not kept: {type(error).__name__}: {error}"
            if text not in self._told:
                self._told.add(text)
                self._tell(STATE_NOT_SAVED.alert(text))

    async def _watch(self) -> None:
        while True:
            fault = await self._until_lost()
            since = self._now()
            self._tell(CACHE_LOST.alert(self._lost_text(fault)))
            wire = await self._until_there()
            try:
                await self._until_written(wire)
                written = await rewrite(self._kernel, self._database)
                await self._until_written(wire)
            except _FAULTS:
                continue  # gone again
            finally:
                wire.close()
            self._tell_back(self._now() - since, written)

    async def _until_lost(self) -> str:
        try:
            wire = await RedisWire.open(self._access)
            try:
                while True:
                    await wire.call("PING")
                    await asyncio.sleep(PING_S)
            finally:
                wire.close()
        except _FAULTS as error:
            return fault_of(error)

    async def _until_there(self) -> RedisWire:
        while True:
            with suppress(*_FAULTS):
                return await RedisWire.open(self._access)
            await asyncio.sleep(PING_S)

    async def _until_written(self, wire: RedisWire) -> None:
        """Until what NautilusTrader writes arrives: its own connection notices only by a write that fails."""
        key = f"trader-{self._kernel.trader_id}:general:{_PROBE}"
        while True:
            self._probes += 1
            self._database.add(_PROBE, str(self._probes).encode())
            await asyncio.sleep(PING_S / 5)
            if await wire.call("GET", key) == str(self._probes).encode():
                return

    def _tell_back(self, seconds: float, written: Any) -> None:
        text = (
            f"Redis is there again after {seconds:.0f} s; written anew: {written.orders} orders, "
            f"{written.positions} positions, {written.accounts} accounts and the strategies' states"
        )
        if written.failed:
            self._tell(CACHE_INCOMPLETE.alert(f"{text}; not: {_some(written.failed)}"))
        else:
            self._tell(CACHE_BACK.alert(text))

    def _lost_text(self, fault: str) -> str:
        return (
            f"Redis at {self._access.host}:{self._access.port} is lost ({fault}): the engine trades on, but what changes "
            "until it is back would not survive a crash of the engine"
        )

    def _tell(self, alert: Alert) -> None:
        self._kernel.msgbus.publish(topic=ALERTS, msg=alert)


def _restored(cache: Any, database: Any) -> list[Alert]:
    """What came back from an earlier session, and what did not although the database has it: NautilusTrader drops it in silence."""
    alerts = []
    if cache.orders_total_count() or cache.positions_total_count():
        text = (
            f"from the last session: {cache.orders_open_count()} open orders of {cache.orders_total_count()}, "
            f"{cache.positions_open_count()} open positions of {cache.positions_total_count()}"
        )
        alerts.append(STATE_RESTORED.alert(text))
    lost = [
        *_missing("order", database.keys("orders:*"), map(str, cache.client_order_ids())),
        *_missing("position", database.keys("positions:*"), map(str, cache.position_ids())),
    ]
    if lost:
        text = f"Redis has them, but they could not be restored: {_some(lost)}"
        alerts.append(CACHE_INCOMPLETE.alert(text))
    return alerts


def _missing(kind: str, keys: Iterable[str], known: Iterable[str]) -> list[str]:
    names = {key.partition(f"{kind}s:")[2] for key in keys}
    return [f"{kind} {name}" for name in sorted(names - set(known))]


def _some(texts: Any) -> str:
    more = f", and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
