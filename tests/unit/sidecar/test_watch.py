"""Frozen, recovered, to be killed; and not fooled by its own absence."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flotilla.engine_sidecar.session.core import watch
from flotilla.engine_sidecar.session.core.watch import Finding, Pulse


def run(pulse: Pulse, times: list[float], **limits: float) -> tuple[Pulse, list[Finding]]:
    chosen = {"frozen_after_s": 5.0, "kill_after_s": 30.0} | limits
    findings = []
    for now in times:
        pulse, finding = watch.check(pulse, now, **chosen)
        findings.append(finding)
    return pulse, findings


def every(start: float, end: float, step: float = 0.5) -> list[float]:
    return [start + step * i for i in range(1, round((end - start) / step) + 1)]


def test_an_engine_that_ticks_is_fine() -> None:
    pulse = watch.started(100.0)
    for now in every(100.0, 200.0):
        pulse = watch.ticked(pulse, 0.01, now)
        pulse, finding = watch.check(pulse, now, frozen_after_s=5.0, kill_after_s=30.0)
        assert finding is Finding.SAME
    assert not pulse.is_frozen


def test_silence_is_told_once_and_then_leads_to_a_kill() -> None:
    _, findings = run(watch.started(0.0), every(0.0, 31.0))
    assert findings.count(Finding.FROZEN) == 1
    assert findings.index(Finding.FROZEN) == 10  # 5.5 s
    assert findings.index(Finding.KILL) == 60  # 30.5 s


def test_ticks_of_a_stuck_loop_prove_nothing() -> None:
    pulse = watch.started(0.0)
    findings = []
    for now in every(0.0, 10.0):
        pulse = watch.ticked(pulse, now, now)  # the loop last answered at 0
        pulse, finding = watch.check(pulse, now, frozen_after_s=5.0, kill_after_s=30.0)
        findings.append(finding)
    assert Finding.FROZEN in findings


def test_a_tick_after_a_freeze_recovers() -> None:
    pulse, _ = run(watch.started(0.0), every(0.0, 10.0))
    assert pulse.is_frozen
    pulse, finding = watch.check(watch.ticked(pulse, 0.0, 10.2), 10.3, frozen_after_s=5.0, kill_after_s=30.0)
    assert finding is Finding.RECOVERED
    assert not pulse.is_frozen


def test_time_in_which_we_were_suspended_ourselves_is_not_held_against_the_engine() -> None:
    pulse, _ = run(watch.started(0.0), every(0.0, 2.0))
    pulse, findings = run(pulse, [600.0, 600.5])
    assert findings == [Finding.SAME, Finding.SAME]
    # Its first tick may still carry the age of a loop that was suspended with us.
    pulse = watch.ticked(pulse, 598.0, 600.6)
    assert watch.check(pulse, 600.7, frozen_after_s=5.0, kill_after_s=30.0)[1] is Finding.SAME


def test_a_limit_shorter_than_the_ticks_is_raised() -> None:
    _, findings = run(watch.started(0.0), [0.3, 0.6, 0.9], frozen_after_s=0.1)
    assert findings == [Finding.SAME] * 3


@given(st.lists(st.floats(0.01, 0.9), min_size=1, max_size=200), st.data())
def test_frozen_and_recovered_alternate(gaps: list[float], data: st.DataObject) -> None:
    pulse, now, told = watch.started(0.0), 0.0, []
    for gap in gaps:
        now += gap
        if data.draw(st.booleans()):
            pulse = watch.ticked(pulse, data.draw(st.floats(0, 50)), now)
        pulse, finding = watch.check(pulse, now, frozen_after_s=2.0, kill_after_s=4.0)
        if finding in (Finding.FROZEN, Finding.RECOVERED):
            told.append(finding)
        if finding is Finding.KILL:
            assert pulse.silent_s(now) > 4.0
    assert all(one != other for one, other in pairwise(told))
    assert told[:1] in ([], [Finding.FROZEN])
