"""The part of a tear sheet that is of orders: what became of them, why some went nowhere, and what was open at the end."""

from collections.abc import Sequence
from typing import Final

from flotilla.schemas.backtest import OpenOrder, OpenPosition, OrderReason
from flotilla.schemas.figures import UNDEFINED, amount, fates
from flotilla.schemas.telemetry import OrderUpdate
from flotilla.show.tear_sheet.equity import moment
from flotilla.show.tear_sheet.html import Html, element, joined, note, section, table
from flotilla.show.tear_sheet.record import Record

_LISTED: Final = 100
_NOWHERE: Final = {
    "REJECTED": "rejected",
    "DENIED": "denied",
    **dict.fromkeys(("INITIALIZED", "EMULATED", "RELEASED"), "unsent"),
}
"""What became of an order by its status, of those that went nowhere."""


def orders(record: Record) -> Html:
    """Counts, and the orders that went nowhere with their reasons."""
    lost = [each for each in record.orders if each.status in _NOWHERE]
    summary = record.view.summary
    if summary is None:
        said = f"{len(record.orders):,} made, {len(lost):,} rejected, denied or never sent."
        return section("Orders", element("p", said), _lost(record, lost))
    counts = summary.orders
    if not counts.total:
        return section("Orders", note("The strategy made no order."))
    ends = fates(counts)
    said = f"{counts.total:,} made, {counts.submitted:,} sent{f': {ends}' if ends else ''}."
    why = _reasons(counts.reasons) if counts.reasons else note("None was rejected, denied or left unsent.")
    return section("Orders", element("p", said), why, _lost(record, lost))


def _reasons(reasons: Sequence[OrderReason]) -> Html:
    rows = [(f"{each.count:,}", each.status, each.reason) for each in reasons]
    return table((">orders", "became", "<because"), rows)


def _lost(record: Record, lost: Sequence[OrderUpdate]) -> Html:
    if not lost:
        return Html("")
    rows = [_order(record, each) for each in lost[:_LISTED]]
    head = ("time", "order", ">quantity", "instrument", ">price", "became", "<because")
    words = f"{len(lost):,} orders that went nowhere" if len(lost) > 1 else "The order that went nowhere"
    more = note(f"{len(lost) - _LISTED:,} more.") if len(lost) > _LISTED else ""
    return element("details", element("summary", words), table(head, rows), more)


def _order(record: Record, one: OrderUpdate) -> tuple[str, ...]:
    return (
        moment(record, one.ts_event),
        f"{one.side} {one.order_type}",
        amount(one.quantity),
        one.instrument_id,
        _price(one.price or one.trigger_price),
        _NOWHERE[one.status],
        one.reason or UNDEFINED,
    )


def left_open(record: Record) -> Html:
    """Positions and orders that were open at the end."""
    summary = record.view.summary
    if record.open_positions is None or summary is None:
        return section(
            "Open at the end",
            note("What was open at the end is not on record: the backtest ran before that was kept."),
        )
    if not record.open_positions and not summary.orders.open:
        return section("Open at the end", note("Nothing: no position and no order."))
    return section(
        "Open at the end",
        _positions(record, record.open_positions),
        _open_orders(summary.open_orders, summary.orders.open),
    )


def _positions(record: Record, positions: Sequence[OpenPosition]) -> Html:
    if not positions:
        return note("No position.")
    head = ("position", ">quantity", "instrument", ">from", "since", ">unrealized")
    rows = [
        (
            each.side,
            amount(each.quantity),
            each.instrument_id,
            f"{each.entry_price:,.10g}",
            moment(record, each.entry_time_ns),
            f"{amount(each.unrealized_pnl)} {each.currency}" if each.unrealized_pnl else "not known",
        )
        for each in positions[:_LISTED]
    ]
    more = note(f"{len(positions) - _LISTED:,} more.") if len(positions) > _LISTED else ""
    return joined((element("h3", "Positions"), table(head, rows), more))


def _open_orders(named: Sequence[OpenOrder], count: int) -> Html:
    if not count:
        return note("No order.")
    head = ("order", ">quantity", ">filled", "instrument", ">price", "status")
    rows = [
        (
            f"{each.side} {each.order_type}",
            amount(each.quantity),
            amount(each.filled_qty),
            each.instrument_id,
            _price(each.price),
            each.status,
        )
        for each in named
    ]
    more = note(f"{count - len(named):,} more.") if count > len(named) else ""
    return joined((element("h3", "Orders"), table(head, rows), more))


def _price(price: str | None) -> str:
    return amount(price) if price else UNDEFINED
