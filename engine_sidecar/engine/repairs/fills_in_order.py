"""Fills that are adopted order by order, so that a position of several orders gets an average price that the venue's is not.

NautilusTrader's reconciliation applies all fills of one order, then all of the next. Where an order that rests was filled in pieces
while others traded, buys and sells reach the position in an order that never was: quantity and fees are right, the average price and
the realized profit are not (0.24 % in a kill point of `make venues`). So they are applied by time beforehand, over all orders; what
the reconciliation then finds it has already.

Before that it looks whether trades explain a position, as if they began with none. Of an engine that trades a lot a venue tells only the
last (Binance 500), so they do not; then it drops reports and gives the oldest order that is left a fill for the whole position. Of an
engine with a kept state that is an order which it has: its quantity is written over, what the engine had not heard is lost or counted
twice (3 of 80 kill points of `make venues`), and as the venue goes on to say how much that order was filled, no start succeeds any more
(`make soak`). So the reports of an instrument of which there is a kept order stay as they are; what they do not explain is a difference, and
named.
"""

from typing import Any

from nautilus_trader.core.fsm import InvalidStateTrigger
from nautilus_trader.model.enums import OrderStatus


def repair_order_of_fills(engine: Any) -> None:
    """Has the execution engine apply the fills of a mass status by time."""
    deduplicate = engine._deduplicate_mass_status_orders

    def then_apply_by_time(mass_status: Any) -> None:
        deduplicate(mass_status)
        reports = mass_status.order_reports
        fills = [
            (fill, reports[order])
            for order, found in mass_status.fill_reports.items()
            if order in reports
            for fill in found
        ]
        for fill, report in sorted(fills, key=lambda each: moment(each[0])):
            try:
                _apply(engine, report, fill)
            except InvalidStateTrigger as error:
                engine._log.error(str(error))

    engine._deduplicate_mass_status_orders = then_apply_by_time


def repair_reports_of_kept_instruments(engine: Any) -> None:
    """Has the execution engine leave the reports of instruments as they are of which it has orders."""
    adjust = engine._adjust_mass_status_fills

    def adjust_others(mass_status: Any) -> None:
        orders, fills = dict(mass_status._order_reports), dict(mass_status._fill_reports)
        adjust(mass_status)
        for instrument_id in mass_status.position_reports:
            if not engine._cache.client_order_ids(instrument_id=instrument_id):
                continue
            _put_back(
                mass_status._order_reports, orders, lambda each, own=instrument_id: each.instrument_id == own
            )
            _put_back(
                mass_status._fill_reports, fills, lambda each, own=instrument_id: each[0].instrument_id == own
            )

    engine._adjust_mass_status_fills = adjust_others


def _put_back(now: dict[Any, Any], before: dict[Any, Any], is_meant: Any) -> None:
    for key in [key for key, each in now.items() if is_meant(each)]:
        del now[key]
    now.update({key: each for key, each in before.items() if is_meant(each)})


def moment(fill: Any) -> tuple[int, int, str]:
    """Venues count trades, and their clocks in milliseconds."""
    trade = fill.trade_id.value
    return fill.ts_event, len(trade), trade


def _apply(engine: Any, report: Any, fill: Any) -> None:
    """One fill; what cannot be applied here is left to the reconciliation, which has words for it."""
    cache, instrument = engine._cache, engine._cache.instrument(report.instrument_id)
    is_meant = engine._consider_for_reconciliation(report.instrument_id)
    if instrument is None or not is_meant or report.client_order_id in engine.filtered_client_order_ids:
        return
    if report.order_status == OrderStatus.REJECTED:
        return
    order = cache.order(engine._resolve_client_order_id(report))
    if order is None:
        _accept(engine, report, instrument)
        order = cache.order(report.client_order_id)
    if order is None or order.is_closed or fill.trade_id in order.trade_ids:
        return
    if order.status in (OrderStatus.INITIALIZED, OrderStatus.SUBMITTED):
        engine._generate_order_accepted(order, report)
    engine._reconcile_fill_report(order, fill, instrument)


def _accept(engine: Any, report: Any, instrument: Any) -> None:
    """Has the engine make the order as it was before its first fill."""
    status, filled = report.order_status, report.filled_qty
    report.order_status, report.filled_qty = OrderStatus.ACCEPTED, instrument.make_qty(0)
    try:
        engine._reconcile_order_report(report, [])
    finally:
        report.order_status, report.filled_qty = status, filled
