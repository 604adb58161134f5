"""One line of text for each thing that an engine publishes."""

from functools import singledispatch
from typing import Any

import msgspec
from rich.text import Text

from flotilla.client.watch import EVENTS, FEEDS, Update
from flotilla.schemas.telemetry import (
    AccountUpdate,
    Alert,
    EngineEvent,
    EngineMetrics,
    Fill,
    FleetAlert,
    Heartbeat,
    LogLines,
    OrderUpdate,
    PositionUpdate,
    StateChange,
)
from flotilla.show import formats
from flotilla.show.tables import feed_text

_STYLES = {
    "fill": "cyan",
    "state": "bold",
    "alert": "bold yellow",
    "fleet_alert": "bold yellow",
    "position": "blue",
    "log": "dim",
    "metrics": "dim",
}


def line_on_record(raw: msgspec.Raw) -> Text:
    """The same of an event as the record has it."""
    kind = msgspec.json.decode(raw, type=EngineEvent[msgspec.Raw]).kind
    event = msgspec.json.decode(raw, type=FEEDS[kind].payload)
    return line_of(Update(kind, event.instance_id, event), with_name=False)


def line_of(update: Update, *, with_name: bool) -> Text:
    """`14:25:01.123 fill  BUY 100 SPX.SIM @ 1404.05`; the engine's name comes in between when several are watched."""
    name = f"{update.instance_id:<16} " if with_name else ""
    at = _clock(update.payload)
    return Text.assemble(
        (f"{at} ", "dim"),
        name,
        f"{update.kind.removeprefix('fleet_'):<9} ",
        (_what(update), _STYLES.get(update.kind, "")),
    )


def _clock(payload: Any) -> str:
    if isinstance(payload, FleetAlert):
        return formats.clock(round(payload.at.timestamp() * 1e9))
    return formats.clock(payload.at_ns) if hasattr(payload, "at_ns") else " " * 12


def _what(update: Update) -> str:
    return _told(update.payload.data if update.kind in EVENTS else update.payload)


@singledispatch
def _told(payload: Any) -> str:
    return str(getattr(payload, "state", payload))


@_told.register
def _(change: StateChange) -> str:
    reason = f" ({change.reason})" if change.reason else ""
    code = "" if change.exit_code is None else f", exit code {change.exit_code}"
    detail = f": {change.detail}" if change.detail else ""
    doubts = f"; NOT CONFIRMED: {', '.join(change.not_confirmed)}" if change.not_confirmed else ""
    return f"{change.state}{reason}{code}{detail}{doubts}"


@_told.register
def _(fill: Fill) -> str:
    price, again = formats.amount(fill.last_px), "restored " if fill.is_restored else ""
    return f"{again}{fill.side} {formats.amount(fill.last_qty)} {fill.instrument_id} @ {price}  fee {fill.commission} {fill.currency}"


@_told.register
def _(order: OrderUpdate) -> str:
    why = f": {order.reason}" if order.reason else ""
    return f"{order.event} {order.side} {formats.amount(order.quantity)} {order.instrument_id} {order.order_type}{why}"


@_told.register
def _(position: PositionUpdate) -> str:
    held = f"{position.side} {formats.amount(position.quantity)} {position.instrument_id}"
    return f"{position.event} {held}  realized {position.realized_pnl}"


@_told.register
def _(account: AccountUpdate) -> str:
    return ", ".join(f"{formats.amount(one.total)} {one.currency}" for one in account.balances)


@_told.register(Alert)
@_told.register(FleetAlert)
def _(alert: Alert | FleetAlert) -> str:
    return f"{alert.severity} {alert.code}: {alert.message}"


@_told.register
def _(heartbeat: Heartbeat) -> str:
    why = f": {'; '.join(heartbeat.problems)}" if heartbeat.problems else ""
    return f"{heartbeat.beat} {heartbeat.state}{' FROZEN' if heartbeat.is_frozen else ''}{why}"


@_told.register
def _(log: LogLines) -> str:
    return "\n".join(log.lines)


@_told.register
def _(metrics: EngineMetrics) -> str:
    parts = [
        *(feed_text(feed) for feed in metrics.feeds),
        f"{metrics.orders_total:,} orders",
        f"{metrics.fills_total:,} fills",
        formats.positions(metrics.net_positions),
        f"pnl {formats.money(metrics.realized_pnl)}" if metrics.realized_pnl else "",
    ]
    return " · ".join(part for part in parts if part)
