"""What a slow client is still owed."""

from hypothesis import given
from hypothesis import strategies as st

from flotilla.services.gateway.live.backlog import Backlog


def backlog(limit: int = 10, after: int = 0, *, is_behind: bool = False) -> Backlog:
    return Backlog(limit, after=after, is_behind=is_behind)


def test_events_keep_their_order_and_telemetry_only_its_latest() -> None:
    waiting = backlog()
    waiting.add_latest("metrics", "a", b"m1")
    waiting.add_event(1, b"e1")
    waiting.add_latest("metrics", "b", b"m2")
    waiting.add_latest("heartbeat", "a", b"h1")
    waiting.add_event(2, b"e2")
    waiting.add_latest("metrics", "a", b"m3")
    assert len(waiting) == 5
    frames = waiting.take()
    assert frames[:2] == [b"e1", b"e2"]
    assert sorted(frames[2:]) == [b"h1", b"m2", b"m3"]
    assert (len(waiting), waiting.take(), waiting.after) == (0, [], 2)


@given(st.integers(1, 20), st.lists(st.integers(0, 30), max_size=30))
def test_whoever_falls_behind_goes_on_behind_the_last_event_that_it_took(
    limit: int, bursts: list[int]
) -> None:
    waiting, said, seen = backlog(limit), 0, 0
    for burst in bursts:
        for _ in range(burst):
            said += 1
            waiting.add_event(said, b"%d" % said)
        assert len(waiting) <= limit
        frames = [int(frame) for frame in waiting.take()]
        assert frames == list(range(seen + 1, seen + 1 + len(frames)))
        seen += len(frames)
        assert waiting.after == seen
        assert waiting.is_behind == (seen < said)
        if waiting.is_behind:  # it reads what it missed from the record, and is up with it again
            waiting.after, waiting.is_behind, seen = said, False, said


def test_what_was_waiting_is_forgotten_once_something_newer_was_said() -> None:
    waiting = backlog()
    waiting.add_latest("backtest_progress", "a", b"a 90 %")
    waiting.add_latest("backtest_progress", "b", b"b 10 %")
    waiting.drop_latest("backtest_progress", "a")
    waiting.drop_latest("backtest_progress", "never heard of")
    waiting.add_event(1, b"a is completed")
    assert waiting.take() == [b"a is completed", b"b 10 %"]
