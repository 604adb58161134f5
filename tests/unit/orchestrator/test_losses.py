"""What loss limits do and know goes on record as the sidecar says it, and is handed to every session that begins."""

from datetime import timedelta

import pytest

from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.loss_limits import NOTHING_KEPT, LossesView
from flotilla.schemas.states import Brake, RunState
from flotilla.services.orchestrator.engines.core import brakes
from flotilla.services.orchestrator.engines.core.brakes import Asked, as_heard
from flotilla.services.orchestrator.engines.core.decision import Decision, begin
from flotilla.services.orchestrator.engines.core.effects import CommandBrake, PublishState
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.orphans import adopt
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.sightings import Sight
from flotilla.services.orchestrator.engines.core.views import record_view
from tests.unit.orchestrator.makers import HOSTS, NOW, beat, engine, facts, replace, session, spec
from tests.unit.schemas.losses import kept, limits, mark, trip

BY_LIMIT = EngineBrake(brake=Brake.HALTED, number=1, since=NOW, by="limit")
TRIPPED = kept("1000", peak="1100", tripped=(trip("day", "100", "flatten"),))
RESUME = Asked(brake=Brake.NONE, by="bob")
HALT = Asked(brake=Brake.HALTED, by="alice")


def heard(of: Engine, *, brake: EngineBrake = BY_LIMIT, losses: object = TRIPPED) -> Decision | None:
    view = LossesView(limits=limits(), kept=losses, last=mark("900"))  # type: ignore[arg-type]
    told = beat(RunState.IMPAIRED, brake=brake, losses=view)
    sight = Sight(is_host_in_sight=True, is_listed=True, container=facts(), heartbeat=told)
    return reconcile(of, sight, HOSTS, NOW)


def test_a_limit_that_was_reached_goes_on_record_with_its_brake_and_is_told() -> None:
    decision = heard(engine(session(RunState.IMPAIRED)))
    assert decision is not None
    assert (decision.engine.brake, decision.engine.losses) == (BY_LIMIT, TRIPPED)
    assert decision.effects == (PublishState(decision.engine),)
    assert decision.engine.version == engine().version + 1
    assert heard(decision.engine) is None


def test_a_peak_that_rises_is_kept_and_is_no_news() -> None:
    before = engine(session(RunState.TRADING), losses=kept("1000", peak="1100"))
    decision = heard(before, brake=EngineBrake(), losses=kept("1000", peak="1200"))
    assert decision is not None
    assert (decision.engine.losses.peak, decision.effects, decision.is_change) == (mark("1200"), (), True)
    assert (decision.engine.version, decision.engine.updated_at) == (before.version + 1, before.updated_at)


def test_every_session_that_begins_is_handed_what_was_kept() -> None:
    before = engine(session(RunState.FAILED), losses=TRIPPED, brake=BY_LIMIT)
    begun = begin(before, spec("s2", 2), HOSTS, NOW)
    assert begun.spec is not None
    assert (begun.spec.losses, begun.spec.brake) == (TRIPPED, BY_LIMIT)
    adopted = adopt(None, replace(spec(), losses=TRIPPED, brake=BY_LIMIT), facts(), NOW)
    assert (adopted.engine.losses, adopted.engine.brake) == (TRIPPED, BY_LIMIT)


def test_a_resume_lifts_it_on_record_too_where_no_session_runs() -> None:
    before = engine(session(RunState.STOPPED), losses=TRIPPED, brake=BY_LIMIT)
    decision = brakes.brake(before, RESUME, request_id="r", heartbeat=None, now=NOW)
    assert decision.reply is not None
    assert decision.reply.message.endswith("; its loss limits count anew")
    after = decision.engine
    assert (after.brake.brake, after.brake.number, after.losses.tripped) == (Brake.NONE, 2, ())
    assert (after.losses.counted_from, after.losses.peak) == (None, TRIPPED.peak)


def test_a_halt_by_a_person_of_what_a_limit_halted_is_that_persons_and_outlasts_the_day() -> None:
    until_the_day = kept("1000", tripped=(trip("day", "100", "flatten", "next_day"),))
    before = engine(session(RunState.IMPAIRED), losses=until_the_day, brake=BY_LIMIT)
    decision = brakes.brake(before, HALT, request_id="r", heartbeat=None, now=NOW)
    by_alice = EngineBrake(brake=Brake.HALTED, number=2, since=NOW, by="alice")
    assert decision.reply is not None
    assert (decision.engine.brake, decision.reply.message) == (by_alice, "engine e1 is halted by alice")
    assert [each.brake for each in decision.engine.losses.tripped] == [2], "it is closed on"
    again = brakes.brake(decision.engine, HALT, request_id="r2", heartbeat=None, now=NOW).engine
    assert again.brake == by_alice


def test_a_day_that_began_before_the_engine_heard_of_a_persons_halt_does_not_lift_it() -> None:
    by_alice = EngineBrake(brake=Brake.HALTED, number=2, since=NOW, by="alice")
    lifted = EngineBrake(number=2, since=NOW, by="limit")
    after = as_heard(engine(session(), brake=by_alice), beat(brake=lifted), NOW)
    assert after.brake == replace(by_alice, number=3)


def test_a_resume_lifts_what_was_reached_without_a_brake() -> None:
    told_only = kept("1000", tripped=(trip("drawdown", "10%", "alert", brake=0),))
    before = engine(session(), losses=told_only)
    after = brakes.brake(before, RESUME, request_id="r", heartbeat=None, now=NOW).engine
    assert (after.brake.number, after.losses.tripped) == (1, ())
    again = brakes.brake(after, RESUME, request_id="r2", heartbeat=None, now=NOW).engine
    assert again.brake == after.brake


def test_a_sidecar_that_has_not_heard_of_the_resume_does_not_undo_it() -> None:
    resumed = brakes.brake(
        engine(session(RunState.IMPAIRED), losses=TRIPPED, brake=BY_LIMIT),
        RESUME,
        request_id="r",
        heartbeat=None,
        now=NOW,
    ).engine
    decision = heard(resumed)
    assert decision is not None
    assert not decision.is_change
    assert [type(effect) for effect in decision.effects] == [CommandBrake]


@pytest.mark.parametrize(
    ("ours", "theirs", "held"),
    [
        (EngineBrake(number=1, by="bob"), BY_LIMIT, BY_LIMIT),
        (EngineBrake(brake=Brake.REDUCED, number=1, by="bob"), BY_LIMIT, BY_LIMIT),
        (
            EngineBrake(brake=Brake.HALTED, number=1, by="bob"),
            EngineBrake(brake=Brake.REDUCED, number=1, by="limit"),
            EngineBrake(brake=Brake.HALTED, number=2, by="bob"),
        ),
    ],
)
def test_of_two_brakes_that_crossed_the_narrower_holds(
    ours: EngineBrake, theirs: EngineBrake, held: EngineBrake
) -> None:
    after = as_heard(engine(session(), brake=ours), beat(brake=theirs), NOW)
    assert after.brake == held


def test_what_another_session_says_is_not_taken() -> None:
    before = engine(session(session_id="s9", created_at=NOW + timedelta(days=1)))
    assert as_heard(before, beat(brake=BY_LIMIT), NOW) == before


def test_the_record_shows_what_it_keeps_and_nothing_where_there_is_nothing() -> None:
    assert record_view(engine(session()), NOW).losses is None
    shown = record_view(engine(session(), losses=TRIPPED), NOW).losses
    assert shown == LossesView(kept=TRIPPED)
    assert engine().losses == NOTHING_KEPT
