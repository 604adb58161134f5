"""What an emergency stop may say of a session."""

from typing import Any

import msgspec
import pytest

from flotilla.bus.receipts import (
    NO_ACCOUNT,
    NOT_BELIEVED,
    NOT_FLAT,
    Account,
    Ending,
    belied,
    belied_on_record,
    completed,
    is_confirmed,
    lacks_account,
    receipt_of,
)
from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionEnded
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import StateChange, StopReport

RUNNING = ContainerFacts(
    session_id="s1",
    instance_id="e1",
    generation=1,
    host="h1",
    name="nautilus-engine-s1",
    status=ContainerStatus.RUNNING,
    runtime="docker",
)


def exited(code: int | None) -> Ending:
    facts = msgspec.structs.replace(RUNNING, status=ContainerStatus.EXITED, exit_code=code)
    return Ending(facts=facts, ms=20.0)


def account(*, is_flat: bool = True, session_id: str = "s1", left: int = 0, **change: Any) -> Account:
    report = StopReport(policy=StopPolicy.FLATTEN, is_flat=is_flat, positions_left=left)
    end = StateChange(**({"state": RunState.STOPPED, "stop": report} | change))
    return Account(ended=SessionEnded(instance_id="e1", session_id=session_id, end=end), ms=10.0)


SILENT = Account(problem="its sidecar did not answer")


@pytest.mark.parametrize(
    ("told", "ending", "is_flat", "is_gone", "is_killed"),
    [
        (account(), exited(0), True, True, False),
        # A killed engine is never flat, whoever answered for it.
        (account(), exited(-9), False, True, True),
        (account(exit_code=-9), exited(0), False, True, True),
        # What is said does not go with how it ended, or nobody saw that.
        (account(), exited(1), False, True, False),
        (account(), exited(-15), False, True, False),
        (account(), exited(None), False, True, False),
        (account(), Ending(), False, True, False),
        (account(state=RunState.FAILED), exited(1), True, True, False),
        (account(state=RunState.FAILED), exited(0), False, True, False),
        (account(state=RunState.COMPLETED), exited(0), True, True, False),
        (account(left=1), exited(0), False, True, False),
        (account(), Ending(problem="it may still run"), False, False, False),
        (account(), Ending(facts=RUNNING, was_killed=True), False, False, True),
        (account(is_flat=False), exited(0), False, True, False),
        (account(stop=None), exited(0), False, True, False),
        (account(session_id="s2"), exited(0), False, True, False),
        (SILENT, exited(0), False, True, False),
        (SILENT, exited(-9), False, True, True),
    ],
)
def test_the_table_of_receipts(
    told: Account, ending: Ending, is_flat: bool, is_gone: bool, is_killed: bool
) -> None:
    receipt = receipt_of(RUNNING, told, ending)
    assert (receipt.is_flat, receipt.is_gone, receipt.is_killed) == (is_flat, is_gone, is_killed)
    assert bool(receipt.not_confirmed) == (not is_flat or bool(ending.problem))
    assert is_confirmed(receipt) == (is_flat and is_gone and not is_killed)
    assert (receipt.gone_ms is not None) == (is_gone and ending.ms is not None)


def test_what_is_not_confirmed_is_said_in_words() -> None:
    open_order = account(is_flat=False, not_confirmed=("order O-1 still open",))
    assert receipt_of(RUNNING, open_order, exited(0)).not_confirmed == ("order O-1 still open",)
    assert receipt_of(RUNNING, account(stop=None), exited(0)).not_confirmed == (NOT_FLAT,)
    silent = receipt_of(RUNNING, SILENT, Ending(problem="it may still run"))
    assert silent.not_confirmed == (NO_ACCOUNT + "its sidecar did not answer", "it may still run")
    assert (silent.stop, silent.engine_ms, silent.gone_ms) == (None, None, None)


def test_a_claim_that_is_not_believed_says_why() -> None:
    killed = receipt_of(RUNNING, account(), exited(-9))
    assert killed.not_confirmed == (f"{NOT_BELIEVED}it was killed",)
    assert killed.stop is not None, "what it said stays readable"
    crashed = receipt_of(RUNNING, account(), exited(1))
    assert crashed.not_confirmed == (
        f"{NOT_BELIEVED}it is said to have stopped, and its container ended with exit code 1",
    )


def test_a_receipt_that_the_last_event_of_the_session_belies_is_not_flat() -> None:
    said = receipt_of(RUNNING, account(), exited(0))
    flat = StateChange(state=RunState.STOPPED, stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True))
    assert belied(said, flat) == said
    short = StopReport(policy=StopPolicy.FLATTEN, positions_left=1)
    real = StateChange(state=RunState.STOPPED, stop=short, not_confirmed=("position P-1 is open",))
    found = belied(said, real)
    assert not found.is_flat
    assert found.not_confirmed == ("position P-1 is open", f"{NOT_BELIEVED}its last event does not say so")
    assert not belied(said, StateChange(state=RunState.STOPPED)).is_flat


@pytest.mark.parametrize(
    "changes",
    [{"is_flat": False}, {"is_gone": False}, {"is_killed": True}, {"not_confirmed": ("fill of O-2",)}],
)
def test_a_receipt_is_confirmed_only_when_nothing_is_left_to_ask(changes: dict[str, Any]) -> None:
    well = receipt_of(RUNNING, account(), exited(0))
    assert is_confirmed(well)
    assert not is_confirmed(msgspec.structs.replace(well, **changes))


def test_a_receipt_of_what_the_record_has_open_is_not_flat() -> None:
    said = receipt_of(RUNNING, account(), exited(0))
    assert belied_on_record(said, {}) == said
    assert belied_on_record(said, {"s2": ("position SPX.SIM SHORT 10",)}) == said
    found = belied_on_record(said, {"s1": ("position SPX.SIM SHORT 10", "order O-1 BUY 5")})
    assert not found.is_flat
    assert found.not_confirmed == (
        f"{NOT_BELIEVED}on record position SPX.SIM SHORT 10",
        f"{NOT_BELIEVED}on record order O-1 BUY 5",
    )
    silent = receipt_of(RUNNING, SILENT, exited(0))
    assert belied_on_record(silent, {"s1": ("position SPX.SIM SHORT 10",)}) == silent


def test_a_receipt_without_an_account_is_completed_by_the_sessions_last_event() -> None:
    """Its host asked when the sidecar had said its last; how the container ended is held against it all the same."""
    silent = receipt_of(RUNNING, SILENT, exited(0))
    assert lacks_account(silent)
    end = StateChange(
        state=RunState.STOPPED, stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True), exit_code=0
    )
    facts = msgspec.structs.replace(RUNNING, status=ContainerStatus.EXITED, exit_code=0)
    assert is_confirmed(completed(silent, end, facts))
    assert not lacks_account(completed(silent, end, facts))
    killed = msgspec.structs.replace(facts, exit_code=-9)
    unseen = msgspec.structs.replace(facts, exit_code=None)
    assert not any(completed(silent, end, one).is_flat for one in (killed, unseen))


def test_an_answer_without_a_stop_is_an_account_that_no_event_replaces() -> None:
    """An event is a claim of whoever holds the credential; what the sidecar answered its host stands."""
    failed = receipt_of(RUNNING, account(state=RunState.FAILED, stop=None), exited(1))
    assert failed.stop is None
    assert not lacks_account(failed)


def test_one_that_was_killed_or_may_still_run_is_not_completed() -> None:
    killed, running = Ending(was_killed=True), Ending(problem="it may still run")
    assert not any(lacks_account(receipt_of(RUNNING, SILENT, ending)) for ending in (killed, running))
