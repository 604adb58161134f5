"""Positions of a kept state that lack the last fills of their orders.

NautilusTrader writes an order and then its position, each by itself and from another thread: an engine that is killed in between leaves
an order that has a fill and a position that has not. Nothing looks at both when they are read again, so that the engine begins with
a position that the venue does not have, and its reconciliation makes up an order for the difference (`make soak` found it).
"""

from typing import Any

from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.position import Position

from flotilla.engine_sidecar.engine.repairs.fills_in_order import moment


def repair_torn_positions(cache: Any) -> None:
    """Gives positions the fills of their orders that are later than all that they have."""
    fills = [
        event
        for order in cache.orders()
        for event in order.events
        if isinstance(event, OrderFilled) and event.position_id is not None
    ]
    for fill in sorted(fills, key=moment):
        position = cache.position(fill.position_id)
        if position is None:
            _open(cache, fill)
        # What is older may be of a life of the position before: once flat, it forgets its fills.
        # The moment first: what trades it has, it makes a list of for each answer.
        elif moment(fill) > moment(position.last_event) and fill.trade_id not in position.trade_ids:
            if position.is_closed:
                _open(cache, fill)
            else:
                position.apply(fill)
                cache.update_position(position)


def _open(cache: Any, fill: Any) -> None:
    instrument = cache.instrument(fill.instrument_id)
    if instrument is not None and not instrument.is_spread():
        cache.add_position(Position(instrument, fill), OmsType.NETTING)
