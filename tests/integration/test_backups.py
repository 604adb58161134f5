"""Backups of a stopped stack's record on real servers: what is restored is equal, and what is refused or killed changes nothing."""

import asyncio
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from flotilla.bus.streams import ensure_streams
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.adapters.migrating import migrate, steps
from flotilla.services.orchestrator.adapters.owning import hand_over
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.stack import restoring
from flotilla.stack.backing_up import back_up
from flotilla.stack.backup_file import DUMP, BackupWriter, read_manifest, verify
from flotilla.stack.record_reaching import started
from flotilla.stack.restoring import Restored, restore
from flotilla.stack.services import bring_up_record
from flotilla.state.errors import StackError
from flotilla.state.folder import StateFolder

FILL = """
insert into engines (instance_id, desired, config, generation, version, created_at, updated_at)
    select 'e' || n, 'stopped', '{"a": 1e2, "b": "\\\\u0000 \\t"}', 1, 1, now(), now() from generate_series(1, 50) as n;
insert into sessions (
    session_id, instance_id, generation, state, spec, stop_policy, stop_timeout_s, log_tail, state_seq, is_provisional, created_at, changed_at
) select 's' || n, 'e' || n, 1, 'stopped', '{}', 'cancel', 30, array['a', 'b'], 0, false, now(), now() from generate_series(1, 50) as n;
insert into events (session_id, seq, instance_id, kind, at, body)
    select 's' || n, m, 'e' || n, 'note', now(), '{"at": 1.50, "at": 2}' from generate_series(1, 50) as n, generate_series(1, 100) as m;
insert into notifier.kept values ('settings', 'all', 'x');
"""
TABLES = """
select format('select %L, coalesce(md5(string_agg(one::text, E''\\n'' order by one::text)), ''-'') from %I.%I as one', nspname || '.' || relname, nspname, relname)
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where nspname in ('public', 'notifier') and relkind = 'r' order by 1
\\gexec
select 'acl', md5(string_agg(concat_ws(' ', relname, relowner::regrole, array(select unnest(relacl)::text order by 1)), ',' order by relname))
from pg_class where relnamespace in ('public'::regnamespace, 'notifier'::regnamespace) and relkind in ('r', 'p', 'v', 'S');
"""


class Told:
    """What was said, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


TELLS = Told()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="flotilla-backup-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def kept(place: Path) -> StateFolder:
    """A state folder with a record."""
    folder = StateFolder(place / "state")
    asyncio.run(filled(folder))
    return folder


async def filled(folder: StateFolder) -> None:
    async with started(folder, TELLS) as found:
        await bring_up_record(found.record.dsn_of("flotilla"))
        await ensure_streams(found.bus)
        found.record.run("flotilla", FILL)


@pytest.fixture(scope="module")
def backup(place: Path, kept: StateFolder) -> Path:
    path = place / "one.backup"
    asyncio.run(back_up(kept, path, TELLS))
    return path


async def marked(folder: StateFolder, mark: str) -> dict[str, str]:
    """The same, once the record says something that no backup does."""
    async with started(folder, TELLS) as found:
        found.record.run("flotilla", f"update notifier.kept set body = '{mark}';")
        return dict(found.record.run("flotilla", TABLES))


async def digests(folder: StateFolder) -> dict[str, str]:
    """Of the rows of each table, and of whose it is and who may do what there."""
    async with started(folder, TELLS) as found:
        return {name: digest for name, digest in found.record.run("flotilla", TABLES)}  # noqa: C416 - rows are lists


async def restored(folder: StateFolder, path: Path, *, replaces: bool = False) -> Restored:
    return await restore(folder, path, TELLS, replaces=lambda _: replaces)


async def test_backup_rm_restore_and_the_record_is_equal(kept: StateFolder, backup: Path) -> None:
    before = await digests(kept)
    assert backup.stat().st_mode & 0o777 == 0o600
    assert verify(backup).rows["public.events"] == 5_000
    shutil.rmtree(kept.postgres)
    done = await restored(kept, backup)
    assert done.rows == sum(done.manifest.rows.values()) > 5_000
    assert await digests(kept) == before
    assert len(before) > 30


async def test_a_record_that_is_there_is_replaced_when_that_is_said_and_when_it_works(
    kept: StateFolder, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await marked(kept, "of now")
    with pytest.raises(StackError, match=r"there is a record with 50 engines and 5,000 events") as raised:
        await restored(kept, backup)
    assert "--replace" in raised.value.remedy
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_SWAP", f"{restoring._SWAP}select 1 / 0;\n")
        with pytest.raises(StackError, match="division by zero"):
            await restored(kept, backup, replaces=True)
    assert await digests(kept) == before
    await restored(kept, backup, replaces=True)
    async with started(kept, TELLS) as found:
        assert found.record.run("flotilla", "select body from notifier.kept;") == [["x"]]
        assert found.record.databases() == {"postgres", "template0", "template1", "flotilla"}


def test_a_backup_overwrites_nothing(kept: StateFolder, backup: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(StackError, match="is there already"):
        asyncio.run(back_up(kept, backup, TELLS))
    assert backup.read_bytes() == before
    assert [one.name for one in backup.parent.iterdir() if one.name.startswith(".")] == []


def changed(source: Path, target: Path, **change: object) -> Path:
    """A backup that says something else of itself."""
    manifest = msgspec.structs.replace(read_manifest(source), **change)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        writer = BackupWriter(new)
        writer.write(old.read(DUMP))
        writer.close(manifest)
    return target


async def test_a_newer_schema_is_refused_by_name(kept: StateFolder, backup: Path, tmp_path: Path) -> None:
    known = read_manifest(backup)
    newer = {**known.steps, "public": [*known.steps["public"], "9999_later.sql"]}
    other = changed(backup, tmp_path / "newer", steps=newer, flotilla="99.0")
    with pytest.raises(StackError, match=rf"it has 9999_later.sql, and .* knows {steps()[-1][0]}") as raised:
        await restored(kept, other, replaces=True)
    assert "Flotilla 99.0 or newer" in raised.value.remedy


async def test_what_is_no_whole_backup_is_refused(kept: StateFolder, backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    middle = len(whole) // 2
    bad = {
        "cut": whole[:middle],
        "shorter by a byte": whole[:-1],
        "text": b"hello",
        "empty": b"",
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "another archive", "w") as archive:
        archive.writestr("a", "b")
    changed(backup, tmp_path / "format", format=2)
    stamp = (kept.postgres / "data/global/pg_control").stat().st_mtime_ns
    for name in (*bad, "another archive", "format", "absent"):
        with pytest.raises(StackError):
            verify(tmp_path / name)
        with pytest.raises(StackError):
            await restored(kept, tmp_path / name, replaces=True)
    # No server was even started.
    assert (kept.postgres / "data/global/pg_control").stat().st_mtime_ns == stamp


async def test_a_restore_that_is_killed_in_the_middle_leaves_the_record_as_it_was(
    kept: StateFolder, backup: Path
) -> None:
    before = await marked(kept, "before a restore is killed")
    argv = [sys.executable, "-m", "flotilla", "--state", str(kept.root)]
    run = await asyncio.create_subprocess_exec(
        *argv, "restore", str(backup), "--replace", "--yes", stderr=asyncio.subprocess.PIPE
    )
    assert run.stderr is not None
    while b"reading what the bus knows" not in (told := await run.stderr.readline()):
        assert told, "it ended before it could be killed"
    run.kill()
    assert await run.wait() == -signal.SIGKILL
    assert await digests(kept) == before


async def test_an_older_version_refuses_a_newer_schema_and_changes_nothing(
    admin_dsn: str, postgres_dsn: str
) -> None:
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute("insert into migrations (name) values ('9999_later.sql')")
    for attempt in (hand_over(admin_dsn, None, login_password=None, keep_days=400), migrate(admin)):
        with pytest.raises(
            FaultError, match=r"of a newer version of Flotilla: it has 9999_later.sql"
        ) as raised:
            await attempt
        assert raised.value.fault.code == FaultCode.CONFLICT
    record = await PostgresRecord.open(postgres_dsn)
    with pytest.raises(FaultError, match="newer version"):
        await record.migrate()
    await record.close()
    assert await admin.fetchval("select count(*) from migrations") == len(steps()) + 1
    await admin.close()
