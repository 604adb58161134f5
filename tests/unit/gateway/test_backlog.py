"""What a slow client is still owed."""

from hypothesis import given
from hypothesis import strategies as st

from flotilla.services.gateway.live.streams import Backlog


def test_events_keep_their_order_and_telemetry_only_its_latest() -> None:
    backlog = Backlog(10)
    backlog.add_latest("metrics", "a", b"m1")
    backlog.add_event(b"e1")
    backlog.add_latest("metrics", "b", b"m2")
    backlog.add_latest("heartbeat", "a", b"h1")
    backlog.add_event(b"e2")
    backlog.add_latest("metrics", "a", b"m3")
    assert len(backlog) == 5
    missed, frames = backlog.take()
    assert missed == 0
    assert frames[:2] == [b"e1", b"e2"]
    assert sorted(frames[2:]) == [b"h1", b"m2", b"m3"]
    assert (len(backlog), backlog.take()) == (0, (0, []))


@given(st.integers(1, 20), st.lists(st.integers(0, 30), max_size=30))
def test_what_is_taken_and_what_is_missed_is_everything_in_order(limit: int, bursts: list[int]) -> None:
    backlog, given_, seen, lost = Backlog(limit), 0, 0, 0
    for burst in bursts:
        for _ in range(burst):
            given_ += 1
            assert backlog.add_event(b"%d" % given_) or backlog.missed > 0
        assert len(backlog) <= limit
        missed, frames = backlog.take()
        lost += missed
        # The gap is before what is left: the frames follow on from it without another.
        assert [int(frame) for frame in frames] == list(range(seen + lost + 1, seen + lost + 1 + len(frames)))
        seen += len(frames)
    assert seen + lost == given_


def test_what_was_waiting_is_forgotten_once_something_newer_was_said() -> None:
    backlog = Backlog(10)
    backlog.add_latest("backtest_progress", "a", b"a 90 %")
    backlog.add_latest("backtest_progress", "b", b"b 10 %")
    backlog.drop_latest("backtest_progress", "a")
    backlog.drop_latest("backtest_progress", "never heard of")
    backlog.add_event(b"a is completed")
    assert backlog.take() == (0, [b"a is completed", b"b 10 %"])
