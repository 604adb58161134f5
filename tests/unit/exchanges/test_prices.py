from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from exchanges.core.prices import PricePath, chance

TICK = Decimal("0.1")
MOMENTS = st.integers(1_500_000_000_000, 2_000_000_000_000)


@given(st.integers(0, 2**32), MOMENTS)
def test_the_seed_decides_the_price_at_any_moment(seed: int, at_ms: int) -> None:
    price = PricePath(seed=seed, level=Decimal(50_000)).price(at_ms, TICK)
    assert price == PricePath(seed=seed, level=Decimal(50_000)).price(at_ms, TICK)
    assert price % TICK == 0
    assert Decimal(47_000) < price < Decimal(53_000)


@given(MOMENTS)
def test_it_moves_little_in_a_moment_and_somewhere_in_an_hour(at_ms: int) -> None:
    path = PricePath(seed=3, level=Decimal(50_000))
    start = path.price(at_ms, TICK)
    assert abs(path.price(at_ms + 100, TICK) - start) < 25
    assert len({path.price(at_ms + minute * 60_000, TICK) for minute in range(60)}) > 30


@given(MOMENTS)
def test_the_levels_about_it_are_a_tick_apart_and_never_cross(at_ms: int) -> None:
    path = PricePath(seed=3, level=Decimal(50_000))
    bids, asks = path.levels(at_ms, TICK, Decimal(5), Decimal("0.001"), 20)
    assert len(bids) == len(asks) == 20
    assert bids[0][0] + TICK == asks[0][0] == path.price(at_ms, TICK)
    assert all(qty > 0 and qty % Decimal("0.001") == 0 for _, qty in bids + asks)


def test_other_seeds_have_other_prices() -> None:
    paths = [PricePath(seed=seed, level=Decimal(50_000)) for seed in range(20)]
    assert len({path.price(1_700_000_000_000, TICK) for path in paths}) > 15


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=4))
def test_chance_is_within_its_bounds(parts: list[int]) -> None:
    assert -1 <= chance(*parts) < 1
