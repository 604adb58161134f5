"""What engine and venue say of an account, side by side: what is told, in which words, and what is no difference."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.engine_sidecar.engine.venues.comparison import (
    Difference,
    Side,
    differences,
    in_words,
    unexplained,
    without,
)

NOTHING = Side({}, {})
NAMES = st.sampled_from(["BTC.V", "ETH.V", "1", "2"])
QUANTITIES = st.dictionaries(NAMES, st.integers(-3, 3).map(Decimal), max_size=4)
SIDES = st.builds(Side, QUANTITIES, QUANTITIES)


def positions(**held: str) -> Side:
    return Side({name: Decimal(quantity) for name, quantity in held.items()}, {})


def orders(**filled: str) -> Side:
    return Side({}, {name: Decimal(quantity) for name, quantity in filled.items()})


@pytest.mark.parametrize(
    ("engine", "venue", "told"),
    [
        (positions(X="1"), positions(X="1.0"), ""),
        (positions(X="0"), NOTHING, ""),
        (positions(), positions(X="0.01"), "V: position of X is 0.01 at the venue, 0 in the engine"),
        (positions(X="1"), NOTHING, "V: position of X is 0 at the venue, 1 in the engine"),
        (positions(X="1"), positions(X="-1"), "V: position of X is -1 at the venue, 1 in the engine"),
        (
            NOTHING,
            orders(A="0"),
            "V: order A is open at the venue (filled 0), and the engine has no such open order",
        ),
        (
            orders(A="0"),
            NOTHING,
            "V: order A is open in the engine (filled 0), and the venue has no such open order",
        ),
        (orders(A="1"), orders(A="2"), "V: order A is filled 2 at the venue, 1 in the engine"),
        (orders(A="0"), orders(A="0"), ""),
    ],
)
def test_what_is_not_the_same_is_told(engine: Side, venue: Side, told: str) -> None:
    assert in_words(differences("V", engine, venue)) == told


@given(SIDES, SIDES)
def test_there_is_no_difference_if_and_only_if_both_say_the_same(engine: Side, venue: Side) -> None:
    def held(side: Side) -> dict[str, Decimal]:
        return {name: quantity for name, quantity in side.positions.items() if quantity}

    is_same = held(engine) == held(venue) and engine.orders == venue.orders
    assert (differences("V", engine, venue) == ()) == is_same


@pytest.mark.parametrize(
    ("before", "filled", "after", "told"),
    [
        ("0", "0", "0", ""),
        ("1", "0.5", "1.5", ""),
        ("1", "-1", "0", ""),
        ("0", "0", "1", "V: position of X is 1, and by the engine's own orders it would be 0"),
        ("1", "0", "0", "V: position of X is 0, and by the engine's own orders it would be 1"),
        ("1", "0.5", "2", "V: position of X is 2, and by the engine's own orders it would be 1.5"),
    ],
)
def test_a_change_that_no_own_order_explains_is_told(before: str, filled: str, after: str, told: str) -> None:
    one, two, three = ({"X": Decimal(each)} if each != "0" else {} for each in (before, filled, after))
    assert in_words(unexplained("V", one, two, three)) == told


def test_what_a_person_accepted_is_told_again_only_once_it_is_something_else() -> None:
    found = differences("V", positions(X="1", Y="1"), positions(X="2", Y="1"))
    assert without(found, found) == ()
    later = differences("V", positions(X="1", Y="1"), positions(X="3", Y="1"))
    assert without(later, found) == later


def test_a_long_list_is_cut_and_says_how_much_is_left() -> None:
    found = [Difference("V", "position", f"X{number}", Decimal(0), Decimal(1)) for number in range(12)]
    assert in_words(found).endswith("; and 2 more")
