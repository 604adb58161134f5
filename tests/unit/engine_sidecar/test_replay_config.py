"""Which events a replay takes in."""

import msgspec
import pytest

from flotilla.engine_sidecar.replay.config import ReplayDataClientConfig

FOREVER = 9_223_372_036_854_775_807

JAN_4 = 1262563200 * 10**9
DAY = 86_400 * 10**9


def test_without_a_range_everything_is_replayed() -> None:
    config = ReplayDataClientConfig()
    assert (config.first_ns, config.last_ns) == (0, FOREVER)


def test_a_date_takes_the_bars_of_its_day() -> None:
    config = ReplayDataClientConfig(start="2010-01-04", end="2010-01-04")
    assert config.first_ns == JAN_4 + 1
    assert config.last_ns == JAN_4 + DAY


def test_a_time_is_taken_as_it_is_in_utc_unless_it_says_otherwise() -> None:
    assert ReplayDataClientConfig(start="2010-01-04T00:00:00.000001").first_ns == JAN_4 + 1000
    assert ReplayDataClientConfig(end="2010-01-04T01:00:00+01:00").last_ns == JAN_4


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "2010-01-05", "end": "2010-01-04"},
        {"start": "soon"},
        {"end": "2010-02-30"},
        {"speed": -1},
        {"speed": "fast"},
        {"on_end": "explode"},
        {"start_delay": -1},
        {"colour": "red"},
    ],
)
def test_anything_else_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        ReplayDataClientConfig.parse(msgspec.json.encode(fields))
