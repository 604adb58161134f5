"""The brake: what the sidecar says of an engine that is halted or reduced, and when."""

import pytest

from flotilla.engine_sidecar.link.frames import BrakeTaken, Forked, GoOn, Phase, PutBrake
from flotilla.engine_sidecar.link.messages import (
    BrakeAsked,
    BusFound,
    Checked,
    Effect,
    Fork,
    LeaseRenewed,
    Message,
    Observed,
    Publish,
    Send,
    StopAsked,
    ZygoteReady,
)
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.session import AccountLease
from flotilla.schemas.states import Brake, RunState, StopPolicy
from flotilla.schemas.telemetry import Alert, StateChange
from tests.unit.sidecar.samples import measure, spec

HALTED = EngineBrake(brake=Brake.HALTED, number=1, by="alice")
REDUCED = EngineBrake(brake=Brake.REDUCED, number=2, by="bob")
RELEASED = EngineBrake(number=3, by="alice")
BEGINNING = (BusFound(), ZygoteReady(1.0), Forked(42), Phase(RunState.CONNECTING), Phase(RunState.TRADING))
SICK = Observed(measure(strategies={"A-000": "STOPPED"}))
WELL = Observed(measure(strategies={"A-000": "RUNNING"}))


def after(*messages: Message, of: Session | None = None, **facts: object) -> tuple[Session, list[Effect]]:
    session, found = of or core.begin(spec(**facts), 0.0)[0], []
    for message in messages:
        session, effects = core.decide(session, message, 0.0)
        found += effects
    return session, found


def told(effects: list[Effect]) -> list[tuple[RunState, str]]:
    changes = (effect.data for effect in effects if isinstance(effect, Publish))
    return [(change.state, change.detail) for change in changes if isinstance(change, StateChange)]


def alerts(effects: list[Effect]) -> list[str]:
    data = (effect.data for effect in effects if isinstance(effect, Publish))
    return [alert.code for alert in data if isinstance(alert, Alert)]


def test_an_engine_is_called_halted_when_it_has_taken_that_and_not_before() -> None:
    session, effects = after(*BEGINNING, BrakeAsked(HALTED))
    assert effects[-1] == Send(PutBrake(HALTED))
    assert (session.state, session.is_brake_taken) == (RunState.TRADING, False)
    session, effects = after(BrakeTaken(HALTED), of=session)
    assert told(effects) == [(RunState.IMPAIRED, "halted by alice")]
    assert (session.problems, session.is_brake_taken) == (("halted by alice",), True)
    session, effects = after(BrakeAsked(RELEASED), BrakeTaken(RELEASED), of=session)
    assert told(effects) == [(RunState.TRADING, "")]
    assert session.problems == ()


def test_nobody_is_alerted_of_what_somebody_did_on_purpose_and_of_all_else_as_ever() -> None:
    session, effects = after(*BEGINNING, BrakeAsked(HALTED), BrakeTaken(HALTED), WELL, WELL)
    assert alerts(effects) == []
    session, effects = after(SICK, SICK, of=session)
    assert told(effects) == [(RunState.IMPAIRED, "halted by alice; strategy A-000 is STOPPED")]
    assert alerts(effects) == ["impaired"]
    session, effects = after(BrakeAsked(RELEASED), BrakeTaken(RELEASED), of=session)
    assert told(effects) == [(RunState.IMPAIRED, "strategy A-000 is STOPPED")]
    session, effects = after(WELL, of=session)
    assert (told(effects), alerts(effects)) == ([(RunState.TRADING, "")], ["trading_again"])


def test_another_brake_takes_the_place_of_the_one_before() -> None:
    session, effects = after(
        *BEGINNING, BrakeAsked(HALTED), BrakeTaken(HALTED), BrakeAsked(REDUCED), BrakeTaken(REDUCED)
    )
    assert told(effects)[-2:] == [
        (RunState.IMPAIRED, "halted by alice"),
        (RunState.IMPAIRED, "reduced by bob"),
    ]
    assert session.problems == ("reduced by bob",)


def test_what_is_older_changes_nothing() -> None:
    session, _ = after(*BEGINNING, BrakeAsked(REDUCED), BrakeTaken(REDUCED))
    assert after(BrakeAsked(HALTED), BrakeTaken(HALTED), BrakeAsked(REDUCED), of=session) == (session, [])


@pytest.mark.parametrize("by_command", [True, False], ids=["told before the fork", "begun with it"])
def test_a_session_that_begins_braked_never_says_that_it_trades(by_command: bool) -> None:
    if by_command:
        session, effects = after(BrakeAsked(HALTED), *BEGINNING)
    else:
        session, effects = after(*BEGINNING, brake=HALTED)
    assert not [effect for effect in effects if isinstance(effect, Send)]
    assert [effect for effect in effects if isinstance(effect, Fork)]
    assert told(effects)[-1] == (RunState.IMPAIRED, "halted by alice")
    assert RunState.TRADING not in [state for state, _ in told(effects)]
    assert session.is_brake_taken


def test_a_brake_while_it_connects_holds_from_then_on() -> None:
    session, _ = after(*BEGINNING[:-1], BrakeAsked(HALTED), BrakeTaken(HALTED))
    assert session.state is RunState.CONNECTING
    _, effects = after(BEGINNING[-1], of=session)
    assert told(effects) == [(RunState.IMPAIRED, "halted by alice")]


def test_a_stop_goes_before_a_brake() -> None:
    session, _ = after(*BEGINNING, StopAsked(StopPolicy.CANCEL))
    _, effects = after(BrakeAsked(HALTED), BrakeTaken(HALTED), of=session)
    assert effects == [Send(PutBrake(HALTED))]


def test_a_lease_that_is_back_lifts_no_brake_and_is_not_said_to() -> None:
    session, _ = after(
        *BEGINNING, BrakeAsked(HALTED), BrakeTaken(HALTED), lease=AccountLease(token=1, ttl_s=9.0)
    )
    session, _ = core.decide(session, Checked(), 10.0)
    session, effects = core.decide(session, LeaseRenewed(1, 30.0), 10.0)
    assert Send(GoOn()) in effects
    (alert,) = (each.data for each in effects if isinstance(each, Publish) and isinstance(each.data, Alert))
    assert alert.message == "the lease on its accounts was renewed, but the engine is halted by alice"
    assert session.problems == ("halted by alice",)
