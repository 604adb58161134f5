"""Every way in which a session can end has its reason."""

from typing import Any

import pytest

from flotilla.engine_sidecar.link.frames import Ended
from flotilla.engine_sidecar.session.core.facts import KillCause, Session
from flotilla.engine_sidecar.session.core.final_state import describe_exit, final_state
from flotilla.schemas.states import FailureReason, RunState
from tests.unit.sidecar.samples import spec

TRADING: dict[str, Any] = {
    "is_bus_found": True,
    "is_zygote_ready": True,
    "is_forked": True,
    "state": RunState.TRADING,
    "engine_pid": 42,
    "is_over": True,
}


def session(**changes: Any) -> Session:
    return Session(spec=spec(), **TRADING | changes)


@pytest.mark.parametrize(
    ("changes", "is_oom", "reason"),
    [
        ({"exit_code": 3}, False, FailureReason.CRASH),
        ({"exit_code": -11}, False, FailureReason.CRASH),
        ({"exit_code": -9}, False, FailureReason.KILLED),
        ({"exit_code": -9}, True, FailureReason.OOM),
        ({"exit_code": 3}, True, FailureReason.CRASH),
        ({"exit_code": 0}, False, FailureReason.CRASH),
        ({"exit_code": None}, False, FailureReason.CRASH),
        ({"exit_code": 1, "ended": Ended(FailureReason.STRATEGY, "boom")}, False, FailureReason.STRATEGY),
        ({"exit_code": 0, "ended": Ended(FailureReason.VENUE)}, False, FailureReason.VENUE),
        ({"exit_code": -9, "killed_for": KillCause.FROZEN}, False, FailureReason.FROZEN),
        ({"exit_code": 3, "killed_for": KillCause.FROZEN}, False, FailureReason.CRASH),
        ({"exit_code": -9, "killed_for": KillCause.MEMORY}, False, FailureReason.OOM),
        ({"exit_code": -9, "killed_for": KillCause.LINK}, False, FailureReason.CRASH),
        ({"exit_code": -9, "killed_for": KillCause.LINK}, True, FailureReason.OOM),
        ({"exit_code": -9, "zygote_exit": -9}, True, FailureReason.OOM),
        ({"exit_code": -9, "zygote_exit": 1}, False, FailureReason.CRASH),
        ({"exit_code": -9, "zygote_exit": -9}, False, FailureReason.KILLED),
        ({"exit_code": -9, "zygote_exit": -11}, False, FailureReason.CRASH),
        (
            {"exit_code": -9, "killed_for": KillCause.BOOT, "state": RunState.CONNECTING},
            False,
            FailureReason.VENUE,
        ),
        (
            {"exit_code": -9, "killed_for": KillCause.BOOT, "state": RunState.RECONCILING},
            False,
            FailureReason.VENUE,
        ),
        (
            {"exit_code": -9, "killed_for": KillCause.BOOT, "state": RunState.BOOTING},
            False,
            FailureReason.CRASH,
        ),
        (
            {"zygote_exit": 1, "is_zygote_ready": False, "is_forked": False, "engine_pid": None},
            False,
            FailureReason.CONFIG,
        ),
        (
            {"zygote_exit": -11, "is_zygote_ready": False, "is_forked": False, "engine_pid": None},
            False,
            FailureReason.CRASH,
        ),
    ],
)
def test_a_failure_has_its_reason(changes: dict[str, Any], is_oom: bool, reason: FailureReason) -> None:
    change = final_state(session(**changes), is_oom=is_oom, log_tail=["last words"])
    assert (change.state, change.reason) == (RunState.FAILED, reason)
    assert change.log_tail == ("last words",)
    assert change.detail or changes.get("ended")


def test_the_exit_code_of_a_crash_is_told() -> None:
    change = final_state(session(exit_code=-11), is_oom=False, log_tail=[])
    assert change.exit_code == -11
    assert "SIGSEGV" in change.detail


def test_a_clean_end_is_stopped_with_what_was_not_confirmed() -> None:
    ended = Ended(None, "replay finished", ("order O-1 still open",))
    change = final_state(session(exit_code=0, ended=ended), is_oom=False, log_tail=["x"])
    assert change.state is RunState.STOPPED
    assert change.detail == "replay finished"
    assert change.not_confirmed == ("order O-1 still open",)
    assert change.log_tail == ()


def test_a_broken_teardown_after_a_clean_end_is_still_stopped() -> None:
    change = final_state(session(exit_code=-6, ended=Ended(None)), is_oom=False, log_tail=[])
    assert (change.state, change.exit_code) == (RunState.STOPPED, -6)
    assert "SIGABRT" in change.detail


def test_a_stop_that_ended_in_a_kill_says_so() -> None:
    asked = session(exit_code=-9, killed_for=KillCause.STOP, is_stop_asked=True, state=RunState.STOPPING)
    change = final_state(asked, is_oom=False, log_tail=[])
    assert change.state is RunState.STOPPED
    assert "killed" in change.not_confirmed[0]


def test_a_stop_without_a_last_word_confirms_nothing() -> None:
    asked = session(exit_code=0, is_stop_asked=True, state=RunState.STOPPING)
    assert final_state(asked, is_oom=False, log_tail=[]).not_confirmed


def test_a_stop_before_the_engine_existed_leaves_nothing_open() -> None:
    asked = session(is_forked=False, engine_pid=None, is_stop_asked=True, state=RunState.STOPPING)
    change = final_state(asked, is_oom=False, log_tail=[])
    assert (change.state, change.not_confirmed) == (RunState.STOPPED, ())


def test_a_crash_during_a_stop_is_a_failure_that_confirms_nothing() -> None:
    asked = session(exit_code=-11, is_stop_asked=True, state=RunState.STOPPING)
    change = final_state(asked, is_oom=False, log_tail=[])
    assert (change.state, change.reason) == (RunState.FAILED, FailureReason.CRASH)
    assert change.not_confirmed


def test_the_tail_is_short_enough_for_one_message() -> None:
    change = final_state(session(exit_code=1), is_oom=False, log_tail=["x" * 20_000] * 50)
    assert len(change.log_tail) == 20
    assert sum(map(len, change.log_tail)) <= 40_000


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (3, "exited with 3"),
        (-11, "was ended by signal 11 (SIGSEGV)"),
        (-63, "was ended by signal 63"),
        (None, "ended in a way that nobody saw"),
    ],
)
def test_an_exit_is_described(code: int | None, text: str) -> None:
    assert describe_exit(code) == text


@pytest.mark.parametrize(
    ("is_completed", "exit_code", "state"),
    [(True, 0, "completed"), (True, 1, "stopped"), (False, 0, "stopped")],
)
def test_an_engine_whose_data_is_through_is_completed(is_completed: bool, exit_code: int, state: str) -> None:
    ended = Ended(None, "the replay is finished", is_completed=is_completed)
    change = final_state(session(ended=ended, exit_code=exit_code), is_oom=False, log_tail=["x"])
    assert (change.state, change.reason, change.log_tail) == (state, None, ())
