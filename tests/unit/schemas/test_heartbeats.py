"""What the limits of silence need of each other."""

from datetime import timedelta

from flotilla.schemas import heartbeats
from flotilla.services.supervisor.watcher import PROBE_S


def test_no_host_is_away_because_its_runtime_hangs() -> None:
    slowest_beat_s = max(heartbeats.BEAT_S, PROBE_S)
    assert slowest_beat_s < heartbeats.HOST_AWAY_S
    assert timedelta(seconds=3 * slowest_beat_s) <= heartbeats.HOST_OUT_OF_SIGHT


def test_of_a_host_that_falls_away_the_host_is_missed_before_its_engines() -> None:
    assert heartbeats.HOST_OUT_OF_SIGHT < heartbeats.HEARTBEAT_STALE


def test_no_policy_ends_an_engine_whose_last_heartbeat_still_counts() -> None:
    assert heartbeats.HEARTBEAT_STALE < heartbeats.ENGINE_SILENT_AFTER


def test_the_graver_what_follows_the_longer_the_silence() -> None:
    of_engines = (
        timedelta(seconds=heartbeats.UNHEALTHY_AFTER_S),
        heartbeats.HEARTBEAT_STALE,
        heartbeats.ENGINE_SILENT_AFTER,
    )
    of_hosts = (
        timedelta(seconds=heartbeats.HOST_AWAY_S),
        heartbeats.HOST_OUT_OF_SIGHT,
        timedelta(seconds=heartbeats.HOST_GONE_S),
    )
    assert of_engines == tuple(sorted(of_engines))
    assert of_hosts == tuple(sorted(of_hosts))
