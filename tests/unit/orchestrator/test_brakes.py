"""What is decided when an engine is braked, and that no session of it begins without its brake."""

from typing import Any

import pytest

from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import CommandAccepted
from flotilla.schemas.states import Brake, DesiredState, FailureReason, RunState, StopPolicy
from flotilla.services.orchestrator.engines.core import brakes, lifecycle
from flotilla.services.orchestrator.engines.core.again import start_again
from flotilla.services.orchestrator.engines.core.brakes import Asked
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import CommandBrake
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.orphans import adopt
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings, Sight
from flotilla.services.orchestrator.engines.core.views import live_view
from tests.unit.orchestrator.makers import (
    HOSTS,
    NOW,
    after,
    beat,
    config,
    engine,
    facts,
    replace,
    session,
    spec,
    state_event,
)

HALT = Asked(brake=Brake.HALTED, by="alice")
HALTED = EngineBrake(brake=Brake.HALTED, number=1, since=NOW, by="alice")
RESUME = Asked(brake=Brake.NONE, by="bob")
SEEN = Sight(is_host_in_sight=True, is_listed=True)


def asked(of: Engine, what: Asked, heartbeat: Any = None, now: float = 0) -> Decision:
    return brakes.brake(of, what, request_id="r", heartbeat=heartbeat, now=after(now))


def refusal(of: Engine, what: Asked) -> FaultError:
    with pytest.raises(FaultError) as refused:
        asked(of, what)
    return refused.value


def answer(**what: Any) -> CommandAccepted:
    return CommandAccepted(instance_id="e1", session_id="s1", request_id="r", message="", **what)


def test_a_brake_goes_on_record_with_who_asked_for_it_and_since_when() -> None:
    decision = asked(engine(session()), HALT)
    assert decision.engine.brake == HALTED
    assert decision.reply is not None
    assert (decision.reply.session_id, decision.reply.is_taken) == ("s1", None)
    assert decision.reply.brake == HALTED
    assert decision.reply.message == "engine e1 is halted by alice"


def test_whoever_asks_for_the_brake_that_is_on_changes_nothing_and_is_told_whose_it_is() -> None:
    decision = asked(engine(session(), brake=HALTED), Asked(brake=Brake.HALTED, by="carol"), now=9)
    assert decision.engine.brake == HALTED
    assert decision.reply is not None
    assert decision.reply.message == "engine e1 is halted by alice"


def test_a_brake_is_changed_and_lifted_under_numbers_that_grow() -> None:
    reduced = asked(engine(session(), brake=HALTED), Asked(brake=Brake.REDUCED, by="bob"), now=1).engine
    assert reduced.brake == EngineBrake(brake=Brake.REDUCED, number=2, since=after(1), by="bob")
    released = asked(reduced, RESUME, now=2)
    assert released.engine.brake == EngineBrake(number=3, since=after(2), by="bob")
    assert released.reply is not None
    assert released.reply.message == "engine e1 is not braked any more"


def test_a_record_that_was_put_back_catches_up_with_its_engine() -> None:
    heard = beat(brake=EngineBrake(brake=Brake.HALTED, number=6))
    assert asked(engine(session()), RESUME, heard).engine.brake.number == 7
    assert asked(engine(session(), brake=HALTED), RESUME, heard).engine.brake.number == 7


def test_a_name_is_kept_as_far_as_it_can_be() -> None:
    named = asked(engine(session()), Asked(brake=Brake.HALTED, by="x\x00" * 90)).engine.brake
    assert named.by == "x\ufffd" * 50


@pytest.mark.parametrize(
    "of",
    [
        engine(),
        engine(session(RunState.STOPPED), desired=DesiredState.STOPPED),
        engine(session(RunState.STOPPING), desired=DesiredState.STOPPED),
        engine(session(RunState.FAILED, reason=FailureReason.CONFIG)),
    ],
)
def test_what_does_not_run_and_will_not_is_not_braked_but_any_brake_can_be_lifted(of: Engine) -> None:
    assert refusal(of, HALT).fault.code is FaultCode.CONFLICT
    lifted = asked(replace(of, brake=HALTED), RESUME)
    assert not lifted.engine.brake.is_on


@pytest.mark.parametrize(
    "of",
    [
        engine(session(RunState.FAILED, reason=FailureReason.CRASH), restart_at=after(5)),
        engine(session(RunState.STOPPED), pending=spec("s2", 2)),
        engine(session(RunState.SCHEDULED)),
    ],
)
def test_what_is_to_begin_begins_braked_and_nothing_is_asked_until_then(of: Engine) -> None:
    decision = asked(of, HALT)
    assert decision.reply is not None
    assert decision.reply.session_id is None
    assert brakes.at_once(decision.reply).is_taken is True


@pytest.mark.parametrize("what", [HALT, Asked(policy=StopPolicy.CANCEL), Asked(policy=StopPolicy.FLATTEN)])
def test_a_worker_is_refused_by_name(what: Asked) -> None:
    problem = refusal(engine(session(), config=config(template="backtest_worker")), what).fault
    assert problem.code is FaultCode.INVALID
    assert problem.errors[0].field == "instance_id"


@pytest.mark.parametrize("state", [RunState.CONNECTING, RunState.SILENT, RunState.STOPPED, RunState.UNKNOWN])
@pytest.mark.parametrize("policy", [StopPolicy.CANCEL, StopPolicy.FLATTEN])
def test_what_is_not_up_is_neither_cancelled_nor_flattened_nor_halted_by_that(
    state: RunState, policy: StopPolicy
) -> None:
    problem = refusal(engine(session(state)), Asked(brake=Brake.HALTED, policy=policy)).fault
    assert problem.code is FaultCode.CONFLICT
    assert f"engine e1 is {state}: it must be up for this" in problem.message


def test_every_session_begins_with_the_brake_of_its_engine() -> None:
    braked = engine(session(RunState.STOPPED), desired=DesiredState.STOPPED, brake=HALTED)
    begun = lifecycle.start(braked, config(), spec("s2"), request_id="r", hosts=HOSTS, now=NOW)
    assert begun.spec is not None
    assert (begun.spec.brake, begun.engine.brake) == (HALTED, HALTED)
    assert begun.reply is not None
    assert begun.reply.message == "engine e1 is starting, halted by alice until it is resumed"
    assert begun.reply.brake == HALTED
    restarting = lifecycle.restart(
        engine(session(), brake=HALTED), spec("s2"), request_id="r", hosts=HOSTS, now=NOW
    )
    assert restarting.reply is not None
    assert "restarting, halted by alice" in restarting.reply.message
    ended = apply_states(restarting.engine, [state_event(9, RunState.STOPPED)], HOSTS, after(2))
    assert ended.spec is not None
    assert ended.spec.brake == HALTED


def test_a_restart_after_a_crash_is_braked_also_when_the_crashed_session_was_not() -> None:
    policy = RestartPolicy(max_restarts=3, backoff_s=1)
    failure = state_event(9, RunState.FAILED, reason=FailureReason.CRASH)
    failed = apply_states(engine(session(), restart_policy=policy), [failure], HOSTS, NOW).engine
    halted = asked(failed, HALT).engine
    again = start_again(halted, spec(), "s2", HOSTS, after(60))
    assert again.spec is not None
    assert (again.spec.session_id, again.spec.brake) == ("s2", HALTED)


def test_a_sidecar_that_knows_an_older_brake_is_told_and_no_other() -> None:
    halted = engine(session(), brake=HALTED)
    told = (CommandBrake("e1", "s1", HALTED),)
    assert brakes.reminder(halted, beat()) == told
    assert brakes.reminder(halted, beat(brake=HALTED)) == ()
    assert brakes.reminder(halted, beat(brake=EngineBrake(number=2))) == ()
    assert brakes.reminder(halted, beat(session_id="s0")) == ()
    assert brakes.reminder(halted, None) == ()
    assert brakes.reminder(engine(session()), beat()) == ()
    decision = reconcile(halted, replace(SEEN, container=facts(), heartbeat=beat()), HOSTS, NOW)
    assert decision is not None
    assert (decision.effects, decision.is_change) == (told, False)


def test_what_runs_and_is_on_no_record_brings_its_brake_along() -> None:
    found = adopt(None, replace(spec(), brake=HALTED), facts(), NOW)
    assert found.engine.brake == HALTED
    newer = EngineBrake(number=2)
    known = engine(session(RunState.STOPPED), brake=newer)
    again = adopt(known, replace(spec("s2", 2), brake=HALTED), facts(session_id="s2"), NOW)
    assert again.engine.brake == newer


@pytest.mark.parametrize(
    ("heard", "is_taken"),
    [
        ({"brake": HALTED}, True),
        ({"brake": HALTED, "is_brake_taken": False}, False),
        ({"brake": RELEASED}, False),
    ],
)
def test_people_see_whether_the_engine_obeys(heard: dict[str, Any], is_taken: bool) -> None:
    sightings, halted = FleetSightings(NOW), engine(session(), brake=HALTED)
    assert live_view(halted, sightings, NOW).is_brake_taken is None
    sightings.heard_engine(beat(**heard), NOW)
    view = live_view(halted, sightings, NOW)
    assert (view.brake, view.is_brake_taken) == (HALTED, is_taken)


@pytest.mark.parametrize(
    ("of", "put", "is_so"),
    [
        (session(), HALTED, False),
        (session(RunState.IMPAIRED, detail="halted by alice; strategy A-000 is STOPPED"), HALTED, True),
        (session(RunState.IMPAIRED, detail="reduced by bob"), HALTED, False),
        (session(RunState.IMPAIRED, detail="reduced by bob"), RELEASED, False),
        (session(RunState.IMPAIRED, detail="strategy A-000 is STOPPED"), RELEASED, True),
        (session(), RELEASED, True),
        (session(RunState.CONNECTING), HALTED, True),
        (None, HALTED, True),
    ],
)
def test_an_answer_waits_for_the_state_that_the_brake_makes(
    of: Any, put: EngineBrake, *, is_so: bool
) -> None:
    assert brakes.is_shown(engine(of), put) is is_so


def test_an_answer_never_says_more_than_the_engine_did() -> None:
    reply = asked(engine(session()), HALT).reply
    assert reply is not None
    assert brakes.braked(reply, answer(is_taken=True)).is_taken is True
    for doubtful in (
        brakes.braked(reply, answer(is_taken=False)),
        brakes.braked(reply, answer()),
        brakes.braked(reply, None, "nobody answers"),
    ):
        assert doubtful.is_taken is False
        assert "not known to have taken it" in doubtful.message
        # What the market said does not make up for a brake that may not hold.
        assert brakes.withdrawn(doubtful, answer(orders_cancelled=1)).is_taken is False


def test_what_events_confirmed_is_counted_and_what_is_left_is_listed() -> None:
    reply = asked(engine(session()), Asked(policy=StopPolicy.FLATTEN)).reply
    assert reply is not None
    done = brakes.withdrawn(reply, answer(orders_cancelled=1, positions_closed=2))
    assert done.is_taken is True
    assert done.message == "engine e1 goes on; 1 order cancelled, 2 positions closed"
    left = ("order O-1 still accepted", "position P-1 still open")
    doubtful = brakes.withdrawn(reply, answer(orders_cancelled=1, positions_closed=0, not_confirmed=left))
    assert (doubtful.is_taken, doubtful.not_confirmed) == (False, left)
    assert doubtful.message.endswith("not confirmed: order O-1 still accepted; position P-1 still open")
    assert brakes.withdrawn(reply, answer()).is_taken is False
    silent = brakes.not_withdrawn(reply, "the engine did not answer")
    assert (silent.is_taken, silent.orders_cancelled) == (False, None)
    assert silent.not_confirmed == ("the engine did not answer",)


BY_ITSELF = EngineBrake(brake=Brake.HALTED, number=1, by="dead man")
"""What a sidecar says whose engine flattened itself; it knows no wall clock to trust."""


def test_what_an_engine_put_on_by_itself_goes_on_record() -> None:
    seen = Sight(is_host_in_sight=True, is_listed=True, heartbeat=beat(RunState.IMPAIRED, brake=BY_ITSELF))
    decision = reconcile(engine(session()), seen, HOSTS, after(5))
    assert decision is not None
    assert decision.is_change
    assert decision.engine.brake == EngineBrake(brake=Brake.HALTED, number=1, since=after(5), by="dead man")
    assert reconcile(decision.engine, seen, HOSTS, after(6)) is None, (
        "it is known, and when it was heard first"
    )


def test_where_somebody_braked_it_at_once_the_session_is_told_whose_brake_holds() -> None:
    by_alice = EngineBrake(brake=Brake.HALTED, number=1, since=NOW, by="alice")
    seen = Sight(is_host_in_sight=True, is_listed=True, heartbeat=beat(RunState.IMPAIRED, brake=BY_ITSELF))
    decision = reconcile(engine(session(), brake=by_alice), seen, HOSTS, after(5))
    assert decision is not None
    put = replace(by_alice, number=2)
    assert decision.engine.brake == put
    assert CommandBrake("e1", "s1", put) in decision.effects
    obeys = replace(seen, heartbeat=beat(RunState.IMPAIRED, brake=put))
    assert reconcile(decision.engine, obeys, HOSTS, after(7)) is None


def test_it_goes_on_record_by_its_events_too_also_when_its_session_is_over_by_then() -> None:
    told = state_event(5, RunState.STOPPED, brake=BY_ITSELF)
    decision = apply_states(engine(session()), [told], HOSTS, after(5))
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.STOPPED
    assert (decision.engine.brake.brake, decision.engine.brake.number) == (Brake.HALTED, 1)
    begun = start_of(decision.engine)
    assert begun.brake == decision.engine.brake


def start_of(of: Engine) -> Any:
    """The spec of the next session of this engine, asked for by a person."""
    begun = lifecycle.start(of, of.config, spec("s2"), request_id="r2", hosts=HOSTS, now=after(60))
    assert begun.spec is not None
    return begun.spec


@pytest.mark.parametrize(
    ("known", "said", "holds"),
    [
        # (brake, number, by) on record; of the session; what is on record then
        (("none", 1, "alice"), ("halted", 1, "dead man"), ("halted", 1, "dead man")),
        (("halted", 1, "alice"), ("reduced", 1, "x"), ("halted", 2, "alice")),
        (("halted", 1, "alice"), ("halted", 1, "dead man"), ("halted", 2, "alice")),
        (("none", 2, "alice"), ("halted", 1, "dead man"), ("none", 2, "alice")),
        (("halted", 1, "alice"), ("none", 3, "bob"), ("none", 3, "bob")),
        (("halted", 1, "alice"), ("none", 3, "limit"), ("halted", 4, "alice")),
        (("halted", 2, "limit"), ("none", 3, "limit"), ("none", 3, "limit")),
        (("halted", 1, "alice"), ("halted", 2, "limit"), ("halted", 2, "limit")),
        (("none", 0, ""), ("halted", 1 << 60, "evil"), ("none", 0, "")),
    ],
    ids=[
        "narrower",
        "narrower on record",
        "as narrow",
        "older",
        "later",
        "unheard",
        "limit over",
        "limit",
        "no count",
    ],
)
def test_of_two_brakes_the_later_holds_and_of_two_at_once_the_narrower(
    known: tuple[str, int, str], said: tuple[str, int, str], holds: tuple[str, int, str]
) -> None:
    first, second = (
        EngineBrake(brake=Brake(brake), number=number, by=by, since=NOW)
        for brake, number, by in (known, said)
    )
    put = brakes.later(first, second, after(9))
    assert (str(put.brake), put.number, put.by) == holds


def test_another_sessions_brake_is_not_taken() -> None:
    seen = Sight(is_host_in_sight=True, is_listed=True, heartbeat=beat(brake=BY_ITSELF, session_id="other"))
    assert reconcile(engine(session()), seen, HOSTS, after(5)) is None
