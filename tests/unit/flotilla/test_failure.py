"""How commands end: exit codes, and what is told on stderr."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.fault import Fault, FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState
from flotilla.show.error_report import failure_of
from flotilla.state.errors import EngineFailedError, ServerError, StackError, StackRunsError
from flotilla.state.exits import MEANING, OF_FAULT, Exit

CRASHED = EngineView(
    instance_id="a",
    state=ClientState.ERROR,
    desired=DesiredState.RUNNING,
    config=EngineConfig(),
    session=SessionView(
        session_id="s",
        instance_id="a",
        generation=1,
        state=RunState.FAILED,
        container_name="nautilus-engine-s",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        reason=FailureReason.CRASH,
        exit_code=-9,
        log_tail=("last words",),
    ),
)


def test_every_fault_has_its_exit_code() -> None:
    assert {str(code): int(exit_code) for code, exit_code in OF_FAULT.items()} == {
        "malformed": 3,
        "confirmation_required": 3,
        "unauthenticated": 3,
        "forbidden": 3,
        "too_large": 3,
        "invalid": 3,
        "not_found": 4,
        "conflict": 5,
        "ambiguous_engine": 5,
        "busy": 6,
        "unavailable": 6,
        "internal": 1,
        "outcome_unknown": 8,
    }
    assert len(OF_FAULT) == len(FaultCode)


def test_every_exit_code_is_explained() -> None:
    assert [int(code) for code in MEANING] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]
    assert len(MEANING) == len(Exit)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (fault(FaultCode.INVALID, "x"), 3),
        (fault(FaultCode.CONFIRMATION_REQUIRED, "x"), 3),
        (fault(FaultCode.NOT_FOUND, "x"), 4),
        (fault(FaultCode.CONFLICT, "x"), 5),
        (fault(FaultCode.UNAVAILABLE, "x"), 6),
        (EngineFailedError(CRASHED), 7),
        (fault(FaultCode.OUTCOME_UNKNOWN, "x"), 8),
        (StackRunsError(Path("/state"), 7), 5),
        (StackError("x", "y"), 1),
        (ServerError("x"), 1),
        (PermissionError("x"), 1),
    ],
)
def test_the_exit_code_says_what_kind_of_failure_it_was(error: Exception, code: int) -> None:
    failure = failure_of(error)
    assert failure is not None
    assert failure.exit_code == code


def test_an_error_that_nobody_expected_is_not_explained_away() -> None:
    assert failure_of(KeyError("x")) is None


def test_a_refusal_names_the_field_and_the_error_id(capsys: pytest.CaptureFixture[str]) -> None:
    problem = invalid(FieldError("config.max_cpu", "must be a number")).fault
    shown(
        FaultError(Fault(code=problem.code, message=problem.message, errors=problem.errors, error_id="3f9c"))
    )
    assert capsys.readouterr().err == "error: config.max_cpu: must be a number\n  error id: 3f9c\n"


def test_several_fields_stand_on_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    shown(invalid(FieldError("a", "is wrong"), FieldError("b", "as well")))
    assert capsys.readouterr().err.splitlines()[:3] == [
        "error: the input was refused",
        "  a: is wrong",
        "  b: as well",
    ]


def test_a_crash_is_told_with_its_exit_code_and_last_words(capsys: pytest.CaptureFixture[str]) -> None:
    shown(EngineFailedError(CRASHED))
    told = capsys.readouterr().err
    assert told.startswith("error: engine a is failed (crash), exit code -9\n  | last words\n  remedy: ")


def test_of_an_engine_that_disagrees_with_its_venue_people_are_told_to_decide() -> None:
    assert CRASHED.session is not None
    session = msgspec.structs.replace(CRASHED.session, state=RunState.MISMATCH, log_tail=())
    failure = failure_of(EngineFailedError(msgspec.structs.replace(CRASHED, session=session)))
    assert failure is not None
    for command in ("inspect", "accept", "flatten"):
        assert f"`flotilla engine {command} a`" in failure.remedy
    assert "logs" not in failure.remedy


def test_programs_get_the_failure_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    shown(fault(FaultCode.UNAVAILABLE, "nobody answers"), is_json=True)
    told = json.loads(capsys.readouterr().err)["error"]
    assert (told["exit_code"], told["code"], told["message"]) == (6, "unavailable", "nobody answers")
    assert "flotilla up" in told["remedy"]


def shown(error: Exception, *, is_json: bool = False) -> None:
    failure = failure_of(error)
    assert failure is not None
    failure.show(is_json=is_json)
