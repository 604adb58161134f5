"""What orders on their way explain of a difference between engine and venue."""

from decimal import Decimal

import pytest

from flotilla.engine_sidecar.engine.venues.comparison import Difference, Side
from flotilla.engine_sidecar.engine.venues.moving import LOOKS, Lasting, Moving


def side(position: str, **orders: str) -> Side:
    return Side({"X": Decimal(position)}, {("X", name): Decimal(filled) for name, filled in orders.items()})


def position(engine: str, venue: str) -> Difference:
    return Difference("V", "position", "X", engine=Decimal(engine), venue=Decimal(venue))


@pytest.mark.parametrize(
    ("venue", "before", "after", "on_way", "is_explained"),
    [
        ("3", "2", "2", {"A": "1"}, True),
        ("2.5", "2", "2", {"A": "1"}, True),
        ("3.5", "2", "2", {"A": "1"}, False),
        ("1", "2", "2", {"A": "1"}, False),
        ("1", "2", "2", {"A": "-1"}, True),
        ("3", "2", "2", {"A": "-1"}, False),
        ("2", "2", "4", {}, True),
        ("1", "2", "4", {}, False),
        ("5", "2", "4", {"A": "1"}, True),
        ("6", "2", "4", {"A": "1"}, False),
        ("4", "4", "2", {}, True),
    ],
)
def test_a_position_is_explained_by_as_much_as_may_still_be_filled(
    venue: str, before: str, after: str, on_way: dict[str, str], *, is_explained: bool
) -> None:
    orders = {("X", name): Decimal(left) for name, left in on_way.items()}
    moving = Moving(side(before), side(after), orders)
    assert moving.instruments == {"X"}
    assert moving.explains(position(after, venue), ()) is is_explained


def test_what_a_person_accepted_comes_on_top() -> None:
    moving = Moving(side("2"), side("2"), {("X", "A"): Decimal(1)})
    accepted = [position("0", "5")]
    assert moving.explains(position("2", "8"), accepted)
    assert moving.explains(position("2", "3"), accepted)
    assert not moving.explains(position("2", "9"), accepted)
    assert not moving.explains(position("2", "6"), accepted)


def test_an_order_is_explained_by_nothing_but_itself() -> None:
    moving = Moving(side("2", B="1", C="1"), side("2", B="2", C="1"), {("X", "A"): Decimal(1)})

    def is_explained(order: str) -> bool:
        return moving.explains(Difference("V", "order", "X", order, venue=Decimal(0)), ())

    assert [is_explained(each) for each in "ABCD"] == [True, True, False, False]


def test_only_what_lasts_for_several_looks_in_a_row_is_found() -> None:
    one, other = position("0", "1"), Difference("V", "order", "X", "A", venue=Decimal(0))
    lasting = Lasting()
    for _ in range(LOOKS - 1):
        assert lasting.after([one, other]) == []
        assert lasting.is_any
    assert lasting.after([one]) == [one]
    assert not lasting.is_any
    assert lasting.after([one, other]) == [one]
    assert lasting.after([]) == []
    assert lasting.after([one]) == []
