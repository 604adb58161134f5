"""What every record must do, shown on a real PostgreSQL and on the record in memory."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from flotilla.schemas.audit import AuditEntry, AuditHead, Caller, ReadAudit
from flotilla.schemas.audit_chain import NOTHING, row_hash
from flotilla.schemas.config import EngineConfig, RestartPolicy, StrategyChoice
from flotilla.schemas.engine import StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import AccountLease, VenueAccount
from flotilla.schemas.states import Brake, EngineType, FailureReason, RunState, StopPolicy, TradingMode
from flotilla.schemas.telemetry import StopReport
from flotilla.services.orchestrator.adapters.migrating import steps
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.core.record_time import KeptTime
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.again import start_again
from flotilla.services.orchestrator.engines.core.brakes import Asked, brake
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude, recorded
from flotilla.services.orchestrator.engines.core.ends import Exposure
from flotilla.services.orchestrator.engines.core.events import StoredEvent, apply_states
from flotilla.services.orchestrator.engines.core.model import Engine, Silence
from flotilla.services.orchestrator.engines.core.session import move
from flotilla.services.orchestrator.engines.core.stored import configure, remove
from flotilla.services.orchestrator.engines.ports import (
    AccountHeld,
    Change,
    Command,
    Record,
    Refusal,
    RepeatedCommand,
    StaleChange,
    Unstorable,
)
from flotilla.stack.servers.postgres import PostgresServer
from tests.fakes.memory_record import MemoryRecord, Store
from tests.integration.conftest import admin_dsn, postgres, postgres_dsn  # noqa: F401 - fixtures
from tests.unit.orchestrator.makers import HOSTS, NOW, after, config, replace, spec, state_event
from tests.unit.schemas.losses import kept, trip


@pytest.fixture(params=["postgres", "memory"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    """Of a PostgreSQL, where there is to be one."""
    return request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None


@pytest.fixture
async def record(dsn: str | None) -> AsyncIterator[Record]:
    opened = await PostgresRecord.open(dsn) if dsn else MemoryRecord(Store())
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def database(postgres_dsn: str) -> AsyncIterator[PostgresRecord]:  # noqa: F811
    opened = await PostgresRecord.open(postgres_dsn)
    await opened.migrate()
    yield opened
    await opened.close()


def change_of(decision: Decision, **more: Any) -> Change:
    return Change(engine=decision.engine, ended=decision.ended, spec=decision.spec, **more)


def started(chosen: EngineConfig | None = None) -> Decision:
    return lifecycle.start(None, chosen or config(), spec(), request_id="r", hosts=HOSTS, now=NOW)


def command(request_id: str = "r1", body: bytes = b"hash") -> Command:
    return Command(
        request_id=request_id,
        subject="fleet.engine.start",
        body_hash=body,
        instance_id="e1",
        reply=b'{"a": 1}',
        created_at=NOW,
    )


def event(seq: int, kind: str = "alert", body: str = "{}", session_id: str = "s1") -> StoredEvent:
    return StoredEvent(session_id=session_id, seq=seq, instance_id="e1", kind=kind, at=NOW, body=body)


async def loaded(record: Record) -> Engine:
    engine = await record.engine("e1")
    assert engine is not None
    return engine


async def test_an_empty_record_knows_nothing(record: Record) -> None:
    assert await record.engines() == []
    assert await record.engine("e1") is None
    assert await record.command("r1") is None
    assert await record.spec("s1") is None
    assert await record.sessions("e1", 10) == []
    assert await record.sessions_named(["s1"]) == {}
    assert await record.events("s1", 0, None, 10) == []
    assert await record.gaps("s1") == []


async def test_what_is_saved_is_read_back_as_it_was(record: Record) -> None:
    strategies = (
        StrategyChoice(strategy_path="a.b:C", config_path="a.b:D", config={"note": "\x00 \u2603", "n": 1.5}),
    )
    decision = started(config(strategies=strategies, parameters={"speed": 2}))
    await record.save(change_of(decision, command=command()))
    assert await record.engines() == [decision.engine]
    assert await loaded(record) == decision.engine
    assert await record.spec("s1") == decision.spec
    assert await record.command("r1") == command()
    assert await record.sessions("e1", 10) == [decision.engine.session]
    assert await record.sessions_named(["s1", "s2"]) == {"s1": decision.engine.session}


async def test_every_fact_of_a_session_is_kept(record: Record) -> None:
    await record.save(change_of(started()))
    stopping = lifecycle.stop(await loaded(record), StopEngine(force=True), request_id="r", now=after(1))
    await record.save(change_of(stopping))
    failed = apply_states(
        await loaded(record),
        [
            state_event(
                5,
                RunState.FAILED,
                reason=FailureReason.OOM,
                detail="d",
                exit_code=-9,
                log_tail=("one", "two"),
            )
        ],
        (),
        after(2),
    )
    await record.save(change_of(failed))
    assert await loaded(record) == failed.engine


async def test_a_restart_is_kept_and_its_session_takes_the_place_of_the_ended_one(
    record: Record,
) -> None:
    await record.save(change_of(started()))
    restarting = lifecycle.restart(
        await loaded(record), spec("s2"), request_id="r", hosts=HOSTS, now=after(1)
    )
    await record.save(change_of(restarting))
    assert (await loaded(record)).pending == spec("s2", 2)
    begun = apply_states(await loaded(record), [state_event(9, RunState.STOPPED)], HOSTS, after(2))
    await record.save(change_of(begun))
    assert await loaded(record) == begun.engine
    assert [(each.session_id, each.state) for each in await record.sessions("e1", 10)] == [
        ("s2", "creating"),
        ("s1", "stopped"),
    ]
    assert [each.session_id for each in await record.sessions("e1", 1)] == ["s2"]


async def test_what_is_stored_removed_and_restarted_is_kept(record: Record) -> None:
    policy = RestartPolicy(max_restarts=2, backoff_s=5)
    begun = lifecycle.start(None, config(), spec(), request_id="r", hosts=HOSTS, now=NOW, policy=policy)
    await record.save(change_of(begun))
    failure = state_event(5, RunState.FAILED, reason=FailureReason.CRASH)
    failed = apply_states(await loaded(record), [failure], HOSTS, after(1))
    await record.save(change_of(failed))
    assert (await loaded(record)).restart_at == after(6)
    halt = Asked(brake=Brake.HALTED, by="alice")
    braked = brake(await loaded(record), halt, request_id="r", heartbeat=None, now=after(5))
    await record.save(change_of(braked))
    assert (await loaded(record)).brake == braked.engine.brake
    limited = replace(
        await loaded(record), losses=kept("1000", peak="1100", tripped=(trip("day", "100", "stop"),))
    )
    await record.save(change_of(recorded(await loaded(record), Decision(engine=limited), after(6))))
    assert (await loaded(record)).losses == limited.losses
    again = start_again(await loaded(record), spec(), "s2", HOSTS, after(6))
    await record.save(change_of(again))
    assert (await loaded(record)).restarts == (after(6),)
    assert (await record.spec("s2")) == again.spec
    stopped = lifecycle.stop(await loaded(record), StopEngine(), request_id="r", now=after(7))
    report = StopReport(policy=StopPolicy.FLATTEN, orders_cancelled=2, cancel_ms=1.5)
    await record.save(change_of(stopped))
    end = state_event(6, RunState.STOPPED, generation=2, not_confirmed=("order O-1",), stop=report)
    ended = apply_states(await loaded(record), [end], HOSTS, after(8))
    await record.save(change_of(ended))
    stored = configure(await loaded(record), config(log_level="DEBUG"), request_id="r", now=after(9))
    await record.save(change_of(stored))
    gone = remove(await loaded(record), request_id="r", now=after(10))
    await record.save(change_of(gone))
    assert await loaded(record) == gone.engine
    session = (await loaded(record)).session
    assert session is not None
    assert (session.not_confirmed, session.stop_report) == (("order O-1",), report)


def leasing(instance_id: str, session_id: str, *accounts: str, token: int = 1) -> Decision:
    """The start of an engine that trades these accounts."""
    held = tuple(VenueAccount(venue="IB", account=each) for each in accounts)
    asked = msgspec.structs.replace(
        spec(session_id), instance_id=instance_id, lease=AccountLease(token=token, accounts=held)
    )
    chosen = config(instance_id=instance_id)
    return lifecycle.start(None, chosen, asked, request_id="r", hosts=HOSTS, now=NOW)


async def test_an_account_has_one_holder_and_each_has_a_higher_token(record: Record) -> None:
    await record.save(change_of(leasing("e1", "s1", "U1", "U2")))
    with pytest.raises(AccountHeld, match="engine e1") as raised:
        await record.save(change_of(leasing("e2", "s2", "U2", "U3"), command=command()))
    assert raised.value.lease.session_id == "s1"
    assert await record.engine("e2") is None
    assert await record.command("r1") is None
    assert {lease.account for lease in await record.held_leases()} == {"U1", "U2"}
    before = await loaded(record)
    end = lifecycle.stop(before, StopEngine(), request_id="r", now=after(1))
    assert end.engine.session is not None
    over = msgspec.structs.replace(
        end.engine, session=msgspec.structs.replace(end.engine.session, state=RunState.STOPPED)
    )
    await record.save(Change(engine=over))
    assert await record.held_leases() == []
    later = leasing("e2", "s2", "U2", "U3")
    later = msgspec.structs.replace(later, engine=msgspec.structs.replace(later.engine, updated_at=after(2)))
    await record.save(change_of(later))
    held = await record.held_leases()
    assert [(lease.account, lease.token, lease.instance_id) for lease in held] == [
        ("U2", 2, "e2"),
        ("U3", 2, "e2"),
    ]
    kept = await record.spec("s2")
    assert kept is not None
    assert kept.lease is not None
    assert kept.lease.token == 2
    on = await record.leases_on([VenueAccount(venue="IB", account="U1")])
    assert [lease.is_free(after(2)) for lease in on] == [True]


async def test_of_many_that_want_an_account_at_once_one_gets_it(record: Record) -> None:
    wanted = [change_of(leasing(f"e{n}", f"s{n}", *sorted({"U1", f"U{n}"}))) for n in range(6)]
    results = await asyncio.gather(*(record.save(change) for change in wanted), return_exceptions=True)
    assert [type(result) for result in results].count(type(None)) == 1
    assert sum(isinstance(result, AccountHeld) for result in results) == 5


async def test_a_token_that_a_sidecar_has_already_is_not_undercut(record: Record) -> None:
    await record.save(change_of(leasing("e1", "s1", "U1", token=9)))
    assert [lease.token for lease in await record.held_leases()] == [9]


async def test_a_change_of_what_somebody_else_changed_is_stale_and_leaves_nothing(
    record: Record,
) -> None:
    await record.save(change_of(started()))
    before = await loaded(record)
    first = lifecycle.stop(before, StopEngine(), request_id="r", now=after(1))
    second = lifecycle.stop(before, StopEngine(force=True), request_id="r", now=after(2))
    await record.save(change_of(first))
    with pytest.raises(StaleChange):
        await record.save(change_of(second, command=command()))
    assert await loaded(record) == first.engine
    assert await record.command("r1") is None
    with pytest.raises(StaleChange):
        await record.save(change_of(started()))


async def test_a_repeated_command_changes_nothing(record: Record) -> None:
    await record.save(change_of(started(), command=command()))
    before = await loaded(record)
    stop = lifecycle.stop(before, StopEngine(), request_id="r", now=after(1))
    with pytest.raises(RepeatedCommand):
        await record.save(change_of(stop, command=command(body=b"other")))
    assert await loaded(record) == before
    assert await record.command("r1") == command()
    with pytest.raises(RepeatedCommand):
        await record.add_command(command())


async def test_an_answer_that_was_open_is_completed_once(record: Record) -> None:
    opened = msgspec.structs.replace(command(), reply=b'{"message":"is stopping","is_taken":null}')
    await record.save(change_of(started(), command=opened))
    taken, not_taken = b'{"message":"is stopping", "is_taken":true}', b'{"is_taken":false}'
    assert await record.complete_command("r1", taken) == taken
    assert await record.complete_command("r1", not_taken) == taken
    found = await record.command("r1")
    assert found is not None
    assert (found.reply, found.body_hash) == (taken, opened.body_hash)
    assert await record.complete_command("unheard-of", taken) is None


async def test_one_command_at_a_time_wins(record: Record) -> None:
    attempts = [record.add_command(command(body=bytes([n]))) for n in range(8)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(result) for result in results].count(type(None)) == 1
    assert sum(isinstance(result, RepeatedCommand) for result in results) == 7


async def test_an_event_is_kept_once_as_it_came(record: Record) -> None:
    await record.save(change_of(started()))
    body = '{"b":  1.10, "a": "\\u0000", "a": 2}'
    await record.add_events([event(1, body=body), event(2, "fill")])
    await record.add_events([event(1, body="{}"), event(3)])
    assert await record.events("s1", 0, None, 10) == [body.encode(), b"{}", b"{}"]
    assert await record.events("s1", 1, None, 1) == [b"{}"]
    assert await record.events("s1", 0, "fill", 10) == [b"{}"]
    present = (await loaded(record)).session
    assert present is not None
    assert present.last_seq == 3


async def test_who_says_a_number_otherwise_is_found(record: Record) -> None:
    await record.save(change_of(started()))
    body = '{"b":  1.10, "a": "\\u0000"}'
    await record.add_events([event(1, body=body), event(2, "fill")])
    same, other = event(1, body=body), event(2, "fill", body='{"b": 1}')
    assert await record.contradicted([same, other, event(3), event(2, session_id="s0")]) == [other]
    assert await record.contradicted([event(1, body='{"b": 1.10, "a": "\\u0000"}')])


def told(seq: int, kind: str, data: dict[str, Any]) -> StoredEvent:
    body = {"instance_id": "e1", "session_id": "s1", "generation": 1, "seq": seq, "at_ns": 1, "kind": kind}
    return event(seq, kind, msgspec.json.encode({**body, "data": data}).decode())


def position(seq: int, name: str, side: str) -> StoredEvent:
    fixed = {"event": "PositionChanged", "strategy_id": "S-000", "avg_px_open": "1", "currency": "USD"}
    moving = {"signed_qty": "-100", "realized_pnl": "0", "ts_event": seq, "instrument_id": "SPX.SIM"}
    return told(seq, "position", fixed | moving | {"position_id": name, "side": side, "quantity": "100"})


def order(seq: int, name: str, status: str) -> StoredEvent:
    fixed = {"event": "x", "instrument_id": "SPX.SIM", "strategy_id": "S-000", "order_type": "LIMIT"}
    moving = {"quantity": "5", "filled_qty": "0", "time_in_force": "GTC", "ts_event": seq, "side": "BUY"}
    return told(seq, "order", fixed | moving | {"client_order_id": name, "status": status})


async def test_what_a_session_held_last_is_known_from_its_events(record: Record) -> None:
    await record.save(change_of(started()))
    assert await record.exposure("s1") == Exposure()
    events = [position(1, "P-1", "LONG"), position(2, "P-2", "LONG"), position(3, "P-1", "FLAT")]
    events += [position(4, "P-2", "SHORT"), order(5, "O-1", "INITIALIZED"), order(6, "O-2", "SUBMITTED")]
    events += [order(7, "O-3", "ACCEPTED"), order(8, "O-2", "FILLED"), order(9, "O-4", "PENDING_CANCEL")]
    await record.add_events(events)
    held = await record.exposure("s1")
    assert [(each.position_id, each.side) for each in held.positions] == [("P-2", "SHORT")]
    assert [(each.client_order_id, each.status) for each in held.orders] == [
        ("O-3", "ACCEPTED"),
        ("O-4", "PENDING_CANCEL"),
    ]


def alert(seq: int, code: str) -> StoredEvent:
    return told(seq, "alert", {"severity": "warning", "code": code, "message": "m"})


@pytest.mark.parametrize(
    ("codes", "left"),
    [
        ((), ()),
        (("impaired", "no_data"), ("impaired",)),
        (("impaired", "trading_again", "frozen", "recovered"), ()),
        (("impaired", "trading_again", "impaired", "frozen"), ("frozen", "impaired")),
        (("lease_lost", "cache_lost"), ("cache_lost", "lease_lost")),
        (("lease_lost", "cache_lost", "lease_regained", "cache_back"), ()),
    ],
)
async def test_which_alerts_of_a_session_were_not_taken_back(
    record: Record, codes: tuple[str, ...], left: tuple[str, ...]
) -> None:
    await record.save(change_of(started()))
    await record.add_events([alert(seq, code) for seq, code in enumerate(codes, 1)])
    assert (await record.exposure("s1")).open_alerts == left


async def test_the_silence_of_a_session_is_kept(record: Record) -> None:
    await record.save(change_of(started()))
    present = await loaded(record)
    assert present.session is not None
    silence = Silence(times=3, is_open=False, heard_at=after(2))
    silent = msgspec.structs.replace(present.session, silence=silence)
    await record.save(change_of(conclude(present, silent, (), (), NOW)))
    kept = (await loaded(record)).session
    assert kept is not None
    assert kept.silence == silence


async def test_of_more_than_fifty_the_record_says_how_many_more(record: Record) -> None:
    await record.save(change_of(started()))
    await record.add_events([position(seq, f"P-{seq}", "LONG") for seq in range(1, 54)])
    await record.add_events([order(100 + seq, f"O-{seq}", "ACCEPTED") for seq in range(51)])
    held = await record.exposure("s1")
    assert (len(held.positions), held.more_positions) == (50, 3)
    assert (len(held.orders), held.more_orders) == (50, 1)


async def test_what_many_sessions_held_last_is_one_question_and_at_most_fifty_lines_of_each(
    record: Record,
) -> None:
    await record.save(change_of(started()))
    await record.add_events([position(seq, f"P-{seq:02}", "LONG") for seq in range(1, 61)])
    held = await record.exposures(["s1", "s2", "s3"])
    assert held.keys() == {"s1"}
    assert [each.position_id for each in held["s1"].positions] == [f"P-{seq:02}" for seq in range(11, 61)]
    assert held["s1"].orders == ()
    assert await record.exposures([]) == {}


@pytest.mark.parametrize(
    ("told_seq", "missing"), [(0, [(2, 2)]), (3, [(2, 2)]), (4, [(2, 2), (4, 4)]), (9, [(2, 2), (4, 9)])]
)
async def test_the_tail_that_a_session_took_with_it_is_missing(
    record: Record, told_seq: int, missing: list[tuple[int, int]]
) -> None:
    await record.save(change_of(started()))
    await record.add_events([event(1), event(3)])
    present = await loaded(record)
    assert present.session is not None
    ended = move(present.session, RunState.FAILED, NOW, told_seq=told_seq)
    await record.save(change_of(conclude(present, ended, (), (), NOW)))
    assert await record.gaps("s1") == missing
    after_all = (await loaded(record)).session
    assert after_all is not None
    assert after_all.known_seq == max(3, told_seq)


async def test_commands_and_refusals_are_forgotten_when_they_are_old(record: Record) -> None:
    for name, at in (("old", NOW - timedelta(days=401)), ("new", NOW)):
        await record.add_command(
            Command(
                request_id=f"c-{name}",
                subject="x",
                body_hash=b"",
                instance_id="e1",
                reply=b"{}",
                created_at=at,
            )
        )
        await record.add_refusal(
            Refusal(
                request_id=f"r-{name}",
                subject="x",
                instance_id="e1",
                created_at=at,
                code=FaultCode.CONFLICT,
                message="no",
            )
        )
    assert await record.forget_audit(NOW - timedelta(days=400)) == 2
    assert await record.forget_audit(NOW - timedelta(days=400)) == 0
    assert {entry.request_id for entry in await record.audit(ReadAudit())} == {"c-new", "r-new"}


async def test_the_gaps_of_a_session_are_found(record: Record) -> None:
    await record.save(change_of(started()))
    assert await record.gaps("s1") == []
    await record.add_events([event(seq) for seq in (3, 4, 6, 9)])
    assert await record.gaps("s1") == [(1, 2), (5, 5), (7, 8)]
    await record.add_events([event(seq) for seq in (1, 2, 5, 7, 8)])
    assert await record.gaps("s1") == []


async def test_an_event_of_an_unknown_session_is_refused_whole(record: Record) -> None:
    await record.save(change_of(started()))
    with pytest.raises(Unstorable):
        await record.add_events([event(1), event(1, session_id="nobodys")])
    assert await record.events("s1", 0, None, 10) == []


async def test_events_and_the_change_they_make_are_one_transaction(record: Record) -> None:
    await record.save(change_of(started()))
    before = await loaded(record)
    moved = apply_states(before, [state_event(1, RunState.BOOTING)], (), after(1))
    with pytest.raises(Unstorable):
        await record.save(change_of(moved, events=[event(1), event(2, session_id="nobodys")]))
    assert await loaded(record) == before
    await record.save(change_of(moved, events=[event(1, "state")]))
    assert await record.events("s1", 0, "state", 10) == [b"{}"]


async def test_a_value_that_the_store_cannot_hold_is_refused_and_leaves_nothing(
    record: Record,
) -> None:
    await record.save(change_of(started()))
    before = await loaded(record)
    wild = state_event(1, RunState.FAILED, exit_code=2**40)
    changed = apply_states(before, [wild], (), after(1)).engine
    assert changed.session is not None
    changed = msgspec.structs.replace(
        changed, session=msgspec.structs.replace(changed.session, exit_code=2**40)
    )
    with pytest.raises(Unstorable):
        await record.save(Change(engine=changed, events=[event(1)]))
    assert await loaded(record) == before


async def test_two_sessions_of_an_engine_cannot_be_active_at_once(
    database: PostgresRecord,
    postgres_dsn: str,  # noqa: F811
) -> None:
    await database.save(change_of(started()))
    connection = await asyncpg.connect(postgres_dsn)
    with pytest.raises(asyncpg.UniqueViolationError, match="one_active_session"):
        await connection.execute(
            "insert into sessions select 's2', instance_id, 2, state, spec, stop_policy, stop_timeout_s, host, reason,"
            " detail, exit_code, log_tail, stop, state_seq, is_provisional, created_at, changed_at from sessions"
        )
    await connection.close()


async def test_thousands_of_events_go_in_quickly_together(record: Record) -> None:
    await record.save(change_of(started()))
    await record.add_events([event(seq) for seq in range(1, 20_001)])
    assert await record.gaps("s1") == []
    assert len(await record.events("s1", 19_000, None, 1000)) == 1000


async def test_migrating_at_once_and_again_changes_nothing(admin_dsn: str) -> None:  # noqa: F811
    """As an orchestrator whose only login may do everything."""
    database = await PostgresRecord.open(admin_dsn)
    await asyncio.gather(*(database.migrate() for _ in range(4)))
    await database.save(change_of(started()))
    await asyncio.gather(*(database.migrate() for _ in range(4)))
    assert len(await database.engines()) == 1
    await database.close()
    connection = await asyncpg.connect(admin_dsn)
    rows = await connection.fetch("select name from migrations order by name")
    assert [row["name"] for row in rows] == [name for name, _ in steps()]
    await connection.close()


@pytest.fixture
def own_postgres() -> Iterator[tuple[PostgresServer, Path]]:
    """A server that a test may kill, and its folder."""
    folder = Path(tempfile.mkdtemp(prefix="flotilla-postgres-"))
    server = PostgresServer(folder)
    server.start()
    yield server, folder
    server.stop()
    shutil.rmtree(folder)


def _works_in(folder: Path) -> bool:
    """Whether any process has `folder` or a folder in it as its own."""
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if entry.readlink().is_relative_to(folder):
                return True
    return False


async def test_while_the_database_is_away_everything_says_so_and_it_comes_back(
    own_postgres: tuple[PostgresServer, Path],
) -> None:
    server, folder = own_postgres
    record = await PostgresRecord.open(server.dsn)
    await record.migrate()
    await record.save(change_of(started()))
    before = await loaded(record)
    stop = change_of(lifecycle.stop(before, StopEngine(), request_id="r", now=after(1)))
    server.kill()
    # A backend that is given a statement before it notices that its postmaster is dead still answers that.
    async with asyncio.timeout(10):
        while _works_in(folder):
            await asyncio.sleep(0.01)
    kept = KeptTime(at=NOW, boot_id="boot", monotonic_s=1.0)
    for attempt in (
        record.engines(),
        record.save(stop),
        record.add_events([event(1)]),
        record.migrate(),
        record.keep_time(kept),
    ):
        with pytest.raises(FaultError) as raised:
            await attempt
        assert raised.value.fault.code == FaultCode.UNAVAILABLE
    server.start()
    await record.keep_time(kept)
    assert await loaded(record) == before
    await record.save(stop)
    await record.close()


async def test_a_connection_that_breaks_at_the_commit_leaves_the_outcome_unknown(
    database: PostgresRecord,
    admin_dsn: str,  # noqa: F811
) -> None:
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(
        "create function die() returns trigger language plpgsql as"
        " $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;"
        "create constraint trigger dies after insert on commands deferrable initially deferred"
        " for each row execute function die()"
    )
    with pytest.raises(FaultError) as raised:
        await database.save(change_of(started(), command=command()))
    assert raised.value.fault.code == FaultCode.OUTCOME_UNKNOWN
    assert await database.engines() == []
    await connection.close()


async def test_the_records_time_is_kept_and_an_earlier_one_changes_nothing(record: Record) -> None:
    assert await record.kept_time() is None
    first = KeptTime(at=NOW, boot_id="boot-1", monotonic_s=100.25)
    await record.keep_time(first)
    assert await record.kept_time() == first
    await record.keep_time(KeptTime(at=after(-0.001), boot_id="boot-2", monotonic_s=7.0))
    assert await record.kept_time() == first
    later = KeptTime(at=after(1), boot_id="boot-2", monotonic_s=8.0)
    await record.keep_time(later)
    assert await record.kept_time() == later


ANN = Caller(credential="gateway", name="ann", origin="10.0.0.5", via="rest")


def refusal(request_id: str = "r2", instance_id: str = "e1", **changes: Any) -> Refusal:
    given: dict[str, Any] = {
        "request_id": request_id,
        "subject": "fleet.engine.stop",
        "instance_id": instance_id,
        "created_at": NOW,
        "code": FaultCode.CONFLICT,
        "message": "not now",
    }
    return Refusal(**(given | changes))


async def test_who_asked_for_what_is_kept_with_what_was_done_and_with_what_was_refused(
    record: Record,
) -> None:
    done = msgspec.structs.replace(
        command(), caller=ANN, body=b'{"text": "nul \\u0000"}', host="h1", message="1 of 1 flat"
    )
    await record.add_command(done)
    await record.add_refusal(refusal(caller=ANN, body=b'{"api_key": "***"}'))
    refused, carried_out = await record.audit(ReadAudit())
    assert refused == AuditEntry(
        number=refused.number,
        at=NOW,
        request_id="r2",
        subject="fleet.engine.stop",
        about="e1",
        caller=ANN,
        body={"api_key": "***"},
        code=FaultCode.CONFLICT,
        message="not now",
        hash=refused.hash,
    )
    assert carried_out == AuditEntry(
        number=carried_out.number,
        at=NOW,
        request_id="r1",
        subject="fleet.engine.start",
        about="e1",
        host="h1",
        caller=ANN,
        body={"text": "nul \x00"},
        message="1 of 1 flat",
        hash=carried_out.hash,
    )
    assert carried_out.number < refused.number


ODD = 'line\nbreak, "quote" \\, é 漢 🙂, 12:text, -'


async def test_each_entry_is_chained_to_the_one_before_as_whoever_verifies_it_hashes_it(
    record: Record,
) -> None:
    assert (await record.audit_chain(0, 10)).head == AuditHead(seq=0, hash=NOTHING)
    at = NOW + timedelta(microseconds=123_456)
    caller = Caller(credential="operator", name=ODD, origin="-", via="")
    await record.add_command(
        msgspec.structs.replace(
            command(),
            caller=caller,
            body=b'{"n": 1.50, "text": "nul \\u0000 \xc3\xa9"}',
            created_at=at,
            message=ODD,
        )
    )
    await record.add_refusal(refusal(host="h1", message=ODD))
    await record.save(change_of(started(), command=command("r3")))
    found = await record.audit_chain(0, 10)
    prev = NOTHING
    for seq, row in enumerate(found.rows, 1):
        assert (row.seq, row.prev, row.hash) == (seq, prev, row_hash(row))
        prev = row.hash
    assert found.head == AuditHead(seq=3, hash=prev)
    assert (found.pruned, found.stray) == (None, None)
    first, second, _ = found.rows
    assert (first.at, first.code, first.host) == ("2026-01-31T14:25:01.123456Z", None, None)
    assert first.body == '{"n": 1.50, "text": "nul \\u0000 é"}'
    assert (second.code, second.host, second.body, second.message) == ("conflict", "h1", None, ODD)
    assert [entry.hash for entry in await record.audit(ReadAudit())] == [row.hash for row in found.rows[::-1]]
    page = await record.audit_chain(1, 1)
    assert (page.rows, page.head) == ((second,), found.head)


async def test_a_command_that_is_repeated_is_no_second_entry(record: Record) -> None:
    await record.add_command(command())
    with pytest.raises(RepeatedCommand):
        await record.add_command(command())
    with pytest.raises(RepeatedCommand):
        await record.save(change_of(started(), command=command()))
    assert (await record.audit_chain(0, 10)).head == (await record.audit_chain(0, 0)).head
    assert [row.seq for row in (await record.audit_chain(0, 10)).rows] == [1]


async def test_what_is_answered_later_changes_no_entry(record: Record) -> None:
    await record.add_command(command())
    before = await record.audit_chain(0, 10)
    await record.complete_command("r1", b'{"is_taken": true}')
    assert await record.audit_chain(0, 10) == before


async def test_only_the_oldest_entries_are_deleted_and_the_last_of_them_is_kept_in_mind(
    record: Record,
) -> None:
    limit = NOW - timedelta(days=400)
    ages = (402, 401, 1, 403)
    for number, days in enumerate(ages, 1):
        await record.add_refusal(refusal(f"r{number}", created_at=NOW - timedelta(days=days)))
    rows = (await record.audit_chain(0, 10)).rows
    assert await record.forget_audit(limit) == 2
    assert await record.forget_audit(limit) == 0
    left = await record.audit_chain(0, 10)
    # One that came late stands behind one that is young: the chain has no holes.
    assert left.rows == rows[2:]
    assert left.pruned is not None
    assert (left.pruned.seq, left.pruned.hash) == (2, rows[1].hash)
    assert left.pruned.rule == "older than 2024-12-27T14:25:01.000000Z"
    await record.add_refusal(refusal("r5"))
    assert (await record.audit_chain(4, 10)).rows[0].prev == rows[3].hash


async def test_a_command_with_its_engine_has_its_caller_too(record: Record) -> None:
    noted = msgspec.structs.replace(command(), caller=ANN)
    await record.save(change_of(started(), command=noted))
    (entry,) = await record.audit(ReadAudit())
    assert (entry.request_id, entry.caller, entry.code) == ("r1", ANN, None)
    # The answer to the same command again is what it was.
    found = await record.command("r1")
    assert found is not None
    assert (found.reply, found.body_hash) == (command().reply, command().body_hash)


async def test_the_audit_is_read_in_pages_of_one_or_of_all(record: Record) -> None:
    for number in range(4):
        await record.add_refusal(refusal(f"r{number}", instance_id=f"e{number % 2}"))
    newest, second = await record.audit(ReadAudit(limit=2))
    assert [newest.request_id, second.request_id] == ["r3", "r2"]
    rest = await record.audit(ReadAudit(before=second.number))
    assert [entry.request_id for entry in rest] == ["r1", "r0"]
    assert [entry.request_id for entry in await record.audit(ReadAudit(about="e1"))] == ["r3", "r1"]


async def test_a_refusal_that_is_told_twice_stands_there_once_and_may_be_tried_again(
    record: Record,
) -> None:
    await record.add_refusal(refusal())
    await record.add_refusal(refusal())
    await record.add_refusal(refusal(created_at=after(1)))
    assert len(await record.audit(ReadAudit())) == 2
    await record.add_command(command("r2"))
    assert len(await record.audit(ReadAudit())) == 3


async def test_what_an_engine_last_traded_money_with_is_of_the_newest_session_that_got_so_far(
    record: Record,
) -> None:
    assert await record.last_live("e1") is None
    chosen = StrategyChoice(
        strategy_path="a.b:C", config_path="a.b:D", config={"note": "\x00", "trading_mode": "live"}
    )
    configs = [
        config(engine_type="live", trading_mode="live", strategies=(chosen,)),
        config(engine_type="live", trading_mode="paper", strategies=(chosen,)),
        config(engine_type="live", trading_mode="live"),
    ]
    reached = [RunState.TRADING, RunState.TRADING, RunState.BOOTING]
    engine: Engine | None = None
    for number, (each, state) in enumerate(zip(configs, reached, strict=True), 1):
        what = msgspec.structs.replace(
            spec(session_id=f"s{number}"),
            config=each,
            engine_type=EngineType(each.engine_type),
            trading_mode=TradingMode(each.trading_mode),
        )
        begun = lifecycle.start(engine, each, what, request_id=f"r{number}", hosts=HOSTS, now=NOW)
        await record.save(change_of(begun))
        session = begun.engine.session
        assert session is not None
        trading_at = NOW if state is RunState.TRADING else None
        ended = msgspec.structs.replace(session, state=RunState.STOPPED, trading_at=trading_at, ended_at=NOW)
        engine = msgspec.structs.replace(begun.engine, session=ended, version=begun.engine.version + 1)
        await record.save(Change(engine=engine))
    found = await record.last_live("e1")
    assert found is not None
    assert found.session_id == "s1"
    assert found.config == configs[0]
    assert await record.last_live("e2") is None
