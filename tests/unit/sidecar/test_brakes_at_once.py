"""A loss limit, the dead man and a person at once: the narrower brake holds, and only what each says lifts it."""

from datetime import timedelta

import pytest

from flotilla.engine_sidecar.link.frames import BrakeTaken, CutLosses, GoOn, PutBrake, Reduce, Tick
from flotilla.engine_sidecar.link.messages import Attended, BrakeAsked, Checked, Effect, Flatten
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.states import Brake, DeadManPolicy, RunState, StopPolicy
from tests.unit.schemas.losses import MONDAY, limit, limits
from tests.unit.sidecar.test_losses import CUT, FLATTENED, alerts, engine, fed, seen, sent

REDUCE, FLATTEN = (DeadMan(policy=DeadManPolicy(each), after_s=20.0) for each in ("reduce", "flatten"))
REDUCED = EngineBrake(brake=Brake.REDUCED, number=1, since=MONDAY, by="limit")
UNHEARD = "no orchestrator is heard for 20 s and more: it only reduces"
NEXT_DAY = timedelta(days=1)


def unheard(session: Session) -> tuple[Session, list[Effect]]:
    """The session once nobody was heard for 20.5 s, looked at twice a second."""
    found: list[Effect] = []
    for half in range(1, 42):
        session, effects = fed(session, Tick(0.0), Checked(), now=half / 2)
        found += effects
    return session, found


def test_a_limit_that_is_reached_while_the_dead_man_reduces_halts_and_closes() -> None:
    session, effects = unheard(fed(engine(dead_man=REDUCE), seen("1000"))[0])
    assert sent(effects) == [Reduce()]
    session, effects = fed(session, seen("900"), BrakeTaken(FLATTENED), now=21.0)
    assert sent(effects) == [PutBrake(FLATTENED), CUT.message]
    assert session.problems == ("halted by limit", UNHEARD)
    session, effects = fed(session, Attended(21.9), now=22.0)
    assert sent(effects) == [GoOn()], "that ends reducing; the gate keeps the brake"
    assert (session.brake, session.problems) == (FLATTENED, ("halted by limit",))
    (told,) = alerts(effects)
    assert told.message.endswith(", but the engine is halted by limit")


def test_a_day_that_lifts_its_limit_leaves_the_dead_man_reducing() -> None:
    given = limits(limit(until="next_day"))
    session, _ = unheard(fed(engine(given, dead_man=REDUCE), seen("1000"), seen("900"))[0])
    session, effects = fed(session, seen("900", after=NEXT_DAY, positions_open=0), now=21.0)
    lifted = EngineBrake(number=2, since=MONDAY + NEXT_DAY, by="limit")
    assert sent(effects) == [PutBrake(lifted)]
    session, _ = fed(session, BrakeTaken(lifted), now=21.0)
    assert (session.is_reduced, session.problems) == (True, (UNHEARD,))


@pytest.mark.parametrize("action", ["reduce", "flatten"])
def test_a_dead_man_that_flattens_takes_a_limits_brake_over_and_only_a_person_lifts_it(action: str) -> None:
    given = limits(limit(action=action, until="next_day"))
    session, _ = fed(engine(given, dead_man=FLATTEN), seen("1000"), seen("900"))
    of_limit = FLATTENED if action == "flatten" else REDUCED
    assert session.brake == of_limit
    session, effects = unheard(fed(session, BrakeTaken(of_limit))[0])
    by_itself = EngineBrake(brake=Brake.HALTED, number=2, by="dead man")
    assert [each for each in effects if isinstance(each, Flatten)] == [Flatten()]
    assert sent(effects) == [Reduce(), PutBrake(by_itself)]
    session, effects = fed(session, BrakeTaken(by_itself), seen("900"), now=100.0)
    still = [CutLosses(StopPolicy.FLATTEN, 25.0)] if action == "flatten" else []
    assert sent(effects) == still, "what its limit asks for is not forgotten"
    session, _ = fed(session, Attended(100.0), seen("900", after=NEXT_DAY, positions_open=0), now=101.0)
    assert (session.brake, session.losses.tripped) == (by_itself, ())
    assert session.problems == ("halted by dead man",)
    free = EngineBrake(number=3, by="alice")
    session, _ = fed(session, BrakeAsked(free), BrakeTaken(free), now=102.0)
    assert session.state == RunState.TRADING


def test_a_limit_that_waits_for_a_person_keeps_its_brake_when_the_dead_man_flattens() -> None:
    session, _ = fed(engine(dead_man=FLATTEN), seen("1000"), seen("900"), BrakeTaken(FLATTENED))
    session, effects = unheard(session)
    assert sent(effects) == [Reduce()]
    assert Flatten() in effects
    assert session.brake == FLATTENED


def test_a_limit_that_is_reached_after_the_dead_man_flattened_puts_no_wider_brake_on_and_lifts_none() -> None:
    given = limits(limit(action="reduce", until="next_day"))
    session, _ = unheard(fed(engine(given, dead_man=FLATTEN), seen("1000"))[0])
    by_itself = EngineBrake(brake=Brake.HALTED, number=1, by="dead man")
    session, effects = fed(session, seen("900", positions_open=0), now=21.0)
    assert (session.brake, sent(effects), len(session.losses.tripped)) == (by_itself, [], 1)
    session, _ = fed(session, seen("900", after=NEXT_DAY, positions_open=0), now=22.0)
    assert (session.brake, session.losses.tripped) == (by_itself, ())


def test_a_control_plane_that_is_back_frees_nothing_that_a_limit_holds() -> None:
    session, _ = fed(engine(limits(limit(action="reduce")), dead_man=REDUCE), seen("1000"), seen("900"))
    session, _ = unheard(fed(session, BrakeTaken(REDUCED))[0])
    assert session.problems == ("reduced by limit", UNHEARD)
    session, effects = fed(session, Attended(20.9), now=21.0)
    assert (session.brake, session.problems, session.state) == (
        REDUCED,
        ("reduced by limit",),
        RunState.IMPAIRED,
    )
    (told,) = alerts(effects)
    assert (told.code, told.message.endswith(", but the engine is reduced by limit")) == (
        "control_plane_back",
        True,
    )
    free = EngineBrake(number=2, by="alice")
    session, _ = fed(session, BrakeAsked(free), BrakeTaken(free), now=22.0)
    assert (session.state, session.losses.tripped) == (RunState.TRADING, ())


def test_a_day_that_lifts_its_limit_puts_back_what_a_person_had_on_before() -> None:
    by_alice = EngineBrake(brake=Brake.REDUCED, number=1, since=MONDAY, by="alice")
    session, _ = fed(engine(limits(limit(until="next_day"))), seen("1000"), BrakeAsked(by_alice))
    session, effects = fed(session, seen("900"))
    halted = EngineBrake(brake=Brake.HALTED, number=2, since=MONDAY, by="limit")
    assert sent(effects) == [PutBrake(halted), CUT.message]
    session, effects = fed(session, seen("900", after=NEXT_DAY, positions_open=0))
    back = EngineBrake(brake=Brake.REDUCED, number=3, since=MONDAY, by="alice")
    assert sent(effects) == [PutBrake(back)]
    session, _ = fed(session, BrakeTaken(back))
    assert session.problems == ("reduced by alice",)
