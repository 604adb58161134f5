"""A session of the process runtime as facts."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import WorkerPlan
from flotilla.schemas.session import ContainerStatus
from flotilla.services.supervisor.core.process_state import (
    LOST,
    RESTARTED,
    Observed,
    SessionRecord,
    facts_of,
    status_of,
)
from tests.fakes.supervised import session

AT = datetime(2026, 1, 31, tzinfo=UTC)
RECORD = SessionRecord(owner="us", host="h1", spec=session("s1"), spec_hash="h", boot_id="b", created_at=AT)


def seen(**given: Any) -> Observed:
    return Observed(
        **({"is_this_boot": True, "is_shim_alive": False, "is_sidecar_alive": False, "pid": 7} | given)
    )


@pytest.mark.parametrize(
    ("look", "status", "code", "error"),
    [
        (seen(is_shim_alive=True, pid=None), "running", None, ""),
        (seen(is_shim_alive=True, is_sidecar_alive=True), "running", None, ""),
        (seen(is_sidecar_alive=True), "running", None, ""),
        (seen(is_shim_alive=True, exit_status=3, finished_at=AT), "exited", 3, ""),
        (seen(exit_status=0, was_killed=True), "exited", 0, ""),
        (seen(exit_status=137), "exited", -9, ""),
        (seen(exit_status=143), "exited", -15, ""),
        (seen(was_killed=True), "exited", -9, ""),
        (seen(), "exited", None, LOST),
        (seen(pid=None), "created", None, ""),
        # A pid of before the restart says nothing, whoever has it now.
        (seen(is_this_boot=False, is_sidecar_alive=True), "exited", None, RESTARTED),
    ],
)
def test_the_table_of_looks(look: Observed, status: str, code: int | None, error: str) -> None:
    facts = facts_of(RECORD, look)
    assert (facts.status, facts.exit_code, facts.error) == (status, code, error)
    assert status_of(look) == ContainerStatus(status)


def test_a_worker_is_told_from_an_engine() -> None:
    worker = msgspec.structs.replace(RECORD, spec=session("s1", worker=WorkerPlan()))
    assert [facts_of(record, seen()).is_worker for record in (RECORD, worker)] == [False, True]
