"""The record belongs to a role that nobody logs in as; the orchestrator's login does its work on it, and nothing else."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from flotilla.bus.files import write_whole
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.adapters.migrating import migrate, steps
from flotilla.services.orchestrator.adapters.owning import OWNER, hand_over
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.stack.servers.postgres import LOGIN, PostgresServer
from tests.unit.orchestrator.makers import NOW

FOREIGN = """
select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'S', 'm', 'p')
    and relowner <> 'flotilla_owner'::regrole
union all
select proname from pg_proc where pronamespace = 'public'::regnamespace and proowner <> 'flotilla_owner'::regrole
"""
COMMAND = "insert into commands (request_id, subject, body_hash, instance_id, reply, created_at) values ('old', 's', '', 'e1', '{}', $1)"


@pytest.fixture
async def login(postgres_dsn: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (a int)",
        "create temporary table mine (a int)",
        "create function mine() returns int language sql return 1",
        "create schema mine",
        "create role mine",
        "drop table engines",
        "alter table engines add column mine int",
        "alter table engines disable trigger all",
        "alter table engines owner to flotilla_orchestrator",
        "delete from engines",
        "delete from sessions",
        "truncate commands",
        "insert into migrations (name) values ('9999_mine.sql')",
        "update migrations set name = 'x'",
        "set session_replication_role = replica",
        "set role flotilla_owner",
        "set session authorization postgres",
        "alter role flotilla_orchestrator superuser",
        "grant flotilla_owner to flotilla_orchestrator",
        "alter database postgres owner to flotilla_orchestrator",
        "alter system set fsync = off",
        "copy engines to '/tmp/mine'",
        "copy engines from program 'true'",
    ],
)
async def test_the_orchestrators_login_may_not(login: asyncpg.Connection, statement: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.WrongObjectTypeError)):
        await login.execute(statement)


async def test_handing_over_again_changes_nothing_and_leaves_nothing_to_others(
    postgres_dsn: str, admin_dsn: str
) -> None:
    await hand_over(admin_dsn, None, login_password=None, keep_days=400)
    admin = await asyncpg.connect(admin_dsn)
    assert await admin.fetch(FOREIGN) == []
    assert not await admin.fetchval("select rolcanlogin from pg_roles where rolname = $1", OWNER)
    assert await admin.fetchval("select count(*) from migrations") == len(steps())
    await admin.close()


async def test_what_an_orchestrator_made_as_a_superuser_is_handed_over_as_it_is(
    postgres: PostgresServer, admin_dsn: str
) -> None:
    admin = await asyncpg.connect(admin_dsn)
    await migrate(admin)
    await admin.execute("select history_prepare(now())")
    await admin.execute("create table theirs (a int)")
    await hand_over(admin_dsn, None, login_password=None, keep_days=400)
    assert [row["relname"] for row in await admin.fetch(FOREIGN)] == ["theirs"]
    await admin.close()


async def test_a_login_that_may_not_migrate_says_what_is_missing(postgres_dsn: str, admin_dsn: str) -> None:
    record = await PostgresRecord.open(postgres_dsn)
    await record.migrate()
    admin = await asyncpg.connect(admin_dsn)
    last = steps()[-1][0]
    await admin.execute("delete from migrations where name = $1", last)
    await admin.close()
    with pytest.raises(FaultError, match=f"lacks {last}.*orchestrator.migrate") as raised:
        await record.migrate()
    assert raised.value.fault.code == FaultCode.UNAVAILABLE
    await record.close()


async def test_the_login_gets_the_password_that_it_is_given(
    postgres: PostgresServer, admin_dsn: str, tmp_path: Path
) -> None:
    admin = await asyncpg.connect(admin_dsn)
    before = await admin.fetchval("select rolpassword from pg_authid where rolname = $1", LOGIN)
    (tmp_path / "password").write_text("a-b_c3\n")
    own = admin_dsn.replace("postgres@", f"{LOGIN}@").partition("&passfile")[0]
    try:
        migrate_as(admin_dsn, "--login-password-file", str(tmp_path / "password"))
        connection = await asyncpg.connect(own, password="a-b_c3")
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(own, password="another")
    finally:
        await admin.execute(f"alter role {LOGIN} password '{before}'")
        await admin.close()


def migrate_as(dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flotilla.services.orchestrator.migrate", *arguments],
        env=os.environ | {"FLOTILLA_POSTGRES_DSN": dsn},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_what_cannot_be_migrated_is_an_error_of_one_line() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        migrate_as("postgresql://postgres@/flotilla?host=/nowhere")
    assert failed.value.stderr.startswith("error: PostgreSQL cannot be reached: ")
    assert failed.value.stderr.count("\n") == 1


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="flotilla-postgres-"))
    yield made
    shutil.rmtree(made)


async def test_data_of_an_earlier_release_asks_for_passwords_from_now_on(folder: Path) -> None:
    server = await of_before(folder)
    server.stop()
    server = PostgresServer(folder)
    server.start()
    try:
        for login in ("postgres", LOGIN):
            with pytest.raises(
                (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
            ):
                await asyncpg.connect(server.dsn_of("flotilla", login).partition("&passfile")[0])
            assert (folder / f"{login}.pgpass").stat().st_mode & 0o777 == 0o600
        await hand_over(server.dsn, None, login_password=None, keep_days=400)
        record = await PostgresRecord.open(server.login_dsn)
        await record.migrate()
        assert await record.command("old") is not None
        await record.close()
    finally:
        server.stop()


async def test_passwords_that_were_lost_are_made_anew(folder: Path) -> None:
    server = PostgresServer(folder)
    server.start()
    (folder / f"{LOGIN}.pgpass").unlink()
    server.kill()
    server.start()
    try:
        for login in ("postgres", LOGIN):
            connection = await asyncpg.connect(server.dsn_of("flotilla", login))
            await connection.close()
    finally:
        server.stop()


async def of_before(folder: Path) -> PostgresServer:
    """A server as the release before 0009 left it, which runs: it lets in whoever reaches its socket."""
    server = PostgresServer(folder)
    server._own(folder)
    server._make(folder / "socket")
    server._initdb()
    write_whole(folder / "data/pg_hba.conf", b"local all all trust\n", as_folder=True)
    server.child.start()
    server.wait_ready()
    connection = await asyncpg.connect(server.dsn)
    await connection.execute(
        "create table migrations (name text primary key, applied_at timestamptz not null default now())"
    )
    for name, sql in steps()[:8]:
        await connection.execute(sql)
        await connection.execute("insert into migrations (name) values ($1)", name)
    await connection.execute(COMMAND, NOW)
    await connection.close()
    return server
