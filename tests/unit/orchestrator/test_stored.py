import pytest

from flotilla.schemas.engine import StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.stored import configure, remove
from flotilla.services.orchestrator.engines.core.views import record_view
from tests.unit.orchestrator.makers import HOSTS, NOW, after, config, engine, session, spec, state_event

NEW = config(log_level="DEBUG")


def test_a_configuration_makes_an_engine_that_never_ran_known_and_starts_nothing() -> None:
    decision = configure(None, NEW, request_id="r", now=NOW)
    known = decision.engine
    assert (known.config, known.session, known.desired) == (NEW, None, DesiredState.STOPPED)
    assert decision.reply is not None
    assert (decision.reply.config, decision.reply.state) == (NEW, ClientState.STOPPED)
    assert record_view(known, NOW).config == NEW


def test_an_active_engine_goes_on_with_what_it_has_until_its_next_session() -> None:
    active = configure(engine(session()), NEW, request_id="r", now=NOW).engine
    assert record_view(active, NOW).config == config()
    assert active.next_config == NEW
    restarting = lifecycle.restart(active, spec("s2"), request_id="r", hosts=HOSTS, now=after(1)).engine
    assert record_view(restarting, NOW).config == config()
    begun = apply_states(restarting, [state_event(9, RunState.STOPPED)], HOSTS, after(2)).engine
    assert (record_view(begun, NOW).config, begun.configured) == (NEW, None)


def test_a_restart_that_is_taken_back_forgets_no_configuration() -> None:
    active = configure(engine(session()), NEW, request_id="r", now=NOW).engine
    restarting = lifecycle.restart(active, spec("s2"), request_id="r", hosts=HOSTS, now=after(1)).engine
    stopped = lifecycle.stop(restarting, StopEngine(), request_id="r2", now=after(2)).engine
    ended = apply_states(stopped, [state_event(9, RunState.STOPPED)], HOSTS, after(3)).engine
    assert record_view(ended, NOW).config == NEW


def test_a_start_with_another_configuration_takes_the_stored_ones_place() -> None:
    stopped = configure(engine(session(RunState.STOPPED)), NEW, request_id="r", now=NOW).engine
    assert record_view(stopped, NOW).config == NEW
    other = config(log_level="ERROR")
    started = lifecycle.start(stopped, other, spec("s2"), request_id="r", hosts=HOSTS, now=NOW).engine
    assert (started.config, started.configured) == (other, None)


def test_an_active_engine_is_not_removed() -> None:
    with pytest.raises(FaultError, match="stop it first") as raised:
        remove(engine(session()), request_id="r", now=NOW)
    assert raised.value.fault.code == FaultCode.CONFLICT


def test_a_removed_engine_is_hidden_and_a_start_brings_it_back_with_its_count() -> None:
    removed = remove(engine(session(RunState.STOPPED), restart_at=after(9)), request_id="r", now=NOW).engine
    assert (removed.desired, removed.restart_at) == (DesiredState.STOPPED, None)
    fleet = Fleet([removed])
    assert fleet.recent() == []
    assert fleet.which(None) is None
    with pytest.raises(FaultError) as raised:
        fleet.which("e1")
    assert raised.value.fault.code == FaultCode.NOT_FOUND
    assert fleet.known("e1") == removed
    back = lifecycle.start(removed, config(), spec("s2"), request_id="r", hosts=HOSTS, now=after(1)).engine
    assert (back.generation, back.is_removed) == (2, False)


def test_a_restart_does_not_answer_with_the_old_sessions_start() -> None:
    reply = lifecycle.restart(engine(session()), spec("s2"), request_id="r", hosts=HOSTS, now=after(9)).reply
    assert reply is not None
    assert (reply.session_id, reply.started_at) == ("s2", None)
    waiting = engine(session(RunState.SCHEDULED))
    reply = lifecycle.restart(waiting, spec("s2"), request_id="r", hosts=HOSTS, now=after(9)).reply
    assert reply is not None
    assert reply.started_at == after(9)
