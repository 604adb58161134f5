"""What is done when a session is asked for and something is there already."""

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import ContainerStatus
from flotilla.services.supervisor.core.adopt import Existing, Verdict, judge


def existing(
    status: ContainerStatus = ContainerStatus.RUNNING,
    *,
    owner: str = "us",
    session_id: str = "s1",
    spec_hash: str = "h",
    is_being_removed: bool = False,
) -> Existing:
    return Existing(
        name="nautilus-engine-s1",
        owner=owner,
        session_id=session_id,
        spec_hash=spec_hash,
        status=status,
        is_being_removed=is_being_removed,
    )


def verdict(found: Existing) -> Verdict | FaultCode:
    try:
        return judge(found, owner="us", session_id="s1", spec_hash="h")
    except FaultError as error:
        return error.fault.code


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (existing(ContainerStatus.RUNNING), Verdict.ADOPT),
        (existing(ContainerStatus.EXITED), Verdict.ADOPT),
        (existing(ContainerStatus.CREATED), Verdict.REPLACE),
        (existing(ContainerStatus.CREATED, spec_hash="other"), Verdict.REPLACE),
        (existing(ContainerStatus.RUNNING, spec_hash="other"), FaultCode.CONFLICT),
        (existing(ContainerStatus.EXITED, spec_hash="other"), FaultCode.CONFLICT),
        (existing(ContainerStatus.EXITED, is_being_removed=True), Verdict.WAIT),
        (existing(owner=""), FaultCode.CONFLICT),
        (existing(ContainerStatus.CREATED, owner="them"), FaultCode.CONFLICT),
        (existing(owner="them", is_being_removed=True), FaultCode.CONFLICT),
        (existing(session_id="s2"), FaultCode.CONFLICT),
    ],
)
def test_the_table_of_verdicts(found: Existing, expected: Verdict | FaultCode) -> None:
    assert verdict(found) == expected
