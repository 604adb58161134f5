"""A second voice in an engine's name is heard within seconds; one voice, however odd, is never taken for two."""

from datetime import timedelta
from itertools import count

import pytest

from flotilla.schemas.telemetry import EngineMetrics
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort
from flotilla.services.orchestrator.engines.core.voices import Voices
from tests.unit.orchestrator.makers import after, beat

SECOND = 1_000_000_000


class Session:
    """A sidecar that beats once a second; `sent_s` of a beat is when it left, by the clock of its host."""

    def __init__(self) -> None:
        self.voices = Voices("s1")
        self.beats = count(1)

    def beat(
        self, at_s: float, last_seq: int, *, sent_s: float | None = None, is_over: bool = False
    ) -> Finding | None:
        at_ns = int((at_s if sent_s is None else sent_s) * SECOND)
        heard = beat(beat=next(self.beats), last_seq=last_seq, at_ns=at_ns)
        return self.voices.beats(heard, after(at_s), is_over=is_over)

    def event(self, seq: int, at_s: float) -> None:
        self.voices.recorded(seq, int(at_s * SECOND), after(at_s))


def metrics(fills: int, pnl: str = "1.00") -> EngineMetrics:
    return EngineMetrics(
        instance_id="e1", session_id="s1", at_ns=0, fills_total=fills, realized_pnl={"USD": pnl}
    )


def test_an_event_that_its_sidecar_did_not_make_is_found_within_eight_seconds() -> None:
    one = Session()
    one.event(4, 0)
    assert [one.beat(second, 4) for second in range(5)] == [None] * 5
    one.event(5, 5.5)
    found = {second: finding for second in range(6, 20) if (finding := one.beat(second, 4))}
    assert min(found) == 13
    assert (found[13].sort, found[13].is_proof) == (Sort.AHEAD, True)
    assert found[13].text == "events 5 to 5 are on record, and its sidecar has made 4"


def test_an_end_that_its_sidecar_did_not_make_is_found_by_one_beat_that_was_made_after_it() -> None:
    one = Session()
    one.event(4, 0)
    assert [one.beat(second, 4) for second in range(5)] == [None] * 5
    one.event(5, 5.5)
    # Those that left before its end say nothing of it, however late they come.
    found = [second for second in range(6, 20) if one.beat(second, 4, sent_s=5, is_over=True)]
    assert found == []
    assert one.beat(20, 5, is_over=True) is None
    one = Session()
    one.event(4, 0)
    one.event(5, 5.5)
    found = [second for second in range(6, 20) if one.beat(second, 4, is_over=True)]
    assert found == list(range(9, 20))


def test_whoever_forges_one_event_after_the_other_is_found_as_soon() -> None:
    one = Session()
    one.event(4, 0)
    found = []
    for second in range(1, 12):
        one.event(4 + second, second + 0.1)
        found += [second] if one.beat(second + 0.2, 4) else []
    assert found[0] <= 9


def test_heartbeats_that_agree_with_a_forged_event_hide_nothing() -> None:
    one = Session()
    one.event(9, 0)
    assert any(
        finding for second in range(10) for finding in (one.beat(second, 3), one.beat(second + 0.5, 9))
    )


@pytest.mark.parametrize("events_a_second", [1, 50])
def test_an_engine_that_works_is_one_voice(events_a_second: int) -> None:
    one = Session()
    for second in range(60):
        last = second * events_a_second
        assert one.beat(second, last) is None
        for event in range(1, events_a_second + 1):
            one.event(last + event, second + 0.1)


def test_beats_that_waited_while_we_were_suspended_count_what_there_was_when_they_left() -> None:
    """The events of a whole minute are on record at once, and its beats come after, slowly."""
    one = Session()
    one.event(10, 0)
    one.event(70, 60)
    assert [one.beat(64 + second / 10, 10 + second, sent_s=second) for second in range(60)] == [None] * 60


def test_a_sidecar_of_an_older_release_does_not_say_what_it_made() -> None:
    one = Session()
    one.event(10, 0)
    assert [one.beat(second, 0) for second in range(20)] == [None] * 20


@pytest.mark.parametrize("forged", [-80, 0, 2, 2**62])
def test_two_who_beat_are_found_whatever_number_the_second_takes(forged: int) -> None:
    voices, found = Voices("s1"), []
    for second in range(100, 112):
        for number, sent in ((second, second * 2), (second + forged, second * 2 + 1)):
            now = after(second + sent % 2 / 2)
            if finding := voices.beats(beat(beat=number, at_ns=sent), now):
                found.append((second, finding.sort))
    assert {sort for _, sort in found} == {Sort.BEAT}
    assert found[0][0] <= 108


def test_a_thief_who_is_heard_first_is_found_by_the_sidecars_beats() -> None:
    voices = Voices("s1")
    assert voices.beats(beat(beat=2**62, at_ns=1), after(0)) is None
    assert any(voices.beats(beat(beat=each, at_ns=each), after(each)) for each in range(1, 9))


def test_a_beat_that_comes_late_or_twice_is_no_second_voice() -> None:
    voices = Voices("s1")
    for second in range(20, 90):
        for number in (second, second - 3, second - 19, second):
            now = after(second + (number < second) / 2)
            assert voices.beats(beat(beat=number, at_ns=number), now) is None


def test_after_a_long_time_without_beats_the_next_number_is_as_much_higher() -> None:
    voices = Voices("s1")
    assert voices.beats(beat(beat=5, at_ns=5), after(0)) is None
    for number in range(4_000, 4_010):
        assert voices.beats(beat(beat=number, at_ns=number), after(number)) is None


def test_beats_that_are_lost_are_no_second_voice() -> None:
    voices = Voices("s1")
    assert [voices.beats(beat(beat=each, at_ns=each), after(each)) for each in range(1, 90, 7)] == [None] * 13


def test_figures_that_go_back_and_forth_are_of_two_who_tell_them() -> None:
    for forged in (metrics(42), metrics(3, "999999999.00"), metrics(0)):
        voices, found = Voices("s1"), []
        for second in range(8):
            for each in (metrics(3), metrics(3), forged):
                found += [finding] if (finding := voices.measures(each, after(second))) else []
        assert found, forged
        assert found[0].sort == Sort.FIGURES


def test_figures_of_an_engine_that_trades_only_go_on() -> None:
    voices = Voices("s1")
    told = [metrics(number // 3, f"{(-1) ** number * number}.00") for number in range(100)]
    assert [voices.measures(each, after(second)) for second, each in enumerate(told)] == [None] * 100


def test_what_waited_in_a_connection_that_was_given_up_comes_after_what_was_said_on_the_next_one() -> None:
    voices = Voices("s1")
    assert voices.beats(beat(beat=20, at_ns=20), after(20)) is None
    assert voices.measures(metrics(20), after(20)) is None
    for late in range(8, 20):
        now = after(20 + late / 20)
        assert voices.beats(beat(beat=late, at_ns=late), now) is None
        assert voices.measures(metrics(late), now) is None
    for second in range(21, 60):
        assert voices.beats(beat(beat=second, at_ns=second), after(second)) is None
        assert voices.measures(metrics(second), after(second)) is None


def test_breaches_far_apart_are_a_moments_confusion() -> None:
    voices = Voices("s1")
    for minute in range(10):
        now = after(minute * 60)
        assert voices.beats(beat(beat=minute + 5, at_ns=1), now) is None
        assert voices.beats(beat(beat=1, at_ns=1), now + timedelta(seconds=1)) is None
