import pytest

from flotilla.schemas.engine import EngineAccepted, StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState, StopPolicy
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    KillContainer,
    LookAgain,
    PublishState,
    StartContainer,
)
from flotilla.services.orchestrator.engines.core.model import OrderedStop, Session
from tests.unit.orchestrator.makers import HOSTS, NOW, after, config, engine, replace, session, spec

LOOK = LookAgain("e1", after(5))
"""The moment at which the sidecar's time to answer is over."""
ACTIVE = [state for state in RunState if not state.is_terminal]


def effects_of(decision: Decision) -> list[object]:
    return [effect for effect in decision.effects if not isinstance(effect, PublishState)]


def test_a_first_start_records_the_host_before_the_host_hears_of_it() -> None:
    decision = lifecycle.start(None, config(), spec(), request_id="r", hosts=HOSTS, now=NOW)
    present = decision.engine.session
    assert present is not None
    assert (present.state, present.host, present.generation) == (RunState.CREATING, "h1", 1)
    assert (decision.engine.version, decision.engine.generation) == (1, 1)
    assert decision.effects == (StartContainer("e1", "s1", "h1"), PublishState(decision.engine))
    assert decision.spec == spec()


def test_a_start_answers_what_the_rest_contract_promises() -> None:
    reply = lifecycle.start(None, config(), spec(), request_id="r", hosts=HOSTS, now=NOW).reply
    assert reply is not None
    assert (reply.request_id, reply.instance_id, reply.session_id) == ("r", "e1", "s1")
    assert (reply.container_name, reply.started_at) == ("nautilus-engine-s1", NOW)
    assert (reply.state, reply.config) == (ClientState.STARTING, config())


def test_without_a_host_a_session_waits() -> None:
    decision = lifecycle.start(None, config(), spec(), request_id="r", hosts=(), now=NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.SCHEDULED
    assert effects_of(decision) == []


@pytest.mark.parametrize("state", ACTIVE)
def test_starting_an_active_engine_is_a_conflict_that_names_the_session(state: RunState) -> None:
    with pytest.raises(FaultError, match="session s1 is") as raised:
        lifecycle.start(engine(session(state)), config(), spec("s2"), request_id="r", hosts=HOSTS, now=NOW)
    assert raised.value.fault.code == FaultCode.CONFLICT


@pytest.mark.parametrize("state", [RunState.STOPPED, RunState.FAILED])
def test_starting_an_ended_engine_makes_a_new_session_of_the_next_generation(state: RunState) -> None:
    before = engine(session(state))
    decision = lifecycle.start(
        before, config(log_level="DEBUG"), spec("s2"), request_id="r", hosts=HOSTS, now=NOW
    )
    assert decision.engine.session is not None
    assert (decision.engine.session.session_id, decision.engine.generation) == ("s2", 2)
    assert decision.engine.version == before.version + 1
    assert decision.engine.config.log_level == "DEBUG"
    assert decision.ended == before.session
    assert decision.spec is not None
    assert decision.spec.generation == 2


def test_stopping_a_trading_engine_asks_its_sidecar() -> None:
    request = StopEngine(policy=StopPolicy.FLATTEN)
    decision = lifecycle.stop(engine(session()), request, request_id="r", now=NOW)
    assert decision.engine.desired == DesiredState.STOPPED
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.STOPPING
    assert effects_of(decision) == [CommandStop("e1", "s1", StopPolicy.FLATTEN, after(30)), LOOK]
    assert decision.reply is not None
    assert decision.reply.state == ClientState.STOPPING


def test_a_stop_takes_the_policy_of_the_session_when_it_names_none() -> None:
    present = session(stop_policy=StopPolicy.LEAVE)
    decision = lifecycle.stop(engine(present), StopEngine(), request_id="r", now=NOW)
    assert effects_of(decision) == [CommandStop("e1", "s1", StopPolicy.LEAVE, after(30)), LOOK]


def test_a_session_that_was_not_placed_stops_at_once() -> None:
    decision = lifecycle.stop(engine(session(RunState.SCHEDULED)), StopEngine(), request_id="r", now=NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.STOPPED
    assert effects_of(decision) == []


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_session_that_was_not_seen_to_begin_is_called_off_and_signalled_by_nobody(is_forced: bool) -> None:
    request = StopEngine(force=is_forced)
    decision = lifecycle.stop(engine(session(RunState.CREATING)), request, request_id="r", now=NOW)
    assert effects_of(decision) == [CallOff("e1", "s1", "h1")]


@pytest.mark.parametrize(
    "state", [RunState.BOOTING, RunState.RECONCILING, RunState.TRADING, RunState.STOPPING]
)
def test_force_kills_without_waiting(state: RunState) -> None:
    decision = lifecycle.stop(engine(session(state)), StopEngine(force=True), request_id="r", now=NOW)
    assert effects_of(decision)[0] == KillContainer("e1", "s1", "h1")


def test_force_overtakes_a_stop_that_is_under_way() -> None:
    stopping = lifecycle.stop(engine(session()), StopEngine(), request_id="r", now=NOW).engine
    decision = lifecycle.stop(stopping, StopEngine(force=True), request_id="r2", now=NOW)
    assert effects_of(decision)[0] == KillContainer("e1", "s1", "h1")


def stopped_reply(present: Session | None, **asked: bool) -> EngineAccepted:
    reply = lifecycle.stop(engine(present), StopEngine(**asked), request_id="r", now=NOW).reply
    assert reply is not None
    return reply


def ordered(**done: object) -> Session:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL, **done)  # type: ignore[arg-type]
    return session(RunState.STOPPING, stop=order)


def test_whether_a_stop_is_taken_is_open_until_the_engine_says_so_or_has_ended() -> None:
    assert stopped_reply(session()).is_taken is None
    assert stopped_reply(ordered(acknowledged_at=NOW)).is_taken is None
    assert stopped_reply(ordered(acknowledged_at=NOW, taken_at=NOW)).is_taken is True
    assert stopped_reply(session(RunState.CREATING)).is_taken is None
    for ended in (None, session(RunState.SCHEDULED), session(RunState.STOPPED)):
        assert stopped_reply(ended).is_taken is True
    given_up = stopped_reply(session(RunState.UNKNOWN), force=True)
    assert given_up.is_taken is False
    assert "orders may leave it until it has" in given_up.message


def test_a_stop_that_only_the_sidecar_took_is_asked_about_when_it_is_ordered_again() -> None:
    again = lifecycle.stop(engine(ordered(acknowledged_at=NOW)), StopEngine(), request_id="r2", now=after(3))
    assert CommandStop("e1", "s1", StopPolicy.CANCEL, after(30)) in effects_of(again)
    taken = ordered(acknowledged_at=NOW, taken_at=NOW)
    again = lifecycle.stop(engine(taken), StopEngine(), request_id="r2", now=after(3))
    assert not [effect for effect in effects_of(again) if isinstance(effect, CommandStop)]


def test_stopping_twice_keeps_the_first_order() -> None:
    stopping = lifecycle.stop(
        engine(session()), StopEngine(policy=StopPolicy.LEAVE), request_id="r", now=NOW
    ).engine
    again = lifecycle.stop(stopping, StopEngine(policy=StopPolicy.FLATTEN), request_id="r2", now=NOW).engine
    assert stopping.session is not None
    assert again.session is not None
    assert again.session.stop == stopping.session.stop


@pytest.mark.parametrize("present", [None, session(RunState.STOPPED), session(RunState.FAILED)])
def test_stopping_a_stopped_engine_succeeds(present: Session | None) -> None:
    decision = lifecycle.stop(engine(present), StopEngine(force=True), request_id="r", now=NOW)
    assert effects_of(decision) == []
    assert decision.engine.session == present
    assert decision.reply is not None
    assert "is stopped" in decision.reply.message


def test_a_stop_of_an_engine_out_of_sight_stays_on_record() -> None:
    decision = lifecycle.stop(engine(session(RunState.UNKNOWN)), StopEngine(), request_id="r", now=NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.UNKNOWN
    assert decision.engine.session.stop is not None
    assert decision.reply is not None
    assert "out of sight" in decision.reply.message


def test_force_gives_up_an_engine_out_of_sight() -> None:
    decision = lifecycle.stop(
        engine(session(RunState.UNKNOWN)), StopEngine(force=True), request_id="r", now=NOW
    )
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.FAILED
    assert decision.engine.session.reason == FailureReason.OPERATOR


def test_a_restart_stops_first_and_keeps_the_next_session_on_record() -> None:
    decision = lifecycle.restart(engine(session()), spec("s2"), request_id="r", hosts=HOSTS, now=NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.session_id == "s1"
    assert decision.engine.session.state == RunState.STOPPING
    assert decision.engine.pending == spec("s2", generation=2)
    assert decision.engine.desired == DesiredState.RUNNING
    assert effects_of(decision) == [CommandStop("e1", "s1", StopPolicy.CANCEL, after(30)), LOOK]
    assert decision.reply is not None
    assert decision.reply.session_id == "s2"


def test_a_restart_of_an_ended_engine_begins_at_once_with_its_last_configuration() -> None:
    before = engine(session(RunState.FAILED), config=config(log_level="ERROR"))
    decision = lifecycle.restart(before, spec("s2"), request_id="r", hosts=HOSTS, now=NOW)
    assert decision.engine.session is not None
    assert decision.engine.session.session_id == "s2"
    assert decision.engine.config == before.config


def test_a_restart_of_a_session_that_was_not_placed_begins_in_the_same_change() -> None:
    before = engine(session(RunState.SCHEDULED))
    decision = lifecycle.restart(before, spec("s2"), request_id="r", hosts=HOSTS, now=NOW)
    assert decision.ended is not None
    assert (decision.ended.session_id, decision.ended.state) == ("s1", RunState.STOPPED)
    assert decision.engine.session is not None
    assert (decision.engine.session.session_id, decision.engine.generation) == ("s2", 2)
    assert decision.engine.version == before.version + 1


def test_restarting_twice_is_a_conflict_that_names_the_next_session() -> None:
    restarting = lifecycle.restart(engine(session()), spec("s2"), request_id="r", hosts=HOSTS, now=NOW).engine
    with pytest.raises(FaultError, match="session s2"):
        lifecycle.restart(restarting, spec("s3"), request_id="r2", hosts=HOSTS, now=NOW)


def test_a_stop_takes_back_a_restart() -> None:
    restarting = lifecycle.restart(engine(session()), spec("s2"), request_id="r", hosts=HOSTS, now=NOW).engine
    stopped = lifecycle.stop(restarting, StopEngine(), request_id="r2", now=NOW).engine
    assert stopped.pending is None
    assert stopped.desired == DesiredState.STOPPED


def test_only_a_confirmed_start_trades_money() -> None:
    live = config(engine_type="LIVE", trading_mode="Live")
    with pytest.raises(FaultError) as raised:
        lifecycle.guard_live(live, is_confirmed=False)
    assert raised.value.fault.code == FaultCode.CONFIRMATION_REQUIRED
    lifecycle.guard_live(live, is_confirmed=True)
    for engine_type, mode in (("live", "paper"), ("paper", "live"), ("sandbox", "live")):
        lifecycle.guard_live(config(engine_type=engine_type, trading_mode=mode), is_confirmed=False)


def test_live_trading_needs_the_risk_engine() -> None:
    live = config(engine_type="live", trading_mode="live", risk_engine_enabled=False)
    with pytest.raises(FaultError, match="risk_engine_enabled"):
        lifecycle.guard_live(live, is_confirmed=True)


def test_every_change_counts_the_version_up_and_is_published() -> None:
    before = engine(session())
    decision = lifecycle.stop(before, StopEngine(), request_id="r", now=NOW)
    assert decision.engine.version == before.version + 1
    assert PublishState(decision.engine) in decision.effects
    assert replace(decision.engine, version=0).updated_at == NOW
