from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.engine import StopEngine
from flotilla.schemas.states import FailureReason, RunState
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.leases import Lease, free_at, held_text, holdings, next_token
from tests.unit.orchestrator.makers import NOW, after, engine, session

HELD = Lease(venue="IB", account="U1", token=4, instance_id="e1", session_id="s1", ttl_s=120.0, taken_at=NOW)


def test_an_account_is_free_until_it_is_taken_and_once_its_holder_is_gone() -> None:
    assert Lease(venue="IB", account="U1").is_free(NOW)
    assert not HELD.is_free(after(1e6))
    given_up = Lease(venue="IB", account="U1", session_id="s1", free_at=after(60))
    assert not given_up.is_free(after(59))
    assert given_up.is_free(after(60))


def test_the_end_of_a_session_frees_its_accounts_at_once() -> None:
    assert free_at(session(RunState.STOPPED), 120, after(5)) == after(5)


def test_a_session_that_nobody_saw_end_keeps_them_until_its_sidecar_has_surely_stopped_it() -> None:
    lost = engine(session(RunState.UNKNOWN))
    given_up = lifecycle.stop(lost, StopEngine(force=True), request_id="r", now=after(5)).engine.session
    assert given_up is not None
    assert (given_up.state, given_up.reason) == (RunState.FAILED, FailureReason.OPERATOR)
    assert given_up.not_confirmed
    # The lease, reducing, 30 s to stop, one percent for drift, and a margin: by hand.
    assert free_at(given_up, 20, after(5)) == after(5 + (20 + 10 + 30) * 1.01 + 15)
    assert free_at(given_up, 120, after(5)) == after(5 + (120 + 60 + 30) * 1.01 + 15)
    assert free_at(given_up, 600, after(5)) == after(5 + (600 + 60 + 30) * 1.01 + 15)


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 1000))
def test_whoever_comes_after_has_a_higher_token(tokens: list[int], wanted: int) -> None:
    leases = [Lease(venue="V", account=str(each), token=token) for each, token in enumerate(tokens)]
    token = next_token(leases, wanted)
    assert all(token > lease.token for lease in leases)
    assert token >= wanted


def test_a_session_with_several_accounts_is_renewed_with_one_call() -> None:
    second = Lease(venue="IB", account="U2", token=4, instance_id="e1", session_id="s1", ttl_s=120.0)
    (holding,) = holdings([HELD, second])
    assert (holding.session_id, holding.token, holding.ttl_s) == ("s1", 4, 120.0)


def test_the_holder_is_named() -> None:
    assert held_text(HELD, NOW) == "account U1 at IB is traded by engine e1 (session s1)"
    lost = Lease(venue="IB", account="U1", instance_id="e1", session_id="s1", free_at=NOW)
    assert "given up" in held_text(lost, NOW)
