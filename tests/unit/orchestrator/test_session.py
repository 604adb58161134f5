from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.states import RunState
from flotilla.services.orchestrator.engines.core.session import MOVES, IllegalMove, is_older, move
from tests.unit.orchestrator.makers import NOW, after, session

IN_ORDER = (
    RunState.SCHEDULED,
    RunState.CREATING,
    RunState.BOOTING,
    RunState.CONNECTING,
    RunState.RECONCILING,
    RunState.TRADING,
    RunState.STOPPING,
    RunState.STOPPED,
)


@pytest.mark.parametrize(("state", "following"), list(pairwise(IN_ORDER)))
def test_a_session_goes_through_its_states_in_order(state: RunState, following: RunState) -> None:
    assert move(session(state), following, NOW).state == following


def test_the_table_has_a_row_for_every_state() -> None:
    assert set(MOVES) == set(RunState)


@pytest.mark.parametrize("state", [state for state in RunState if not state.is_terminal])
def test_every_session_that_has_not_ended_can_fail(state: RunState) -> None:
    assert RunState.FAILED in MOVES[state]


BEFORE_TRADING = "booting connecting reconciling trading impaired mismatch"
ENDS = "completed stopped failed"
# Written out by hand, so that a slip in the table is seen: from each state, all that may follow.
MAY_FOLLOW = {
    "scheduled": "creating stopped failed",
    "creating": f"{BEFORE_TRADING} stopping {ENDS} unknown",
    "booting": f"connecting reconciling trading impaired mismatch silent stopping {ENDS} unknown",
    "connecting": f"reconciling trading impaired mismatch silent stopping {ENDS} unknown",
    "reconciling": f"trading impaired mismatch silent stopping {ENDS} unknown",
    "trading": f"impaired mismatch silent stopping {ENDS} unknown",
    "impaired": f"trading mismatch silent stopping {ENDS} unknown",
    "mismatch": f"trading impaired silent stopping {ENDS} unknown",
    "silent": f"{BEFORE_TRADING} stopping {ENDS} unknown",
    "stopping": f"{ENDS} unknown",
    "unknown": f"creating {BEFORE_TRADING} silent stopping {ENDS}",
    "completed": "",
    "stopped": "",
    "failed": "",
}


@pytest.mark.parametrize("to", list(RunState))
@pytest.mark.parametrize("state", list(RunState))
def test_what_may_follow_a_state_is_what_is_written_here(state: RunState, to: RunState) -> None:
    if to in MAY_FOLLOW[state].split():
        assert move(session(state), to, NOW).state == to
    else:
        with pytest.raises(IllegalMove):
            move(session(state), to, NOW)


def test_an_illegal_move_raises_and_changes_nothing() -> None:
    before = session(RunState.TRADING)
    with pytest.raises(IllegalMove, match="from trading to booting"):
        move(before, RunState.BOOTING, NOW)
    assert before == session(RunState.TRADING)


def test_times_are_those_of_the_engine_and_are_set_once() -> None:
    booted = move(session(RunState.CREATING), RunState.BOOTING, after(9), at=after(1))
    assert (booted.started_at, booted.changed_at) == (after(1), after(9))
    trading = move(booted, RunState.TRADING, after(10), at=after(2))
    assert (trading.started_at, trading.trading_at) == (after(1), after(2))
    lost = move(trading, RunState.UNKNOWN, after(20))
    again = move(lost, RunState.TRADING, after(30), at=after(29))
    assert again.trading_at == after(2)
    assert move(again, RunState.STOPPED, after(40)).ended_at == after(40)


@pytest.mark.parametrize("to", BEFORE_TRADING.split())
def test_a_session_has_begun_in_whatever_state_it_is_first_heard(to: str) -> None:
    assert move(session(RunState.CREATING), RunState(to), after(9), at=after(3)).started_at == after(3)
    assert move(session(RunState.CREATING), RunState(to), after(9)).started_at == after(9)


@pytest.mark.parametrize("to", ["stopping", "stopped", "failed", "unknown"])
def test_a_session_that_never_ran_has_no_start_time(to: str) -> None:
    assert move(session(RunState.CREATING), RunState(to), NOW).started_at is None


@given(st.lists(st.sampled_from(list(RunState)), max_size=40))
def test_on_any_walk_a_session_only_moves_by_the_table_and_ends_once(walk: list[RunState]) -> None:
    present = session(RunState.SCHEDULED, started_at=None)
    for number, to in enumerate(walk):
        was_over = present.is_over
        try:
            following = move(present, to, after(number))
        except IllegalMove:
            assert to not in MOVES[present.state]
            continue
        assert not was_over
        assert (following.ended_at is not None) == following.is_over
        assert following.changed_at == after(number)
        present = following


def test_what_an_earlier_session_sent_is_older() -> None:
    assert is_older(1, session(generation=2))
    assert not is_older(2, session(generation=2))
    assert not is_older(1, None)
