"""Fills of an engine's orders that its adapter never told of: most ask a venue for nothing after a reconnect, and none for those of an
order that it called rejected, or cancelled, though it is filled.

Such a fill is the venue's own word on an order of ours, so it is taken as any other. NautilusTrader's checks of orders would make
one up, with an id and a commission of its own, or end an order without what it was filled; so trades are asked for before them.
https://github.com/nautechsystems/nautilus_trader/pull/4991 asks for them on reconnecting, for one venue.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.identifiers import ClientOrderId

from flotilla.engine_sidecar.engine.repairs.late_fills import late_trades, trade_of
from flotilla.engine_sidecar.engine.venues.comparison import Difference

_ENDED: Final = (OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED)

type Behind = dict[str, int]
"""By instrument, since when (UNIX nanoseconds, by the engine's clock) a venue's trades are to be asked for: no order of which one may be
missing was made before."""
type CatchUp = Callable[[Any, Behind], Awaitable[bool]]
"""Asks a client's venue for its trades, and takes those that are missing; false where it did not answer."""


def unheard(cache: Any, found: Iterable[Difference]) -> Behind:
    """Orders that are open in the engine, and that a fill which it did not hear of could explain."""
    behind: Behind = {}
    for each in found:
        may_be_filled = each.engine is not None and (each.venue is None or each.venue > each.engine)
        if each.what == "order" and may_be_filled:
            order = cache.order(ClientOrderId(each.order))
            add(behind, each.instrument, order.ts_init if order is not None else 0)
    return behind


def add(behind: Behind, instrument: str, since_ns: int) -> None:
    """Notes that trades in an instrument are to be asked for from a moment on, or from an earlier one where that was noted already."""
    behind[instrument] = min(since_ns, behind.get(instrument, since_ns))


def together(one: Mapping[str, int], other: Mapping[str, int]) -> Behind:
    """Both."""
    behind = dict(one)
    for instrument, since_ns in other.items():
        add(behind, instrument, since_ns)
    return behind


def take(kernel: Any, fills: Iterable[Any]) -> None:
    """Takes those of a venue's reports of fills that are of the node's orders, and that it does not have: of those that are open, or that
    ended without them; not of those that were filled by what was made up.
    """
    late = late_trades(kernel.cache)
    for report in fills:
        if (client_id := kernel.cache.client_order_id(report.venue_order_id)) is None:
            continue
        order = kernel.cache.order(client_id)
        if order is None or report.trade_id in order.trade_ids:
            continue
        # What one that ended partly filled was filled by may have been made up, under other ids: that is left to the comparison.
        ended_without = order.status in _ENDED and order.filled_qty == 0
        if order.is_open or (ended_without and trade_of(report) not in late):
            kernel.exec_engine.reconcile_execution_report(report)


def ask_for_trades_first(engine: Any, clients: tuple[Any, ...], catch_up: CatchUp) -> None:
    """Has an execution engine ask for trades wherever it is about to learn from an order's report what the order was filled.

    Where the venue has none it makes one up as before. Where the venue did not answer, the report says what the engine knows already:
    the order stays open, and the next look asks again.
    """
    for client in clients:
        _wrap_one(engine, client, catch_up)
    ask_for_all = engine._query_order_status_reports

    async def with_their_trades() -> tuple[list[Any], set[Any]]:
        reports, ids = await ask_for_all()
        for client in clients:
            own = [each for each in reports if each.account_id == client.account_id]
            await _catch_up(engine, client, [each for each in own if not _is_recent(engine, each)], catch_up)
        return reports, ids

    engine._query_order_status_reports = with_their_trades


def _wrap_one(engine: Any, client: Any, catch_up: CatchUp) -> None:
    ask_for_one = client.generate_order_status_report

    async def with_its_trades(command: Any) -> Any:
        report = await ask_for_one(command)
        if report is None or not await _catch_up(engine, client, [report], catch_up):
            return report
        return await ask_for_one(command) or report  # it may have been filled further meanwhile

    client.generate_order_status_report = with_its_trades


async def _catch_up(engine: Any, client: Any, reports: list[Any], catch_up: CatchUp) -> bool:
    """False where nothing was missing, or was told."""
    late: list[tuple[Any, Any]] = []
    behind: Behind = {}
    for report in reports:
        order = _order_of(engine, report)
        if order is None or order.is_closed or report.filled_qty <= order.filled_qty:
            continue
        if order.status == OrderStatus.SUBMITTED:
            engine._generate_order_accepted(order, report)  # else the venue's id of it is not known
        late.append((order, report))
        add(behind, report.instrument_id.value, order.ts_init)
    if not late:
        return False
    is_told = await catch_up(client, behind)
    for order, report in [] if is_told else late:
        report.filled_qty = order.filled_qty
        report.order_status = OrderStatus.PARTIALLY_FILLED if order.filled_qty else OrderStatus.ACCEPTED
    return is_told


def _is_recent(engine: Any, report: Any) -> bool:
    """True where the engine waits for what may be on its way."""
    order = _order_of(engine, report)
    heard = engine._order_local_activity_ns.get(order.client_order_id) if order is not None else None
    return bool(heard and engine._clock.timestamp_ns() - heard < engine._open_check_threshold_ns)


def _order_of(engine: Any, report: Any) -> Any:
    client_id = report.client_order_id or engine._cache.client_order_id(report.venue_order_id)
    return None if client_id is None else engine._cache.order(client_id)
