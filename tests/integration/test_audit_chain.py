"""The audit on a real PostgreSQL: its orchestrator cannot rewrite it, and what a superuser does to it is found and named."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest
from nats.js import errors as js_errors

from flotilla.bus.bus import Bus
from flotilla.bus.streams import history
from flotilla.client.audit_chain import AuditVerdict
from flotilla.client.client import Flotilla
from flotilla.schemas import contract
from flotilla.schemas.audit import AuditHead, Caller, ReadAudit
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import ConfigureEngine, StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.adapters.migrating import steps
from flotilla.services.orchestrator.adapters.owning import hand_over
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.adapters.rows import SQL
from flotilla.services.orchestrator.engines import audit_trail
from flotilla.services.orchestrator.engines.ports import Command, Refusal
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.postgres import PostgresServer
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import Bench, ScriptedHost, until, write_sources
from tests.integration.test_orchestrator_outages import OrchestratorProcess
from tests.unit.orchestrator.makers import NOW, config

ANN = Caller(credential="gateway", name="ann", origin="10.0.0.5", via="rest")
ADD = "select audit_add(now(), 'r', 's', 'e1', null, '', 'mallory', '', '', null, null, '')"


def command(request_id: str, at: datetime = NOW) -> Command:
    return Command(
        request_id=request_id,
        subject="fleet.engine.stop",
        body_hash=b"",
        instance_id="e1",
        reply=b"{}",
        created_at=at,
        caller=ANN,
        body=b'{"instance_id": "e1"}',
    )


def refusal(request_id: str) -> Refusal:
    return Refusal(
        request_id=request_id,
        subject="fleet.engine.start",
        instance_id="e1",
        created_at=NOW,
        code=FaultCode.CONFLICT,
        message="no",
    )


@pytest.fixture
async def record(postgres_dsn: str) -> AsyncIterator[PostgresRecord]:
    """One with five entries, as the orchestrator has it."""
    opened = await PostgresRecord.open(postgres_dsn)
    for number in range(5):
        await opened.add_command(command(f"r{number}"))
    yield opened
    await opened.close()


@pytest.fixture
async def admin(admin_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(admin_dsn)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update audit set caller = 'mallory' where seq = 3",
        "delete from audit where seq = 3",
        "truncate audit",
        "insert into audit select 6, at, request_id, subject, about, host, credential, caller, origin, via, body, code, message,"
        " prev, hash from audit where seq = 5",
        "copy audit from program 'true'",
        "update audit_head set seq = 3",
        "delete from audit_head",
        "insert into audit_head values (true, 0, '')",
        "select * from audit_head for update",
        "begin; lock table audit_head in exclusive mode",
        "update audit_retention set keep_days = 0",
        "delete from audit_retention",
        "drop table audit",
        "alter table audit add column mine int",
        "alter table audit disable trigger all",
        "alter table audit owner to flotilla_orchestrator",
        "create trigger mine before insert on audit for each row execute function suppress_redundant_updates_trigger()",
        "create rule mine as on insert to audit do instead nothing",
        "create index mine on audit (caller)",
        "drop function audit_add(timestamptz, text, text, text, text, text, text, text, text, json, text, text)",
        "alter function audit_prune(timestamptz, integer) security invoker",
        "alter function audit_prune(timestamptz, integer) reset search_path",
        "create or replace function audit_at(timestamptz) returns text stable language sql return ''",
        "set session_replication_role = replica",
        "set role flotilla_owner",
    ],
)
async def test_the_orchestrators_login_cannot_rewrite_the_audit(
    record: PostgresRecord, postgres_dsn: str, statement: str
) -> None:
    before = await record.audit_chain(0, 10)
    assert await record.audit_guard() == ""
    connection = await asyncpg.connect(postgres_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()
    assert await record.audit_chain(0, 10) == before


async def test_nothing_of_its_own_is_found_before_what_the_functions_name(
    record: PostgresRecord, postgres_dsn: str
) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("set search_path = pg_temp, pg_catalog")
    assert await connection.fetchval(ADD.replace("audit_add", "public.audit_add")) == 6
    await connection.close()
    rows = (await record.audit_chain(0, 10)).rows
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[5].prev == rows[4].hash


async def test_it_deletes_nothing_that_is_younger_than_the_owner_says(
    record: PostgresRecord, admin_dsn: str, admin: asyncpg.Connection
) -> None:
    now = datetime.now(UTC)
    await record.add_command(command("young", now))
    assert await record.forget_audit(now + timedelta(days=10_000)) == 6
    assert [row.request_id for row in (await record.audit_chain(0, 10)).rows][-1:] == ["young"]
    # Those of January are older than the 30 days that the owner gives now, what is of today is not.
    await hand_over(admin_dsn, None, login_password=None, keep_days=30)
    await record.forget_audit(now + timedelta(days=10_000))
    left = await record.audit_chain(0, 10)
    assert [row.request_id for row in left.rows] == ["young"]
    assert left.pruned is not None
    assert left.pruned.seq == 5


async def test_a_row_that_somebody_put_in_stops_nobody(
    record: PostgresRecord, admin: asyncpg.Connection
) -> None:
    await put_in(admin, 6)
    await record.add_command(command("after"))
    await record.add_refusal(refusal("after-that"))
    found = await record.audit_chain(0, 10)
    assert found.head is not None
    assert (found.head.seq, found.stray) == (8, None)


async def put_in(admin: asyncpg.Connection, seq: int) -> None:
    columns = "at, request_id, subject, about, host, credential, 'mallory', origin, via, body, code, message, prev, hash"
    await admin.execute(f"insert into audit select $1, {columns} from audit where seq = 5", seq)


@pytest.mark.parametrize(
    ("connected", "made"),
    [
        ("as a superuser", "alter role {0} superuser"),
        ("as the owner of the audit", "grant flotilla_owner to {0}"),
        ("with a login that may change the audit's rows", "grant update on audit to {0}"),
        ("with a login that may change the audit's rows", "grant delete on audit_head to {0}"),
        ("as the owner of the database", "alter database {1} owner to {0}"),
    ],
)
async def test_a_login_that_could_rewrite_it_is_found_out(
    record: PostgresRecord, postgres_dsn: str, admin: asyncpg.Connection, connected: str, made: str
) -> None:
    database = await admin.fetchval("select current_database()")
    await admin.execute("create role other login in role flotilla_orchestrator")
    try:
        await admin.execute(made.format("other", database))
        await admin.execute("set session authorization other")
        assert await admin.fetchval(SQL["audit_guard"]) == connected
    finally:
        await admin.execute("reset session authorization")
        await admin.execute(f"alter database {database} owner to postgres")
        await admin.execute("drop owned by other; drop role other")


# -- as whoever verifies it sees it


@pytest.fixture
async def fleet(
    idle: Bench, connect_as: ConnectAs, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Flotilla]:
    """One whose orchestrator exports its head at once, and recorded five commands."""
    monkeypatch.setattr(audit_trail, "EXPORT_S", 0.05)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        for number in range(4):
            await idle.call(
                contract.ENGINE_CONFIGURE, ConfigureEngine(config=config(instance_id=f"e{number}"))
            )
        with pytest.raises(FaultError):
            await idle.call(contract.ENGINE_STOP, StopEngine(instance_id="nobody"))
        await until(lambda: head_on_bus(idle.operator), lambda head: head is not None and head.seq == 5)
        yield Flotilla(idle.operator)


async def head_on_bus(bus: Bus) -> AuditHead | None:
    kept = await history(bus, contract.FLEET_AUDIT_HEAD, limit=1)
    return msgspec.json.decode(kept[-1].data, type=AuditHead) if kept else None


async def problem(fleet: Flotilla, *heads: AuditHead) -> tuple[str, int]:
    verdict = await fleet.verify_audit(heads)
    assert not verdict.is_whole
    assert verdict.problem is not None
    return verdict.problem.kind, verdict.problem.seq


async def whole(fleet: Flotilla) -> AuditVerdict:
    verdict = await fleet.verify_audit()
    assert verdict.problem is None
    return verdict


async def test_what_an_orchestrator_recorded_is_whole_and_protected(fleet: Flotilla) -> None:
    verdict = await whole(fleet)
    assert (verdict.entries, verdict.unprotected, verdict.last_known) == (5, "", 5)
    assert verdict.head == await head_on_bus(fleet.bus)
    entries = (await fleet.audit()).entries
    assert [entry.number for entry in entries] == [5, 4, 3, 2, 1]
    assert entries[0].code is not None
    assert verdict.head == AuditHead(seq=5, hash=entries[0].hash)


async def test_what_a_superuser_does_to_it_is_named(fleet: Flotilla, admin: asyncpg.Connection) -> None:
    kept = (await whole(fleet)).head
    assert kept is not None

    async def after(*statements: str) -> tuple[str, int]:
        await admin.execute("create table if not exists kept as select * from audit")
        for statement in statements:
            await admin.execute(statement)
        found = await problem(fleet)
        await admin.execute("delete from audit; insert into audit select * from kept")
        await admin.execute("update audit_head set seq = 5, hash = (select hash from audit where seq = 5)")
        return found

    assert await after("update audit set caller = 'mallory' where seq = 3") == ("changed", 3)
    assert await after("update audit set at = at + interval '1 microsecond' where seq = 3") == ("changed", 3)
    assert await after("update audit set body = null where seq = 2") == ("changed", 2)
    assert await after("delete from audit where seq = 2") == ("missing", 2)
    assert await after("insert into audit select 6, " + COLUMNS + " from audit where seq = 5") == (
        "inserted",
        6,
    )
    assert await after("delete from audit where seq > 3") == ("cut", 4)
    # The head set back with it: only what was exported shows that.
    back = "update audit_head set seq = 3, hash = (select hash from audit where seq = 3)"
    assert await after("delete from audit where seq > 3", back) == ("cut", 4)
    assert await after(
        "truncate audit", "update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex')"
    ) == (
        "cut",
        1,
    )
    assert (await whole(fleet)).head == kept
    # All of it written anew, as our own functions would.
    await admin.execute(ANEW)
    assert (await problem(fleet))[0] == "replaced"
    assert await problem(fleet, AuditHead(seq=1, hash="11" * 32)) == ("replaced", 1)


COLUMNS = (
    "at, request_id, subject, about, host, credential, caller, origin, via, body, code, message, prev, hash"
)
ANEW = """
do $$
declare
    one record;
begin
    update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex');
    create temporary table before as select * from audit;
    delete from audit;
    for one in select * from before order by seq loop
        perform audit_add(one.at, one.request_id, one.subject, one.about, one.host, one.credential, 'mallory', one.origin, one.via,
            one.body, one.code, one.message);
    end loop;
end
$$
"""


async def test_the_last_head_is_exported_when_the_orchestrator_ends(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await until(lambda: asked(idle), lambda metrics: metrics["audit_protected"] == 1.0)
        await idle.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config()))
        assert await head_on_bus(idle.operator) is None
        (entry,) = (await idle.call(contract.AUDIT_LIST, ReadAudit())).entries
    assert await head_on_bus(idle.operator) == AuditHead(seq=1, hash=entry.hash)


async def asked(bench: Bench) -> dict[str, float]:
    return bench.made.metrics()


async def test_no_head_can_be_deleted_from_the_bus(fleet: Flotilla) -> None:
    js = fleet.bus.client.jetstream()
    with suppress(js_errors.NotFoundError):
        for attempt in (js.purge_stream("AUDIT"), js.delete_msg("AUDIT", 1)):
            with pytest.raises(js_errors.APIError):
                await attempt
    assert await head_on_bus(fleet.bus) is not None


async def test_an_orchestrator_that_could_rewrite_it_says_so_and_works(
    connect_as: ConnectAs, bus: Bus, tmp_path: Path, admin_dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    bench = Bench(bus, host, write_sources(tmp_path, admin_dsn))
    async with host.running(), bench.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config()))
        verdict = await Flotilla(bus).verify_audit()
        assert (verdict.is_whole, verdict.entries, verdict.unprotected) == (True, 1, "as a superuser")
        assert bench.made.metrics()["audit_protected"] == 0.0


async def test_the_chain_is_read_in_pages_that_an_answer_holds(
    fleet: Flotilla, admin: asyncpg.Connection
) -> None:
    body = '{"text": "' + "\\\\u0000" * 5_000 + '"}'
    await admin.execute(
        "select audit_add(now(), 'r' || n, 's', 'e1', null, '', 'ann', '', '', $1, null, '') from generate_series(1, 100) as n",
        body,
    )
    pages = [len(page.rows) async for page in fleet.audit_chain()]
    assert sum(pages) == 105
    assert len(pages) > 8
    assert (await whole(fleet)).entries == 105


# -- from before, and through crashes


OLD = """
insert into commands (request_id, subject, body_hash, instance_id, reply, created_at, host, credential, caller, origin, via, body, message)
select 'c' || n, 'fleet.engine.start', '', 'e1', '{}', timestamptz '2026-01-31' + n * interval '1 s', null, 'gateway', 'ann', '10.0.0.5',
    'rest', '{"a": 1.50, "b": "\\u0000"}', '' from generate_series(1, 40) as n;
select nextval('audit_numbers') from generate_series(1, 7);
insert into refusals (request_id, subject, instance_id, created_at, credential, caller, origin, via, body, code, message)
select 'r' || n, 'fleet.engine.stop', 'e2', timestamptz '2026-01-31', 'operator', 'bob', 'desk', 'cli', null, 'conflict', 'é'
from generate_series(1, 20) as n;
delete from commands where request_id in ('c3', 'c4')
"""


async def test_entries_of_an_earlier_release_are_the_beginning_of_the_chain(
    admin_dsn: str,
    admin: asyncpg.Connection,
    connect_as: ConnectAs,
    bus: Bus,
    tmp_path: Path,
    postgres: PostgresServer,
) -> None:
    await admin.execute(
        "create table migrations (name text primary key, applied_at timestamptz not null default now())"
    )
    for name, sql in steps()[:8]:
        await admin.execute(sql)
        await admin.execute("insert into migrations (name) values ($1)", name)
    await admin.execute(OLD)
    before = await admin.fetch("select request_id, caller, code from audit order by number")
    await hand_over(admin_dsn, None, login_password=None, keep_days=400)
    own = postgres.dsn_of(await admin.fetchval("select current_database()"), "flotilla_orchestrator")
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    bench = Bench(bus, host, write_sources(tmp_path, own))
    async with host.running(), bench.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        fleet = Flotilla(bus)
        verdict = await whole(fleet)
        assert (verdict.entries, verdict.unprotected) == (59, "")
        entries = (await fleet.audit(limit=100)).entries[::-1]
        assert [(e.request_id, e.caller.name, e.code) for e in entries[:-1]] == [
            (row["request_id"], row["caller"], row["code"]) for row in before
        ]
        assert entries[-1].subject == "audit.chain"
        assert "entries 1 to 58 were chained now" in entries[-1].message
        # What a repetition is compared with is still there.
        assert await admin.fetchval("select count(*) from commands") == 38


async def test_a_server_that_is_killed_leaves_a_chain_that_holds_with_all_that_was_acknowledged(
    own_postgres: PostgresServer, connect_as: ConnectAs, bus: Bus, tmp_path: Path
) -> None:
    await hand_over(own_postgres.dsn, None, login_password=None, keep_days=400)
    record = await PostgresRecord.open(own_postgres.login_dsn)
    done: list[str] = []

    async def write(writer: int) -> None:
        for number in range(100_000):
            request_id = f"w{writer}-{number}"
            try:
                await record.add_command(command(request_id))
            except FaultError:
                return
            done.append(request_id)

    writing = [asyncio.get_running_loop().create_task(write(writer)) for writer in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.3)
    own_postgres.kill()
    async with asyncio.timeout(30):
        await asyncio.gather(*writing)
    own_postgres.start()
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    bench = Bench(bus, host, write_sources(tmp_path, own_postgres.login_dsn))
    async with host.running(), bench.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        verdict = await whole(Flotilla(bus))
        assert verdict.entries >= len(done) > 50
        kept = {row.request_id async for page in Flotilla(bus).audit_chain() for row in page.rows}
        assert kept >= set(done)
    await record.close()


async def test_an_orchestrator_that_is_killed_leaves_a_chain_that_holds(
    idle: Bench, nats: NatsServer, tmp_path: Path
) -> None:
    process = OrchestratorProcess(idle, nats, tmp_path)
    fleet = Flotilla(idle.operator)

    async def recorded() -> int:
        try:
            return len((await fleet.audit(limit=500)).entries)
        except FaultError:
            return -1

    async def write() -> None:
        for number in range(100_000):
            with suppress(FaultError):
                await idle.call(
                    contract.ENGINE_CONFIGURE, ConfigureEngine(config=config(instance_id=f"e{number}"))
                )

    for _ in range(3):
        child = process.start()
        before = await until(recorded, lambda count: count >= 0, within_s=30)
        writing = asyncio.get_running_loop().create_task(write())
        await until(recorded, lambda count, before=before: count > before + 20, within_s=30)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    child = process.start()
    await until(recorded, lambda count: count > 60, within_s=30)
    assert (await whole(fleet)).entries > 60
    child.terminate()
    child.wait(15)
