"""How often one may come without a good token, and ask with one."""

import pytest

from flotilla.services.gateway.web.limits import MOST, Limits


def test_an_address_that_tries_too_many_tokens_waits_until_its_minute_is_over() -> None:
    limits = Limits(failures=3, per_s=1)
    assert [limits.failed("a", at) for at in (100.0, 101.0, 159.0)] == [None, None, None]
    assert limits.failed("a", 159.5) == pytest.approx(0.5)
    assert limits.failed("b", 159.5) is None, "each address has a count of its own"
    assert [limits.failed("a", at) for at in (160.0, 161.0, 162.0)] == [None, None, None]
    assert limits.failed("a", 163.0) == pytest.approx(57.0)


def test_a_token_may_ask_for_five_seconds_at_once_and_then_at_its_rate() -> None:
    limits = Limits(failures=1, per_s=10)
    assert [limits.spend("a", 0.0) for _ in range(50)] == [None] * 50
    assert limits.spend("a", 0.0) == pytest.approx(0.1)
    assert limits.spend("b", 0.0) is None
    assert limits.spend("a", 0.1) is None
    assert limits.spend("a", 0.15) == pytest.approx(0.05)
    assert [limits.spend("a", 1_000.0) for _ in range(50)] == [None] * 50
    assert limits.spend("a", 1_000.0) is not None


def test_asking_in_vain_does_not_put_it_off() -> None:
    limits = Limits(failures=1, per_s=1)
    for _ in range(5):
        limits.spend("a", 0.0)
    for at in (0.2, 0.4, 0.6, 0.8):
        assert limits.spend("a", at) == pytest.approx(1.0 - at)
    assert limits.spend("a", 1.0) is None


def test_however_many_addresses_come_no_more_is_kept_in_mind() -> None:
    limits = Limits(failures=1, per_s=1)
    for number in range(MOST + 10):
        limits.failed(f"a{number}", 0.0)
        limits.spend(f"t{number}", 0.0)
    assert len(limits._windows) == len(limits._buckets) == MOST
    assert limits.failed(f"a{MOST + 9}", 1.0) is not None
