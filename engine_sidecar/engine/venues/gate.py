"""Holds strategies back until engine and venues agree on orders and positions, and says so whenever they do not.

NautilusTrader's own verdict is not enough: its reconciliation answers True for a repair that failed, for a report that failed inside
an adapter, and for a position in an instrument that is not loaded. So the venues are asked again, after it and all the time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderFilled

from flotilla.engine_sidecar.engine.venues.comparison import Difference, differences, unexplained, without
from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed, VenueReports, net_positions

LOOK_EVERY_S: Final = 4.0
"""Two looks see a difference before it is told, so that a fill on its way is none: a drift is named within 10 s."""
AGAIN_S: Final = 1.0
_ACCEPTED: Final = "flotilla-accepted-differences"
_DECODER: Final = msgspec.json.Decoder(tuple[Difference, ...])

type Tell = Callable[[tuple[Difference, ...]], None]


class VenueGate:
    """Compares the node with its venues. `tell` is called with what differs whenever that changes, with nothing once all agrees."""

    def __init__(self, kernel: Any, reports: VenueReports, tell: Tell, now: Callable[[], float]) -> None:
        self._kernel, self._reports, self._tell, self._now = kernel, reports, tell, now
        self._told: tuple[Difference, ...] = ()
        self._changes: tuple[Difference, ...] = ()
        self._accepted: tuple[Difference, ...] = ()
        self._filled: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))

    @property
    def is_held(self) -> bool:
        """True while engine and venues do not agree."""
        return bool(self._told)

    async def not_agreed(self, until: float) -> tuple[str, ...]:
        """What engine and venues do not agree on at the end of a stop, in words, or why that is not known; `until` is a time of `now`."""
        if not self._reports.clients:
            return ()
        try:
            return tuple(map(str, await self._seen_twice(until)))
        except ReportsFailed as error:
            return (f"not confirmed by the venue: {error}",)

    def accept(self) -> tuple[Difference, ...]:
        """Takes what differs now as it is, also after restarts of an engine that keeps its state; returns it."""
        taken = self._told
        self._changes = ()
        self._accepted = tuple(sorted({*self._accepted, *(each for each in taken if each.what != "change")}))
        self._kernel.cache.add(_ACCEPTED, msgspec.json.encode(self._accepted))
        return taken

    async def reconciled(
        self,
        reconcile: Callable[[], Coroutine[Any, Any, bool]],
        on_reconciled: Callable[[], None],
        within_s: float,
    ) -> bool:
        """Reconciles, and returns once both sides agree; what they do not agree on waits for a person, or for the venue.

        `on_reconciled` is called in between. False when NautilusTrader says that it failed. Raises ReportsFailed when a venue does not report within `within_s`.
        """
        if not self._reports.clients:
            is_done = await reconcile()
            if is_done:
                on_reconciled()
            return is_done
        self._restore()
        before = {each.id: net_positions(self._positions(each)) for each in self._reports.clients}
        deadline = self._now() + within_s
        with self._own_fills():
            is_done = await self._without_faults(reconcile, deadline)
        if not is_done:
            return False
        on_reconciled()
        self._changes = tuple(
            each
            for client in self._reports.clients
            for each in unexplained(
                str(client.id),
                before[client.id],
                self._filled[str(client.id)],
                net_positions(self._positions(client)),
            )
        )
        while found := await self._seen_twice(deadline):
            self._say(found)
            await asyncio.sleep(AGAIN_S)
            deadline = self._now() + within_s
        self._say(())
        return True

    async def watch(self) -> None:
        """Looks every few seconds while the engine trades."""
        seen: tuple[Difference, ...] = ()
        while self._reports.clients:
            await asyncio.sleep(LOOK_EVERY_S)
            if not self._kernel.trader.is_running:
                continue
            try:
                found = await self._look()
            except ReportsFailed as error:
                self._kernel.logger.warning(f"not compared with the venue: {error}")
                continue
            lasting = tuple(each for each in found if each in seen)
            seen = found
            self._say(lasting)

    async def _without_faults(
        self, reconcile: Callable[[], Coroutine[Any, Any, bool]], deadline: float
    ) -> bool:
        """NautilusTrader reconciles with whatever reports it got; it does so again until it got all of them."""
        while True:
            self._reports.forget_faults()
            try:
                is_done = await _in_time(reconcile, deadline - self._now())
                self._reports.check_faults()
            except ReportsFailed:
                if self._now() + AGAIN_S > deadline:
                    raise
                await asyncio.sleep(AGAIN_S)
            else:
                return is_done

    async def _seen_twice(self, deadline: float) -> tuple[Difference, ...]:
        if not (first := await self._look_until(deadline)):
            return ()
        await asyncio.sleep(AGAIN_S)
        second = await self._look_until(deadline)
        return tuple(each for each in second if each in first)

    async def _look_until(self, deadline: float) -> tuple[Difference, ...]:
        while True:
            try:
                return await _in_time(self._look, deadline - self._now())
            except ReportsFailed:
                if self._now() + AGAIN_S > deadline:
                    raise
                await asyncio.sleep(AGAIN_S)

    async def _look(self) -> tuple[Difference, ...]:
        found: list[Difference] = []
        for client in self._reports.clients:
            venue = await self._reports.of(client)
            found += differences(str(client.id), self._reports.believed(client), venue)
            # Flat on both sides is what a person asked for who had it flattened.
            self._changes = tuple(
                each
                for each in self._changes
                if each.client != str(client.id) or venue.positions.get(each.name)
            )
        return (*without(found, self._accepted), *self._changes)

    def _say(self, found: tuple[Difference, ...]) -> None:
        if found != self._told:
            self._told = found
            self._tell(found)

    def _positions(self, client: Any) -> Any:
        return self._kernel.cache.positions_open(account_id=client.account_id)

    def _restore(self) -> None:
        if kept := self._kernel.cache.get(_ACCEPTED):
            self._accepted = _DECODER.decode(kept)

    @contextmanager
    def _own_fills(self) -> Iterator[None]:
        """Within the block, counts what orders that the engine knew before are filled, by client and instrument."""
        known = set(self._kernel.cache.client_order_ids())
        clients = {each.account_id: str(each.id) for each in self._reports.clients}

        def count(event: Any) -> None:
            if (
                isinstance(event, OrderFilled)
                and event.client_order_id in known
                and event.account_id in clients
            ):
                sign = 1 if event.order_side == OrderSide.BUY else -1
                filled = self._filled[clients[event.account_id]]
                filled[event.instrument_id.value] += sign * event.last_qty.as_decimal()

        self._kernel.msgbus.subscribe("events.order.*", count)
        try:
            yield
        finally:
            self._kernel.msgbus.unsubscribe("events.order.*", count)


async def _in_time[T](work: Callable[[], Coroutine[Any, Any, T]], within_s: float) -> T:
    """Raises ReportsFailed when it takes longer; what asks adapters may swallow its cancellation, so it has a task of its own."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_outcome(work))
        _, late = await asyncio.wait([task], timeout=max(within_s, 0.0))
        if late:
            task.cancel()
    if late:
        raise ReportsFailed("orders and positions were not reported in time")
    outcome = task.result()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _outcome[T](work: Callable[[], Coroutine[Any, Any, T]]) -> T | Exception:
    """What it raises is returned: a group of tasks would wrap it."""
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - it is raised again
        return error
