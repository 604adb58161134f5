"""Commands that are limited to engines of some labels."""

from typing import Any

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.scope import refuse_leaving, refuse_outside
from tests.unit.orchestrator.makers import NOW, config, engine, session, spec

A = {"desk": "a"}
MINE, THEIRS, PLAIN = config(labels={"desk": "a", "zone": "x"}), config(labels={"desk": "b"}), config()


def code(error: pytest.ExceptionInfo[FaultError]) -> FaultCode:
    return error.value.fault.code


def test_an_engine_in_scope_and_one_that_is_not_there_are_let_through() -> None:
    refuse_outside("e1", engine(session(), config=MINE), A)
    refuse_outside("e1", None, A)
    refuse_outside("e1", engine(config=THEIRS, removed_at=NOW), A)


@pytest.mark.parametrize("other", [THEIRS, PLAIN])
def test_an_engine_out_of_scope_does_not_exist(other: Any) -> None:
    with pytest.raises(FaultError, match="no engine e1 is known") as error:
        refuse_outside("e1", engine(session(), config=other), A)
    assert code(error) == FaultCode.NOT_FOUND


def test_what_runs_counts_and_not_what_is_stored_for_later() -> None:
    refuse_outside("e1", engine(session(), config=MINE, configured=THEIRS), A)
    with pytest.raises(FaultError):
        refuse_outside("e1", engine(session(), config=THEIRS, configured=MINE), A)


@pytest.mark.parametrize("other", [THEIRS, PLAIN])
def test_nothing_is_started_or_stored_out_of_scope(other: Any) -> None:
    before = engine(config=MINE)
    begun = spec()
    for decision in (
        Decision(engine=engine(session(), config=other)),
        Decision(engine=engine(config=MINE, configured=other)),
        Decision(engine=before, spec=_with(begun, other)),
        Decision(engine=engine(session(), config=MINE, pending=_with(begun, other))),
    ):
        with pytest.raises(FaultError, match="does not carry desk=a") as error:
            refuse_leaving(before, decision, A)
        assert code(error) == FaultCode.FORBIDDEN
        assert [one.field for one in error.value.fault.errors] == ["config.labels"]
    with pytest.raises(FaultError):
        refuse_leaving(None, Decision(engine=engine(session(), config=other)), A)


def test_what_stands_already_is_no_change_of_this_command() -> None:
    before = engine(session(), config=MINE, configured=THEIRS, pending=_with(spec(), THEIRS))
    refuse_leaving(before, Decision(engine=before), A)
    refuse_leaving(before, Decision(engine=engine(session(), config=MINE, configured=THEIRS)), A)
    refuse_leaving(None, Decision(engine=engine(session(), config=MINE), spec=_with(spec(), MINE)), A)


def test_the_id_of_a_removed_engine_of_others_is_not_free() -> None:
    made = Decision(engine=engine(session(), config=MINE))
    refuse_leaving(engine(config=MINE, removed_at=NOW), made, A)
    with pytest.raises(FaultError, match="the id e1 is not free") as error:
        refuse_leaving(engine(config=THEIRS, removed_at=NOW), made, A)
    assert code(error) == FaultCode.CONFLICT


def _with(begun: Any, chosen: Any) -> Any:
    return msgspec.structs.replace(begun, config=chosen)
