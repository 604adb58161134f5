"""Turns that end a session on a record that cannot say what it held."""

from collections.abc import AsyncIterator

import pytest

from schemas.fault import FaultCode, fault
from schemas.states import FailureReason, RunState
from services.orchestrator.conductor import Conductor
from services.orchestrator.core.decision import Decision, conclude
from services.orchestrator.core.effects import Effect
from services.orchestrator.core.ends import NO_ACCOUNT, UNREAD, Exposure
from services.orchestrator.core.fleet import Fleet
from services.orchestrator.core.model import Engine
from services.orchestrator.core.session import move
from services.orchestrator.ports import Change
from tests.unit.orchestrator.makers import after, engine, session

SLOW = fault(FaultCode.UNAVAILABLE, "the statement took too long")
UNSOUND = ValueError("unsupported Unicode escape sequence")


class Record:
    """One engine that trades, and events that cannot be read."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem
        self.saved: list[Change] = []

    async def engine(self, _: str) -> Engine:
        return engine(session())

    async def exposure(self, _: str) -> Exposure:
        raise self.problem

    async def save(self, change: Change) -> None:
        self.saved.append(change)


@pytest.fixture(params=[SLOW, UNSOUND], ids=["slow", "unsound"])
def record(request: pytest.FixtureRequest) -> Record:
    return Record(request.param)


@pytest.fixture
async def conductor(record: Record) -> AsyncIterator[Conductor]:
    async def act(_: Effect) -> None:
        """Nothing is done here."""

    made = Conductor(record, Fleet(), act)  # type: ignore[arg-type]
    yield made
    await made.join(5)
    await made.close()


async def test_an_end_goes_on_record_although_what_was_held_cannot_be_read(
    conductor: Conductor, record: Record
) -> None:
    def crash(present: Engine | None) -> Decision:
        assert present is not None
        assert present.session is not None
        failed = move(present.session, RunState.FAILED, after(5), reason=FailureReason.CRASH)
        return conclude(present, failed, (), (), after(5))

    await conductor.turn("e1", crash)
    (change,) = record.saved
    assert change.engine.session is not None
    assert change.engine.session.state == RunState.FAILED
    assert change.engine.session.not_confirmed == (NO_ACCOUNT, UNREAD)
