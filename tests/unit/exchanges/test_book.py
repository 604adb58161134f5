from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.core.book import Book, Match, Resting, Side

D = Decimal


def book() -> Book:
    made = Book()
    made.quote([(D(99), D(2)), (D(98), D(5))], [(D(101), D(2)), (D(102), D(5))])
    return made


def test_better_prices_are_taken_first_and_at_one_price_the_order_that_came_first() -> None:
    made = book()
    made.rest(Resting(id=2, side=Side.SELL, price=D(100), left=D(1), turn=2))
    made.rest(Resting(id=1, side=Side.SELL, price=D(100), left=D(1), turn=1))
    assert made.take(Side.BUY, D(4), None) == [
        Match(D(100), D(1), 1),
        Match(D(100), D(1), 2),
        Match(D(101), D(2)),
    ]
    assert made.best(Side.SELL) == (D(102), D(5))


def test_a_limit_is_kept_and_what_is_left_is_not_taken() -> None:
    made = book()
    assert made.take(Side.BUY, D(10), D(101)) == [Match(D(101), D(2))]
    assert made.available(Side.BUY, D(101)) == 0
    assert made.available(Side.BUY, D(102)) == 5


def test_a_resting_order_that_the_market_reaches_is_filled_at_its_own_price_for_what_the_market_has() -> None:
    made = book()
    made.rest(Resting(id=7, side=Side.BUY, price=D(100), left=D(10), turn=7))
    made.quote([(D(98), D(9))], [(D(99), D(3)), (D(100), D(2)), (D(101), D(9))])
    assert made.crossed() == [Match(D(100), D(3), 7), Match(D(100), D(2), 7)]
    assert made.depth(Side.BUY)[0] == (D(100), D(5))
    assert made.crossed() == []


def test_a_crossed_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="not below"):
        book().quote([(D(101), D(1))], [(D(101), D(1))])


ORDERS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(90, 110), st.integers(1, 9)), min_size=1, max_size=12
)


@given(ORDERS)
def test_no_quantity_appears_or_is_lost(orders: list[tuple[Side, int, int]]) -> None:
    made = book()
    for turn, (side, price, qty) in enumerate(orders):
        before = sum(q for _, q in made.depth(side.other))
        matches = made.take(side, D(qty), D(price))
        taken = sum((m.qty for m in matches), D(0))
        assert taken <= qty
        assert all(side.reaches(D(price), m.price) for m in matches)
        assert [m.price for m in matches] == sorted((m.price for m in matches), reverse=side is Side.SELL)
        assert sum((q for _, q in made.depth(side.other)), D(0)) == before - taken
        if taken < qty:
            made.rest(Resting(id=turn, side=side, price=D(price), left=D(qty) - taken, turn=turn))
        bid, ask = made.best(Side.BUY), made.best(Side.SELL)
        assert bid is None or ask is None or bid[0] < ask[0]
