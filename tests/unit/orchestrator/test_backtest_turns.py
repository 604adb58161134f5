"""What happens to a backtest: one worker runs it as far as can be told, it ends once, and nothing follows its end."""

from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestStatus,
    ClaimTrial,
    Manifest,
    Metrics,
    Outcome,
    TrialFailed,
    TrialFailure,
    TrialPlan,
    TrialProgress,
    TrialResult,
    TrialStarted,
)
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.backtests.core.views import view
from tests.unit.orchestrator.makers import NOW, after

CONFIG = BacktestConfig(
    strategy="ema_cross", start_date="2000-01-01", end_date="2001-01-01", instruments=("SPX.SIM",)
)
METRICS = Metrics(
    **{name: 0 if "trades" in name else 0.5 for name in Metrics.__struct_fields__}  # type: ignore[arg-type]
)
FAILED = TrialFailed(reason=TrialFailure.STRATEGY, detail="boom", log_tail=("a",))


def backtest(**facts: Any) -> Backtest:
    return Backtest(**{"backtest_id": "b", "config": CONFIG, "created_at": NOW, "updated_at": NOW, **facts})


def outcome(**result: Any) -> Outcome:
    plan = TrialPlan(venues=(), data=(), instruments=(), strategies=(), start_ns=0, end_ns=1)
    values: dict[str, Any] = {
        "currency": "USD",
        "metrics": METRICS,
        **dict.fromkeys(("trades", "orders", "fills", "equity_curve"), ()),
        **{name: {} for name in ("statistics", "balances", "fees")},
        "events": 3,
        "elapsed_s": 0.5,
    }
    manifest = Manifest(
        plan=plan,
        nautilus_version="1",
        flotilla_version="1",
        image="",
        host="h1",
        python="3",
        strategy_sources={},
        files=(),
        seed=0,
    )
    return Outcome(result=TrialResult(**values | result), manifest=manifest)


def claimed(
    one: Backtest,
    worker: str = "w1",
    delivery: int = 1,
    *,
    heard_at: datetime | None = None,
    is_over: bool = False,
    now: datetime = NOW,
) -> tuple[Backtest, bool]:
    request = ClaimTrial(backtest_id="b", worker=worker, session_id=f"s-{worker}", attempt=delivery)
    changed, answer = lifecycle.claim(one, request, heard_at=heard_at, is_over=is_over, now=now)
    return changed or one, answer.is_wanted


def running() -> Backtest:
    return claimed(backtest())[0]


def test_a_claim_makes_it_run_and_the_same_claim_again_changes_nothing() -> None:
    once, is_wanted = claimed(backtest())
    twice, is_wanted_again = claimed(once, now=after(60))
    assert (once.status, once.facts.attempts, is_wanted) == (BacktestStatus.RUNNING, 1, True)
    assert (twice, is_wanted_again) == (once, True)


def test_a_second_worker_is_told_no_while_the_first_is_heard() -> None:
    assert claimed(running(), "w2", 2, heard_at=after(20), now=after(25)) == (running(), False)


def test_a_worker_is_silent_after_ten_seconds() -> None:
    assert not claimed(running(), "w2", 2, now=after(9.9))[1]
    assert claimed(running(), "w2", 2, now=after(10))[1]
    assert not claimed(running(), "w2", 2, heard_at=after(5), now=after(14.9))[1]
    assert claimed(running(), "w2", 2, heard_at=after(-5), now=after(10))[1]


def test_a_worker_that_is_told_no_is_told_why() -> None:
    request = ClaimTrial(backtest_id="b", worker="w2", session_id="s-w2", attempt=2)

    def why(one: Backtest, seconds: float = 0) -> str:
        return lifecycle.claim(one, request, heard_at=None, is_over=False, now=after(seconds))[1].why

    done = lifecycle.completed(running(), outcome(), NOW)
    assert done is not None
    assert why(done).startswith("it has completed")
    assert why(running()) == "worker w1 runs it"
    spent = backtest(facts=msgspec.structs.replace(running().facts, attempts=5))
    assert why(spent, 60) == "it was begun too often"


@pytest.mark.parametrize(("seconds", "is_over"), [(11, False), (1, True)])
def test_a_second_worker_takes_over_from_one_that_is_silent_or_gone(seconds: int, is_over: bool) -> None:
    taken, is_wanted = claimed(running(), "w2", 2, is_over=is_over, now=after(seconds))
    assert is_wanted
    assert (taken.facts.attempts, taken.facts.claim and taken.facts.claim.worker) == (2, "w2")


def test_a_trial_that_takes_five_workers_along_is_poison() -> None:
    one = backtest()
    for number in range(1, 6):
        one, is_wanted = claimed(one, f"w{number}", number, is_over=True)
        assert is_wanted
    one, is_wanted = claimed(one, "w6", 6, is_over=True)
    assert (is_wanted, one.status, one.facts.reason) == (False, BacktestStatus.FAILED, TrialFailure.POISON)


def test_poison_ends_without_one_more_worker() -> None:
    one = backtest()
    for number in range(1, 5):
        one, _ = claimed(one, f"w{number}", number, is_over=True)
        assert lifecycle.poisoned(one, NOW) is None
    one, _ = claimed(one, "w5", 5, is_over=True)
    ended = lifecycle.poisoned(one, NOW)
    assert ended is not None
    assert (ended.status, ended.facts.reason) == (BacktestStatus.FAILED, TrialFailure.POISON)
    assert lifecycle.poisoned(ended, NOW) is None


def test_what_left_the_queue_eight_times_and_was_never_begun_ends() -> None:
    assert lifecycle.never_begun(backtest(), 7, NOW) is None
    ended = lifecycle.never_begun(backtest(), 8, NOW)
    assert ended is not None
    assert (ended.status, ended.facts.reason) == (BacktestStatus.FAILED, TrialFailure.NEVER_BEGUN)
    assert "queued 8 times" in (ended.facts.error or "")
    assert lifecycle.never_begun(running(), 99, NOW) is None
    assert lifecycle.never_begun(ended, 99, NOW) is None


def test_a_worker_that_asks_again_for_what_it_holds_does_not_run_it_any_more() -> None:
    again, is_wanted = claimed(running(), "w1", 2, heard_at=NOW)
    assert (is_wanted, again.facts.attempts) == (True, 2)


def test_what_was_begun_twice_in_vain_runs_alone_also_when_the_answer_was_lost() -> None:
    one, alone = backtest(), []
    for number in range(1, 5):
        request = ClaimTrial(backtest_id="b", worker="w1", session_id="s", attempt=number)
        for _ in range(2):
            changed, answer = lifecycle.claim(one, request, heard_at=None, is_over=False, now=NOW)
            one = changed or one
            alone.append(answer.is_alone)
    assert alone == [False] * 4 + [True] * 4


def test_a_start_is_told_by_the_worker_that_holds_it_only() -> None:
    told = TrialStarted(worker="w1", session_id="s-w1", host="h1", pid=7, attempt=1)
    begun = lifecycle.started(running(), told, NOW)
    assert begun is not None
    assert (begun.facts.host, begun.facts.started_at) == ("h1", NOW)
    assert lifecycle.started(running(), msgspec.structs.replace(told, worker="w2"), NOW) is None


def test_what_is_run_unasked_is_claimed_by_its_start_so_that_it_can_be_cancelled() -> None:
    told = TrialStarted(worker="w1", session_id="s-w1", host="h1", pid=7, attempt=1)
    begun = lifecycle.started(backtest(), told, NOW)
    assert begun is not None
    assert begun.facts.claim is not None
    assert (begun.facts.claim.worker, begun.facts.claim.session_id) == ("w1", "s-w1")
    assert (begun.status, begun.facts.attempts) == (BacktestStatus.RUNNING, 1)
    assert begun.version == backtest().version + 1


def test_a_failure_of_an_attempt_that_was_given_up_does_not_count_but_its_result_does() -> None:
    second = claimed(running(), "w2", 2, is_over=True)[0]
    assert lifecycle.failed(second, "w1", 1, FAILED, NOW) is None
    assert lifecycle.killed(second, "w1", 1, NOW) is None
    assert lifecycle.completed(second, outcome(), NOW) is not None
    ended = lifecycle.failed(second, "w2", 2, FAILED, NOW)
    assert ended is not None
    assert (ended.facts.error, ended.facts.log_tail) == ("boom", ("a",))


def test_a_completed_backtest_shows_its_figures() -> None:
    done = lifecycle.completed(running(), outcome(), after(3))
    assert done is not None
    shown = view(done)
    assert (shown.progress, shown.metrics, shown.events) == (100.0, METRICS, 3)
    assert (shown.completed_at, shown.cancelled_at) == (after(3), None)
    assert done.facts.has_result


def test_a_result_that_shall_not_be_saved_leaves_its_metrics() -> None:
    unsaved = backtest(config=msgspec.structs.replace(CONFIG, save_results=False))
    done = lifecycle.completed(unsaved, outcome(), NOW)
    assert done is not None
    assert (done.facts.has_result, done.facts.metrics) == (False, METRICS)


def test_a_cancel_of_what_has_ended_says_how_it_ended() -> None:
    done = lifecycle.completed(running(), outcome(), NOW)
    assert done is not None
    with pytest.raises(FaultError, match="has completed at 2026-01-31 14:25:01"):
        lifecycle.cancelled(done, NOW)


def test_progress_is_that_of_the_worker_while_it_runs_and_stays_where_it_was_cancelled() -> None:
    half = TrialProgress(events=50, total=100, simulated_ns=1, events_per_s=1.0)
    assert view(running(), half).progress == 50.0
    stopped = lifecycle.cancelled(running(), NOW, progress=half)
    assert (view(stopped).progress, view(stopped).cancelled_at) == (50.0, NOW)


def test_progress_stays_where_it_was_when_its_worker_says_that_it_failed_or_was_cancelled() -> None:
    half = TrialProgress(events=50, total=100, simulated_ns=1, events_per_s=1.0)
    for ended in (
        lifecycle.failed(running(), "w1", 1, FAILED, NOW, progress=half),
        lifecycle.killed(running(), "w1", 1, NOW, progress=half),
    ):
        assert ended is not None
        assert view(ended).progress == 50.0
    unheard = lifecycle.failed(running(), "w1", 1, FAILED, NOW)
    assert unheard is not None
    assert view(unheard).progress == 0.0


def test_a_tear_sheet_is_noted_once_and_only_of_a_result() -> None:
    assert lifecycle.reported(running(), NOW) is None
    done = lifecycle.completed(running(), outcome(), NOW)
    assert done is not None
    drawn = lifecycle.reported(done, after(5))
    assert drawn is not None
    assert (drawn.facts.has_report, drawn.status, drawn.version) == (
        True,
        BacktestStatus.COMPLETED,
        done.version + 1,
    )
    assert lifecycle.reported(drawn, after(6)) is None


def test_a_result_that_cannot_be_read_is_a_failure_that_says_so() -> None:
    broken = lifecycle.unreadable(running(), "cut off", after(3))
    assert broken is not None
    assert (broken.status, broken.facts.reason) == (BacktestStatus.FAILED, TrialFailure.CRASH)
    assert (broken.facts.error, broken.ended_at) == ("its result cannot be read: cut off", after(3))
    assert lifecycle.unreadable(broken, "again", after(4)) is None


def test_a_cancel_is_confirmed_once_and_nothing_else_is() -> None:
    doubtful = lifecycle.cancelled(running(), NOW, error="its process may be there still")
    confirmed = lifecycle.confirmed(doubtful, after(2))
    assert confirmed is not None
    assert (confirmed.status, confirmed.facts.error) == (BacktestStatus.CANCELLED, None)
    assert lifecycle.confirmed(confirmed, after(3)) is None
    failed = lifecycle.failed(running(), "w1", 1, FAILED, NOW)
    assert failed is not None
    assert failed.facts.error == "boom"
    assert lifecycle.confirmed(failed, after(3)) is None
    assert lifecycle.confirmed(running(), after(3)) is None


type Move = tuple[str, int, int]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(("claim", "start", "fail", "kill", "cancel", "result", "break")),
        st.integers(1, 3),
        st.integers(1, 7),
    ),
    max_size=40,
)


@given(MOVES)
def test_no_order_of_events_makes_anything_follow_an_end(moves: list[Move]) -> None:
    one = backtest()
    for what, worker, delivery in moves:
        after_move = _moved(one, what, f"w{worker}", delivery)
        if one.is_final:
            assert after_move is one
        else:
            assert after_move is one or after_move.version == one.version + 1
        assert after_move.facts.attempts <= lifecycle.MAX_ATTEMPTS
        assert after_move.is_final == (after_move.ended_at is not None)
        assert (after_move.status is BacktestStatus.COMPLETED) == (after_move.facts.metrics is not None)
        one = after_move


def _moved(one: Backtest, what: str, worker: str, delivery: int) -> Backtest:
    match what:
        case "claim":
            return claimed(one, worker, delivery, is_over=delivery > 3)[0]
        case "start":
            event = TrialStarted(worker=worker, session_id=f"s-{worker}", host="h1", pid=1, attempt=delivery)
            return lifecycle.started(one, event, NOW) or one
        case "fail":
            return lifecycle.failed(one, worker, delivery, FAILED, NOW) or one
        case "kill":
            return lifecycle.killed(one, worker, delivery, NOW) or one
        case "result":
            return lifecycle.completed(one, outcome(), NOW) or one
        case "break":
            return lifecycle.unreadable(one, "cut off", NOW) or one
        case _:
            try:
                return lifecycle.cancelled(one, NOW)
            except FaultError:
                return one
