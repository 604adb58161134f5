"""What the end-to-end tests of stops call an order that opens or adds, on records written out by hand."""

from typing import Any

import pytest

from flotilla.schemas.telemetry import EngineEvent, EventKind
from tests.e2e.stops import growth_after, orders_that_open

type Line = tuple[str, Any]


def record(*lines: Line) -> list[EngineEvent[dict[str, Any]]]:
    """Events at 1, 2, 3 … ns: a position's signed size, or an order that was sent."""
    events = []
    for number, (kind, size) in enumerate(lines, start=1):
        if kind == "holds":
            data: dict[str, Any] = {"position_id": "P", "signed_qty": str(size)}
        else:
            side, quantity = size.split()
            data = {"event": kind, "side": side, "quantity": quantity}
        event_kind = EventKind.POSITION if kind == "holds" else EventKind.ORDER
        about: dict[str, Any] = {"instance_id": "e1", "session_id": "s1", "generation": 1}
        events.append(EngineEvent(**about, seq=number, at_ns=number, kind=event_kind, data=data))
    return events


@pytest.mark.parametrize(
    ("held", "order", "opens"),
    [
        (0, "BUY 10", True),
        (0, "SELL 10", True),
        (10, "BUY 5", True),
        (-10, "SELL 5", True),
        (10, "SELL 10", False),
        (10, "SELL 4", False),
        (-10, "BUY 10", False),
        (10, "SELL 20", True),
    ],
)
def test_an_order_opens_unless_it_takes_what_is_held_nearer_to_nothing(
    held: int, order: str, *, opens: bool
) -> None:
    events = record(("holds", held), ("OrderSubmitted", order))
    assert orders_that_open(events, at_ns=1) == ([2] if opens else [])
    # Sent before the answer, or never sent.
    assert orders_that_open(events, at_ns=2) == []
    assert orders_that_open(record(("holds", held), ("OrderDenied", order)), at_ns=1) == []


def test_a_position_grows_when_there_is_more_of_it_on_either_side() -> None:
    events = record(("holds", 10), ("holds", 5), ("holds", 8), ("holds", 0), ("holds", -3))
    assert growth_after(events, 0) == [1, 3, 5]
    assert growth_after(events, 3) == [5]
