"""What engine and venue say of an account, side by side: what is told, in which words, and what is no difference."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.engine_sidecar.engine.venues.comparison import (
    Difference,
    Seen,
    Side,
    differences,
    in_words,
    without,
)

NOTHING = Side({}, {})
NAMES = st.sampled_from(["BTC.V", "ETH.V"])
QUANTITIES = st.integers(-3, 3).map(Decimal)
SIDES = st.builds(
    Side,
    st.dictionaries(NAMES, QUANTITIES, max_size=2),
    st.dictionaries(st.tuples(NAMES, st.sampled_from(["1", "2"])), QUANTITIES, max_size=4),
)


def positions(**held: str) -> Side:
    return Side({name: Decimal(quantity) for name, quantity in held.items()}, {})


def orders(**filled: str) -> Side:
    return Side({}, {("X", name): Decimal(quantity) for name, quantity in filled.items()})


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
            "V: order A of X is open at the venue (filled 0), and the engine has no such open order",
        ),
        (
            orders(A="0"),
            NOTHING,
            "V: order A of X is open in the engine (filled 0), and the venue has no such open order",
        ),
        (orders(A="1"), orders(A="2"), "V: order A of X is filled 2 at the venue, 1 in the engine"),
        (orders(A="0"), orders(A="0"), ""),
    ],
)
def test_what_is_not_the_same_is_told(engine: Side, venue: Side, told: str) -> None:
    assert in_words(differences("V", engine, venue)) == told


@given(SIDES, SIDES)
def test_there_is_no_difference_if_and_only_if_both_say_the_same(engine: Side, venue: Side) -> None:
    found = differences("V", engine, venue)
    assert {each.instrument for each in found} == engine.differs_in(venue)
    assert (found == ()) == (engine.differs_in(venue) == set())


def test_what_a_person_accepted_is_the_same_while_both_sides_move_together() -> None:
    found = differences("V", positions(X="1", Y="1"), positions(X="2", Y="1"))
    assert without(found, found) == ()
    moved = differences("V", positions(X="0"), positions(X="1"))
    assert without(moved, found) == ()
    grown = differences("V", positions(X="1"), positions(X="3"))
    assert without(grown, found) == grown


def drift(engine: str, venue: str) -> tuple[Difference, ...]:
    return differences("V", positions(X=engine), positions(X=venue))


def test_a_difference_is_told_by_the_second_look_and_ends_with_the_first_that_does_not_see_it() -> None:
    once = Seen().after(drift("0", "1"), set())
    assert once.told == ()
    twice = once.after(drift("1", "3"), set())
    assert in_words(twice.told) == "V: position of X is 3 at the venue, 1 in the engine"
    moved = twice.after(drift("2", "4"), set())
    assert in_words(moved.told) == "V: position of X is 4 at the venue, 2 in the engine"
    assert moved.after((), set()) == Seen()
    assert once.after((), set()).after(drift("0", "1"), set()).told == ()


@pytest.mark.parametrize("unsure", [{"X"}, {"V"}])
def test_a_look_that_can_say_nothing_changes_nothing(unsure: set[str]) -> None:
    told = Seen().after(drift("0", "1"), set()).after(drift("0", "1"), set())
    assert told.after((), unsure) == told
    once = Seen().after(drift("0", "1"), set())
    assert once.after((), unsure).after(drift("0", "1"), set()).told != ()
    assert once.after((), {"Y"}).suspected == frozenset()


def test_what_others_did_is_told_at_once() -> None:
    change = Difference("V", "change", "X", engine=Decimal(0), venue=Decimal(1))
    assert Seen().after([change], set()).told == (change,)
    assert str(change) == "V: position of X is 1, and by the engine's own orders it would be 0"


def test_a_long_list_is_cut_and_says_how_much_is_left() -> None:
    found = [
        Difference("V", "position", f"X{number}", engine=Decimal(0), venue=Decimal(1)) for number in range(12)
    ]
    assert in_words(found).endswith("; and 2 more")


def test_a_position_is_named_however_many_orders_are_too() -> None:
    orders = [Difference("V", "order", "X", f"O-{number}", venue=Decimal(0)) for number in range(12)]
    position = Difference("V", "position", "X", engine=Decimal(0), venue=Decimal(1))
    assert in_words([*orders, position]).startswith(str(position))
