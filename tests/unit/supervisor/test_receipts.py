"""What an emergency stop may say of a session."""

from typing import Any

import msgspec
import pytest

from schemas.session import ContainerFacts, ContainerStatus, SessionEnded
from schemas.states import RunState, StopPolicy
from schemas.telemetry import StateChange, StopReport
from services.supervisor.core.receipts import NO_ACCOUNT, NOT_FLAT, Account, Ending, receipt_of

RUNNING = ContainerFacts(
    session_id="s1",
    instance_id="e1",
    generation=1,
    host="h1",
    name="nautilus-engine-s1",
    status=ContainerStatus.RUNNING,
    runtime="docker",
)


def exited(code: int) -> Ending:
    facts = msgspec.structs.replace(RUNNING, status=ContainerStatus.EXITED, exit_code=code)
    return Ending(facts=facts, ms=20.0)


def account(*, is_flat: bool = True, session_id: str = "s1", **change: Any) -> Account:
    report = StopReport(policy=StopPolicy.FLATTEN, is_flat=is_flat)
    end = StateChange(state=RunState.STOPPED, **({"stop": report} | change))
    return Account(ended=SessionEnded(instance_id="e1", session_id=session_id, end=end), ms=10.0)


SILENT = Account(problem="its sidecar did not answer")


@pytest.mark.parametrize(
    ("told", "ending", "is_flat", "is_gone", "is_killed"),
    [
        (account(), exited(0), True, True, False),
        (account(), exited(-9), True, True, True),
        (account(), Ending(), True, True, False),
        (account(), Ending(problem="it may still run"), True, False, False),
        (account(), Ending(facts=RUNNING, was_killed=True), True, False, True),
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
    assert (receipt.gone_ms is not None) == (is_gone and ending.ms is not None)


def test_what_is_not_confirmed_is_said_in_words() -> None:
    open_order = account(is_flat=False, not_confirmed=("order O-1 still open",))
    assert receipt_of(RUNNING, open_order, exited(0)).not_confirmed == ("order O-1 still open",)
    assert receipt_of(RUNNING, account(stop=None), exited(0)).not_confirmed == (NOT_FLAT,)
    silent = receipt_of(RUNNING, SILENT, Ending(problem="it may still run"))
    assert silent.not_confirmed == (NO_ACCOUNT + "its sidecar did not answer", "it may still run")
    assert (silent.stop, silent.engine_ms, silent.gone_ms) == (None, None, None)
