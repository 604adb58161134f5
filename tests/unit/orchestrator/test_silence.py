"""Engines that are not heard while their containers are up."""

from typing import Any

import pytest

from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import StopEngine
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import DesiredState, FailureReason, RunState, SilencePolicy, StopPolicy
from flotilla.schemas.telemetry import FleetAlert
from flotilla.services.orchestrator.engines.core import ends, silence
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import CommandStop, RaiseAlert
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.lifecycle import stop
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop, Session, Silence
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.sightings import Sight
from tests.unit.orchestrator.makers import NOW, after, beat, engine, facts, replace, session, state_event

UNHEARD = Sight(is_host_in_sight=True, is_listed=True, container=facts(), is_unheard=True, is_silent=True)
HEARD = Sight(is_host_in_sight=True, is_listed=True, container=facts(), heartbeat=beat())
UP = ("booting", "connecting", "reconciling", "trading", "impaired")


def looked(present: Engine, sight: Sight, seconds: float = 0) -> Decision | None:
    return reconcile(present, sight, (), after(seconds))


def after_look(present: Engine, sight: Sight, seconds: float = 0) -> tuple[Engine, Session, list[FleetAlert]]:
    decision = looked(present, sight, seconds)
    assert decision is not None
    assert decision.engine.session is not None
    alerts = [effect.alert for effect in decision.effects if isinstance(effect, RaiseAlert)]
    return decision.engine, decision.engine.session, alerts


def silent(policy: SilencePolicy, **facts_of_session: Any) -> Engine:
    present = session(RunState.SILENT, **{"started_at": NOW, "silence": Silence(), **facts_of_session})
    return engine(present, restart_policy=RestartPolicy(max_restarts=2, on_silence=policy))


@pytest.mark.parametrize("state", UP)
def test_an_engine_that_is_not_heard_is_silent_and_somebody_is_told(state: str) -> None:
    _, found, alerts = after_look(engine(session(RunState(state))), UNHEARD)
    assert found.state == RunState.SILENT
    assert found.detail == "no heartbeat for 15 s while its container is up"
    assert [(alert.severity, alert.code) for alert in alerts] == [("critical", "silent")]


@pytest.mark.parametrize(
    "sight",
    [
        HEARD,
        replace(UNHEARD, is_silent=False),
        replace(UNHEARD, container=None, is_listed=False),
        replace(UNHEARD, container=facts(ContainerStatus.CREATED)),
    ],
)
def test_it_takes_fifteen_seconds_and_a_container_that_is_up(sight: Sight) -> None:
    assert looked(engine(session()), sight) is None


def test_out_of_sight_it_is_unknown_and_not_silent() -> None:
    _, found, _ = after_look(engine(session()), replace(UNHEARD, is_host_in_sight=False))
    assert found.state == RunState.UNKNOWN
    _, found, _ = after_look(silent(SilencePolicy.REPORT), replace(UNHEARD, is_host_in_sight=False))
    assert found.state == RunState.UNKNOWN
    _, found, alerts = after_look(engine(session(RunState.UNKNOWN)), UNHEARD)
    assert (found.state, len(alerts)) == (RunState.SILENT, 1)


def test_a_stop_has_a_bound_of_its_own() -> None:
    ordered = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL, acknowledged_at=NOW)
    for state in (RunState.STOPPING, RunState.UNKNOWN):
        assert looked(engine(session(state, stop=ordered)), UNHEARD, 1) is None


@pytest.mark.parametrize("state", ["trading", "impaired", "connecting"])
def test_heard_again_it_is_where_its_sidecar_says(state: str) -> None:
    sight = replace(HEARD, heartbeat=beat(RunState(state), problems=("A is STOPPED",)))
    _, found, alerts = after_look(silent(SilencePolicy.REPORT), sight)
    assert found.state == RunState(state)
    assert found.detail == ("A is STOPPED" if state == "impaired" else None)
    assert [(alert.severity, alert.code) for alert in alerts] == [("info", "heard_again")]


def test_where_the_policy_is_to_report_nothing_else_is_done() -> None:
    assert looked(silent(SilencePolicy.REPORT), UNHEARD, 3600) is None
    assert (
        looked(engine(session(RunState.SILENT, silence=Silence()), restart_policy=None), UNHEARD, 3600)
        is None
    )


@pytest.mark.parametrize(
    ("policy", "desired"),
    [(SilencePolicy.STOP, DesiredState.STOPPED), (SilencePolicy.RESTART, DesiredState.RUNNING)],
)
def test_where_the_policy_ends_it_a_stop_is_ordered(policy: SilencePolicy, desired: DesiredState) -> None:
    found, stopping, _ = after_look(silent(policy), UNHEARD, 1)
    assert (found.desired, stopping.state) == (desired, RunState.STOPPING)
    assert stopping.stop is not None
    assert stopping.stop.is_for_silence
    decision = looked(silent(policy), UNHEARD, 1)
    assert decision is not None
    commands = [effect for effect in decision.effects if isinstance(effect, CommandStop)]
    assert [(command.session_id, command.policy) for command in commands] == [("s1", StopPolicy.CANCEL)]


@pytest.mark.parametrize(
    ("policy", "is_restarted"), [(SilencePolicy.STOP, False), (SilencePolicy.RESTART, True)]
)
@pytest.mark.parametrize("is_orderly", [True, False])
def test_its_end_is_a_failure_for_silence_and_only_a_restart_follows(
    policy: SilencePolicy, is_restarted: bool, is_orderly: bool
) -> None:
    stopping, _, _ = after_look(silent(policy), UNHEARD, 1)
    if is_orderly:  # heard again, it obeys the stop
        ended = apply_states(stopping, [state_event(9, RunState.STOPPED)], (), after(3)).engine
    else:
        gone = replace(UNHEARD, container=facts(ContainerStatus.EXITED, exit_code=-9))
        waiting, _, _ = after_look(stopping, gone, 40)
        ended, found, _ = after_look(waiting, gone, 43)
        assert (found.state, found.reason) == (RunState.FAILED, FailureReason.FROZEN)
    assert ended.session is not None
    assert ended.session.is_over
    assert (ended.restart_at is not None) == is_restarted


@pytest.mark.parametrize("policy", [SilencePolicy.STOP, SilencePolicy.RESTART])
def test_one_that_ended_before_its_policy_came_to_it_failed_as_its_container_says(
    policy: SilencePolicy,
) -> None:
    out_of_memory = facts(ContainerStatus.EXITED, exit_code=-9, is_oom_killed=True)
    gone = replace(UNHEARD, container=out_of_memory)
    waiting, found, _ = after_look(silent(policy), gone, 1)
    assert found.stop is None
    _, found, _ = after_look(waiting, gone, 4)
    assert (found.state, found.reason) == (RunState.FAILED, FailureReason.OOM)


def test_a_stop_that_somebody_asks_for_takes_the_place_of_the_policy() -> None:
    asked = stop(silent(SilencePolicy.RESTART), StopEngine(), request_id="r", now=after(1)).engine
    assert asked.session is not None
    assert asked.session.stop is not None
    assert not asked.session.stop.is_for_silence
    # And when the policy was first.
    stopping, _, _ = after_look(silent(SilencePolicy.RESTART), UNHEARD, 1)
    asked = stop(stopping, StopEngine(), request_id="r", now=after(2)).engine
    ended = apply_states(asked, [state_event(9, RunState.STOPPED)], (), after(3)).engine
    assert ended.restart_at is None
    assert asked.session is not None
    assert asked.session.stop is not None
    assert not asked.session.stop.is_for_silence


def told(*spells: tuple[float, Sight]) -> tuple[Engine, list[tuple[float, str, str]]]:
    """The engine, and the alerts of it, as it was seen at these seconds."""
    present, alerts = engine(session()), []
    for at, sight in spells:
        decision = looked(present, sight, at)
        if decision is not None:
            present = decision.engine
            found = [effect.alert for effect in decision.effects if isinstance(effect, RaiseAlert)]
            alerts += [(at, alert.code, alert.message) for alert in found]
    return present, alerts


def test_one_that_falls_silent_again_and_again_is_told_twice_and_is_heard_when_it_has_been_for_a_while() -> (
    None
):
    flapping = [(16.0 * number, HEARD if number % 2 == 0 else UNHEARD) for number in range(1, 41)]
    present, alerts = told(*flapping, (939.0, HEARD), (941.0, HEARD), (1300.0, HEARD))
    assert [(at, code) for at, code, _ in alerts] == [
        (16.0, "silent"),
        (32.0, "heard_again"),
        (48.0, "silent"),
        (941.0, "heard_again"),
    ]
    assert "is silent again within 300 s, 2 times by now" in alerts[2][2]
    assert "is heard again, for 300 s; it was silent 20 times: it is trading" in alerts[3][2]
    assert present.session is not None
    assert present.session.silence is not None
    assert not present.session.silence.is_open


def test_one_that_falls_silent_long_after_is_told_as_the_first_time() -> None:
    _, alerts = told((16.0, UNHEARD), (32.0, HEARD), (332.0, UNHEARD), (348.0, HEARD))
    assert [code for _, code, _ in alerts] == ["silent", "heard_again", "silent", "heard_again"]
    assert "again within" not in alerts[2][2]


def test_one_that_was_out_of_sight_while_it_was_silent_is_told_of_once() -> None:
    away = replace(UNHEARD, is_host_in_sight=False)
    _, alerts = told((16.0, UNHEARD), (20.0, away), (30.0, UNHEARD), (40.0, HEARD))
    assert [code for _, code, _ in alerts] == ["silent", "heard_again"]


def test_what_its_sidecar_says_by_an_event_counts_as_heard() -> None:
    said = apply_states(silent(SilencePolicy.REPORT), [state_event(9, RunState.TRADING)], (), after(1)).engine
    _, found, alerts = after_look(said, HEARD, 2)
    assert (found.state, [alert.code for alert in alerts]) == (RunState.TRADING, ["heard_again"])


@pytest.mark.parametrize("is_asked", [True, False])
def test_an_end_that_follows_silence_closes_its_alert(is_asked: bool) -> None:
    present = silent(SilencePolicy.REPORT)
    if is_asked:
        present = stop(present, StopEngine(), request_id="r", now=after(1)).engine
        decision = apply_states(present, [state_event(9, RunState.STOPPED)], (), after(3))
    else:
        gone = replace(UNHEARD, container=facts(ContainerStatus.EXITED, exit_code=-9))
        waiting, _, _ = after_look(present, gone, 1)
        found = looked(waiting, gone, 4)
        assert found is not None
        present, decision = waiting, found
    over = ends.ended_by(present, decision)
    assert over is not None
    concluded = ends.concluded(present, decision, over, ends.Exposure(), after(4))
    codes = [effect.alert.code for effect in concluded.effects if isinstance(effect, RaiseAlert)]
    assert codes[-1] == "silent_over"
    assert codes[:-1] == ([] if is_asked else ["engine_failed"])


def test_who_takes_over_tells_of_a_silence_under_the_same_key_and_of_none_that_was_not_told() -> None:
    decision = looked(engine(session()), UNHEARD, 16)
    assert decision is not None
    (told_first,) = [effect for effect in decision.effects if isinstance(effect, RaiseAlert)]
    (told_again,) = silence.standing(decision.engine, after(40))
    assert isinstance(told_again, RaiseAlert)
    assert (told_again.key, told_again.alert.message) == (told_first.key, told_first.alert.message)
    assert silence.standing(engine(session()), after(40)) == ()
    often = engine(session(RunState.SILENT, silence=Silence(times=3)))
    assert silence.standing(often, after(40)) == ()
