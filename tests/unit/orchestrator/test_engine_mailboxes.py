"""Turns that end a session on a record that cannot say what it held."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude
from flotilla.services.orchestrator.engines.core.effects import Effect
from flotilla.services.orchestrator.engines.core.ends import UNACCOUNTED_FOR, UNREAD, Exposure
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.session import move
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.ports import Change
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
async def mailboxes(record: Record) -> AsyncIterator[EngineMailboxes]:
    async def act(_: Effect) -> None:
        """Nothing is done here."""

    made = EngineMailboxes(record, Fleet(), act)  # type: ignore[arg-type]
    yield made
    await made.join(5)
    await made.close()


async def test_an_end_goes_on_record_although_what_was_held_cannot_be_read(
    mailboxes: EngineMailboxes, record: Record
) -> None:
    def crash(present: Engine | None) -> Decision:
        assert present is not None
        assert present.session is not None
        failed = move(present.session, RunState.FAILED, after(5), reason=FailureReason.CRASH)
        return conclude(present, failed, (), (), after(5))

    await mailboxes.turn("e1", crash)
    (change,) = record.saved
    assert change.engine.session is not None
    assert change.engine.session.state == RunState.FAILED
    assert change.engine.session.not_confirmed == (UNACCOUNTED_FOR, UNREAD)


async def test_a_wait_for_an_engine_ends_with_the_turn_that_brings_it_there(
    mailboxes: EngineMailboxes,
) -> None:
    def is_completed(present: Engine | None) -> bool:
        return present is not None and present.desired == DesiredState.STOPPED

    def complete(present: Engine | None) -> Decision:
        assert present is not None
        assert present.session is not None
        return conclude(present, move(present.session, RunState.COMPLETED, after(1)), (), (), after(1))

    assert not await mailboxes.reaches("e1", is_completed, 0.02)
    async with asyncio.TaskGroup() as tasks:
        waits = [tasks.create_task(mailboxes.reaches("e1", is_completed, 10)) for _ in range(3)]
        await asyncio.sleep(0)
        mailboxes.post("e1", complete)
    assert [wait.result() for wait in waits] == [True, True, True]
    assert await mailboxes.reaches("e1", is_completed, 0)
