"""When a disk has too little room: the thresholds by hand."""

import pytest

from flotilla.services.orchestrator.engines.core.disk import Space, is_low

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("total", "low", "full"),
    [
        (1000 * GIB, 1024 * MIB, 64 * MIB),
        (20 * GIB, 1024 * MIB, 64 * MIB),
        (10 * GIB, 512 * MIB, 64 * MIB),
        (1000 * MIB, 50 * MIB, 20 * MIB),
    ],
)
def test_room_is_low_and_gone_at_a_share_of_small_disks_and_at_a_fixed_size_of_large_ones(
    total: int, low: int, full: int
) -> None:
    assert not is_low(False, Space(total, low))
    assert is_low(False, Space(total, low - 1))
    assert not Space(total, full).is_full
    assert Space(total, full - 1).is_full


def test_an_episode_ends_with_a_quarter_more_room_than_it_began_with() -> None:
    assert is_low(True, Space(1000 * GIB, 1280 * MIB - 1))
    assert not is_low(True, Space(1000 * GIB, 1280 * MIB))
