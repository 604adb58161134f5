"""The dead man: what an engine does by itself once no orchestrator hears it, what lifts that, and what a host's sleep makes of it."""

from collections.abc import Sequence

import pytest

from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    Forked,
    GoOn,
    HoldLease,
    Phase,
    PutBrake,
    Reduce,
    Tick,
)
from flotilla.engine_sidecar.link.messages import (
    Attended,
    BrakeAsked,
    BusFound,
    Checked,
    Effect,
    Flatten,
    Flattened,
    LeaseRenewed,
    Message,
    Publish,
    Send,
    StopAsked,
    ZygoteReady,
)
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.session import AccountLease
from flotilla.schemas.states import Brake, DeadManPolicy, RunState, StopPolicy, TradingMode
from flotilla.schemas.telemetry import Alert, Severity, StateChange
from tests.unit.sidecar.samples import spec

UP = (Phase(RunState.CONNECTING), Phase(RunState.TRADING))
BY_ITSELF = EngineBrake(brake=Brake.HALTED, number=1, by="dead man")
UNHEARD = "no orchestrator is heard for 20 s and more: it only reduces"
REDUCE, FLATTEN = (DeadMan(policy=DeadManPolicy(each), after_s=20.0) for each in ("reduce", "flatten"))


def begin(plan: DeadMan, *phases: Message, **facts: object) -> Session:
    session, _ = core.begin(spec(dead_man=plan, **facts), 0.0)
    for message in (BusFound(), ZygoteReady(1.0), Forked(42), *(phases or UP)):
        session, _ = core.decide(session, message, 0.0)
    return session


def after(session: Session, now: float, *messages: Message) -> tuple[Session, list[Effect]]:
    found: list[Effect] = []
    for message in messages:
        session, effects = core.decide(session, message, now)
        found += effects
    return session, found


def pass_time(session: Session, start: float, end: float) -> tuple[Session, list[tuple[float, Effect]]]:
    """Checks every half second, with a loop that turns; effects with their times."""
    found: list[tuple[float, Effect]] = []
    for step in range(round((end - start) * 2)):
        now = start + (step + 1) / 2
        session, effects = after(session, now, Tick(0.0), Checked())
        found += [(now, effect) for effect in effects]
    return session, found


def asleep(session: Session, until: float) -> tuple[Session, list[Effect]]:
    """The host sleeps until then; then it is looked at once."""
    return after(session, until, Tick(0.0), Checked())


def done(found: Sequence[tuple[float, Effect]]) -> list[tuple[float, object]]:
    return [
        (at, effect.message if isinstance(effect, Send) else effect)
        for at, effect in found
        if not isinstance(effect, Publish)
    ]


def alerts(effects: Sequence[Effect]) -> list[Alert]:
    data = (effect.data for effect in effects if isinstance(effect, Publish))
    return [alert for alert in data if isinstance(alert, Alert)]


def states(effects: Sequence[Effect]) -> list[tuple[RunState, str]]:
    data = (effect.data for effect in effects if isinstance(effect, Publish))
    return [(change.state, change.detail) for change in data if isinstance(change, StateChange)]


def plain(found: Sequence[tuple[float, Effect]]) -> list[Effect]:
    return [effect for _, effect in found]


def test_an_engine_that_is_to_continue_listens_for_nobody() -> None:
    session = begin(DeadMan(after_s=20.0))
    assert session.contact is None
    assert pass_time(session, 0.0, 500.0)[1] == []
    assert after(session, 500.0, Attended(499.0)) == (session, [])


def test_one_that_is_to_reduce_does_so_in_time_says_so_and_goes_on_once_it_is_heard() -> None:
    session, found = pass_time(begin(REDUCE), 0.0, 60.0)
    assert done(found) == [(20.5, Reduce())]
    (told,) = alerts(plain(found))
    assert (told.code, told.severity) == ("control_plane_lost", Severity.WARNING)
    assert told.message == "no orchestrator was heard for 20 s: the engine only reduces now"
    assert states(plain(found)) == [(RunState.IMPAIRED, UNHEARD)]
    session, effects = after(session, 61.0, Attended(60.5))
    assert Send(GoOn()) in effects
    assert states(effects) == [(RunState.TRADING, "")]
    (told,) = alerts(effects)
    assert told.code == "control_plane_back"
    assert told.message == (
        "an orchestrator hears the engine again, after 61 s: it only reduced meanwhile, and trades freely again"
    )
    assert session.problems == ()
    assert done(pass_time(session, 61.0, 81.0)[1]) == [(81.0, Reduce())]


def test_one_that_is_heard_in_time_does_nothing() -> None:
    session = begin(REDUCE)
    for now in range(5, 205, 5):
        session, found = pass_time(session, now - 5.0, float(now))
        assert found == []
        assert after(session, now, Attended(now - 1.0))[1] == []
        session, _ = after(session, now, Attended(now - 1.0))


def test_money_makes_it_critical() -> None:
    _, found = pass_time(begin(REDUCE, trading_mode=TradingMode.LIVE), 0.0, 21.0)
    assert [told.severity for told in alerts(plain(found))] == [Severity.CRITICAL]


def test_one_that_is_to_flatten_halts_and_closes_and_stays_halted_once_it_is_heard() -> None:
    session, found = pass_time(begin(FLATTEN), 0.0, 30.0)
    assert done(found) == [(20.5, Reduce()), (20.5, PutBrake(BY_ITSELF)), (20.5, Flatten())]
    (told,) = alerts(plain(found))
    assert told.message.endswith("the engine only reduces now, and its positions are closed")
    session, effects = after(session, 31.0, BrakeTaken(BY_ITSELF), Flattened(()))
    assert states(effects) == [(RunState.IMPAIRED, f"halted by dead man; {UNHEARD}")]
    assert pass_time(session, 31.0, 90.0)[1] == []
    session, effects = after(session, 90.0, Attended(89.9))
    assert Send(GoOn()) in effects
    assert states(effects) == [(RunState.IMPAIRED, "halted by dead man")]
    (told,) = alerts(effects)
    assert told.message.endswith(": it took itself out of the market, and is halted until it is resumed")
    resumed = EngineBrake(number=2, by="alice")
    session, effects = after(session, 91.0, BrakeAsked(resumed), BrakeTaken(resumed))
    assert states(effects) == [(RunState.TRADING, "")]


def test_the_brake_of_one_that_flattened_itself_goes_on_record_with_its_state() -> None:
    session, _ = pass_time(begin(FLATTEN), 0.0, 21.0)
    _, effects = after(session, 21.0, BrakeTaken(BY_ITSELF))
    (change,) = (each.data for each in effects if isinstance(each, Publish))
    assert isinstance(change, StateChange)
    assert change.brake == BY_ITSELF


def test_what_is_not_confirmed_is_tried_again_until_somebody_is_there() -> None:
    session, _ = pass_time(begin(FLATTEN), 0.0, 21.0)
    session, _ = after(session, 22.0, BrakeTaken(BY_ITSELF), Flattened(("position P-1 still open",)))
    session, found = pass_time(session, 22.0, 60.0)
    assert done(found) == [(32.0, Flatten())]
    session, _ = after(session, 60.0, Flattened(("position P-1 still open",)), Attended(59.9))
    assert done(pass_time(session, 60.0, 75.0)[1]) == []


def test_a_halted_one_keeps_the_brake_that_a_person_put_on() -> None:
    halted = EngineBrake(brake=Brake.HALTED, number=4, by="alice")
    session, _ = after(begin(FLATTEN), 1.0, BrakeAsked(halted), BrakeTaken(halted))
    session, found = pass_time(session, 1.0, 21.0)
    assert done(found) == [(20.5, Reduce()), (20.5, Flatten())]
    _, effects = after(session, 22.0, Attended(21.9))
    assert alerts(effects)[0].message.endswith(", but the engine is halted by alice")
    assert session.brake == halted


def test_nothing_is_closed_before_it_trades_or_while_it_and_its_venue_do_not_agree() -> None:
    for phases in ((Phase(RunState.CONNECTING), Phase(RunState.RECONCILING)),):
        session, found = pass_time(begin(FLATTEN, *phases), 0.0, 30.0)
        assert done(found) == [(20.5, Reduce())]
        session, _ = after(session, 30.0, Phase(RunState.MISMATCH, "1 BTC at the venue"))
        session, found = pass_time(session, 30.0, 40.0)
        assert found == []
        session, effects = after(session, 40.0, Phase(RunState.TRADING))
        assert states(effects) == [(RunState.IMPAIRED, UNHEARD)]
        assert done(pass_time(session, 40.0, 41.0)[1]) == [(40.5, PutBrake(BY_ITSELF)), (40.5, Flatten())]


def test_a_host_that_slept_reduces_at_once_and_closes_only_once_it_was_awake_for_as_long() -> None:
    session, _ = pass_time(begin(FLATTEN), 0.0, 5.0)
    session, effects = asleep(session, 4000.0)
    assert [effect.message for effect in effects if isinstance(effect, Send)] == [Reduce()]
    awake, effects = after(session, 4003.0, Attended(4002.0))
    assert Send(GoOn()) in effects
    assert done(pass_time(awake, 4003.0, 4010.0)[1]) == []
    _, found = pass_time(session, 4000.0, 4025.0)
    assert done(found) == [(4020.5, PutBrake(BY_ITSELF)), (4020.5, Flatten())]


def test_what_was_said_before_the_host_slept_says_nothing_of_now() -> None:
    session, _ = pass_time(begin(REDUCE), 0.0, 5.0)
    session, _ = asleep(session, 4000.0)
    session, effects = after(session, 4000.1, Attended(4.0))
    assert effects == []
    assert session.problems == (UNHEARD,)


def test_what_comes_late_takes_nothing_back_and_of_the_future_nothing_is_believed() -> None:
    session, _ = after(begin(REDUCE), 10.0, Attended(9.0), Attended(3.0))
    assert session.contact is not None
    assert session.contact.heard_at == 9.0
    session, _ = after(session, 11.0, Attended(1e9))
    assert session.contact is not None
    assert session.contact.heard_at == 11.0


def test_of_lease_and_dead_man_the_later_to_come_back_sets_the_engine_free() -> None:
    session, found = pass_time(begin(REDUCE, lease=AccountLease(token=1, ttl_s=30.0)), 0.0, 31.0)
    assert done(found) == [(20.5, Reduce()), (30.5, Reduce())]
    lost = "the lease on its accounts was not renewed: it only reduces"
    assert session.problems == (lost, UNHEARD)
    heard, effects = after(session, 32.0, Attended(31.9))
    assert Send(GoOn()) not in effects
    assert alerts(effects)[0].message.endswith("it only reduces, until the lease on its accounts is renewed")
    assert Send(GoOn()) in after(heard, 33.0, LeaseRenewed(1, 30.0))[1]
    renewed, effects = after(session, 32.0, LeaseRenewed(1, 30.0))
    assert [effect for effect in effects if isinstance(effect, Send)] == [Send(HoldLease(62.0))]
    assert renewed.problems == (UNHEARD,)
    assert Send(GoOn()) in after(renewed, 33.0, Attended(32.9))[1]


def test_an_engine_that_continues_ends_with_its_lease() -> None:
    plan = DeadMan(policy=DeadManPolicy.CONTINUE)
    session, found = pass_time(begin(plan, lease=AccountLease(token=1, ttl_s=30.0)), 0.0, 46.0)
    assert [at for at, _ in done(found)] == [30.5, 45.5]
    assert session.state is RunState.STOPPING


@pytest.mark.parametrize("plan", [REDUCE, FLATTEN])
def test_a_stop_goes_before_it(plan: DeadMan) -> None:
    session, _ = after(begin(plan), 15.0, StopAsked(StopPolicy.LEAVE))
    assert done(pass_time(session, 15.0, 25.0)[1]) == []


def test_it_waits_from_when_there_is_an_engine() -> None:
    """A bus that is found late is no control plane that was lost."""
    session, _ = core.begin(spec(dead_man=FLATTEN), 0.0)
    session, _ = after(session, 50.0, BusFound(), ZygoteReady(1.0), Forked(42), *UP)
    assert done(pass_time(session, 50.0, 70.0)[1]) == []
