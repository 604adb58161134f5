"""Which prices are doubtful: the ratios and sizes are written out by hand."""

from decimal import Decimal

import pytest

from flotilla.engine_sidecar.catalog.plausible import looks_fixed_point, split_like

CENT = 0.01


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (1208.5, 120.3, "divided by 10.05, like a split of 10:1"),
        (2400.0, 120.0, "divided by 20.00, like a split of 20:1"),
        (500.0, 125.0, "divided by 4.00, like a split of 4:1"),
        (100.0, 50.2, "divided by 1.99, like a split of 2:1"),
        (2.0, 20.0, "multiplied by 10.00, like a reverse split of 1:10"),
        (2.0, 9.0, "multiplied by 4.50"),
        (0.5, 5.0, "multiplied by 10.00, like a reverse split of 1:10"),
        (0.01, 0.13, "multiplied by 13.00, like a reverse split of 1:13"),
        (9.0, 2.0, "divided by 4.50"),
    ],
)
def test_a_jump_like_a_split_is_told(before: float, after: float, said: str) -> None:
    assert split_like(before, after, CENT) == said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (100.0, 100.0),
        (100.0, 104.0),
        (100.0, 66.0),  # a bad day
        (100.0, 55.0),
        (100.0, 189.0),
        (100.0, 40.0),  # 2.5
        (0.01, 0.02),  # one tick
        (0.01, 0.11),  # ten ticks
        (0.0, 10.0),
        (-1.0, 10.0),
        (10.0, -1.0),
    ],
)
def test_what_markets_do_is_not_told(before: float, after: float) -> None:
    assert split_like(before, after, CENT) is None


@pytest.mark.parametrize("price", ["186030000000", "1080300000", "1080310000", "100000000", "5000000000"])
def test_fixed_point_prices_are_large_and_round(price: str) -> None:
    assert looks_fixed_point(Decimal(price))


@pytest.mark.parametrize(
    "price", ["186.03", "95000", "142351000", "99990000", "186030000000.5", "0", "-100000000"]
)
def test_prices_of_markets_are_not(price: str) -> None:
    assert not looks_fixed_point(Decimal(price))
