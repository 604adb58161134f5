"""Turns of engines on a real record: in order, decided anew when overtaken, recorded before anything is done."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest

from flotilla.schemas.engine import StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import AccountLease, SessionSpec, VenueAccount
from flotilla.schemas.states import RunState
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    Effect,
    PublishState,
    RaiseAlert,
    StartContainer,
)
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes, Stamp
from flotilla.services.orchestrator.engines.ports import Change, RepeatedCommand
from tests.unit.orchestrator.makers import HOSTS, NOW, after, config, spec, state_event


@pytest.fixture
async def record(postgres_dsn: str) -> AsyncIterator[PostgresRecord]:
    opened = await PostgresRecord.open(postgres_dsn)
    await opened.migrate()
    yield opened
    await opened.close()


class Acts:
    """Keeps what was to be done, and what was on record at that moment."""

    def __init__(self, record: PostgresRecord) -> None:
        self._record = record
        self.done: list[Effect] = []
        self.versions: list[int] = []

    async def __call__(self, effect: Effect) -> None:
        engine = await self._record.engine("e1")
        self.done.append(effect)
        self.versions.append(engine.version if engine else 0)


@pytest.fixture
def acts(record: PostgresRecord) -> Acts:
    return Acts(record)


@pytest.fixture
async def mailboxes(record: PostgresRecord, acts: Acts) -> AsyncIterator[EngineMailboxes]:
    made = EngineMailboxes(record, Fleet(), acts)
    yield made
    await made.join(5)
    await made.close()


def start(engine: Engine | None) -> Decision:
    return lifecycle.start(engine, config(), spec(), request_id="r", hosts=HOSTS, now=NOW)


def stop(engine: Engine | None) -> Decision:
    assert engine is not None
    return lifecycle.stop(engine, StopEngine(), request_id="r", now=after(1))


def stamp(request_id: str = "r1") -> Stamp:
    return Stamp(request_id=request_id, subject="s", body_hash=b"h", at=datetime.now(UTC))


async def test_what_is_done_is_on_record_before(mailboxes: EngineMailboxes, acts: Acts) -> None:
    decision = await mailboxes.turn("e1", start)
    assert decision is not None
    await mailboxes.join(5)
    assert acts.done == [StartContainer("e1", "s1", "h1"), PublishState(decision.engine)]
    assert acts.versions == [1, 1]


async def test_an_overtaken_turn_is_decided_anew(
    record: PostgresRecord, mailboxes: EngineMailboxes, postgres_dsn: str
) -> None:
    await mailboxes.turn("e1", start)
    other = await PostgresRecord.open(postgres_dsn)
    seen: list[int] = []
    overtaken = asyncio.Event()

    def decide(engine: Engine | None) -> Decision:
        assert engine is not None
        seen.append(engine.version)
        if len(seen) == 1:
            loop = asyncio.get_running_loop()
            saving = loop.create_task(other.save(Change(engine=stop(engine).engine)))
            saving.add_done_callback(lambda _: overtaken.set())
        return lifecycle.stop(engine, StopEngine(force=True), request_id="r", now=after(2))

    save = record.save

    async def late_save(change: Change) -> None:
        await overtaken.wait()
        await save(change)

    record.save = late_save  # type: ignore[method-assign]
    decision = await mailboxes.turn("e1", decide)
    assert seen == [1, 2]
    assert decision is not None
    assert decision.engine.version == 3
    assert await record.engine("e1") == decision.engine
    await other.close()


async def test_turns_of_one_engine_are_taken_in_order(mailboxes: EngineMailboxes) -> None:
    order: list[int] = []

    def turn(number: int) -> Decision | None:
        order.append(number)
        return None

    await asyncio.gather(
        *(mailboxes.turn("e1", lambda _, number=number: turn(number)) for number in range(20))  # type: ignore[misc]
    )
    assert order == list(range(20))


async def test_a_refusal_reaches_whoever_asked_and_the_next_turn_is_taken(
    mailboxes: EngineMailboxes, acts: Acts
) -> None:
    await mailboxes.turn("e1", start)
    with pytest.raises(FaultError, match="is active"):
        await mailboxes.turn("e1", start)
    decision = await mailboxes.turn("e1", stop)
    assert decision is not None
    assert decision.engine.session is not None
    assert decision.engine.session.state == RunState.STOPPING


async def test_a_command_that_is_on_record_has_no_second_effect(
    mailboxes: EngineMailboxes, acts: Acts
) -> None:
    await mailboxes.turn("e1", start, stamp=stamp())
    await mailboxes.join(5)
    acts.done.clear()
    with pytest.raises(RepeatedCommand):
        await mailboxes.turn("e1", stop, stamp=stamp())
    await mailboxes.join(5)
    assert acts.done == []


async def test_an_engine_whose_change_may_be_on_record_is_doubtful_until_it_is_read_again(
    record: PostgresRecord, mailboxes: EngineMailboxes, acts: Acts, admin_dsn: str
) -> None:
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(
        "create function die() returns trigger language plpgsql as"
        " $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;"
        "create constraint trigger dies after insert on commands deferrable initially deferred"
        " for each row execute function die()"
    )
    with pytest.raises(FaultError) as raised:
        await mailboxes.turn("e1", start, stamp=stamp())
    assert raised.value.fault.code == FaultCode.OUTCOME_UNKNOWN
    assert mailboxes.doubtful == {"e1"}
    assert acts.done == []
    await mailboxes.turn("e1", lambda _: None)
    assert mailboxes.doubtful == set()
    await connection.close()


async def test_whoever_goes_away_leaves_the_turn_to_be_taken(
    record: PostgresRecord, mailboxes: EngineMailboxes
) -> None:
    waiting = asyncio.get_running_loop().create_task(mailboxes.turn("e1", start))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await mailboxes.join(5)
    assert await record.engine("e1") is not None


def leasing(instance_id: str, session_id: str) -> SessionSpec:
    accounts = (VenueAccount(venue="IB", account="U1"),)
    lease = AccountLease(token=1, accounts=accounts)
    return msgspec.structs.replace(spec(session_id), instance_id=instance_id, lease=lease)


async def test_an_end_is_on_record_also_when_the_restart_after_it_cannot_have_its_account(
    record: PostgresRecord, mailboxes: EngineMailboxes, acts: Acts
) -> None:
    await mailboxes.turn("e1", start)
    pending = leasing("e1", "s2")

    def restart(engine: Engine | None) -> Decision:
        assert engine is not None
        return lifecycle.restart(engine, pending, request_id="r", hosts=HOSTS, now=after(1))

    def start_other(engine: Engine | None) -> Decision:
        other = config(instance_id="e2")
        return lifecycle.start(engine, other, leasing("e2", "s9"), request_id="r", hosts=HOSTS, now=after(2))

    def end(engine: Engine | None) -> Decision:
        assert engine is not None
        return apply_states(engine, [state_event(9, RunState.STOPPED)], HOSTS, after(3))

    await mailboxes.turn("e1", restart)
    await mailboxes.turn("e2", start_other)
    decision = await mailboxes.turn("e1", end)
    assert decision is not None
    assert decision.engine.pending is None
    assert decision.engine.session is not None
    assert (decision.engine.session.session_id, decision.engine.session.state) == ("s1", RunState.STOPPED)
    assert await record.engine("e1") == decision.engine
    await mailboxes.join(5)
    (told,) = (effect for effect in acts.done if isinstance(effect, RaiseAlert))
    assert "engine e2" in told.alert.message
