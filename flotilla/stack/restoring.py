"""`flotilla restore`: a record from a backup takes the place of the one that is there, in one step at the end."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.places import SetBack, set_back
from flotilla.schemas.contract import Durability
from flotilla.show import formats
from flotilla.show.progress import Narrator
from flotilla.stack.backing_up import DATABASE
from flotilla.stack.backup_file import Manifest, opened_dump, refuse_newer, verify
from flotilla.stack.record_reaching import Reached, started
from flotilla.stack.servers.record_access import RecordAccess
from flotilla.stack.services import bring_up_record
from flotilla.stack.since_backup import Since, put_on_record, seen_since
from flotilla.state.errors import StackError
from flotilla.state.folder import StateFolder

RESTORING: Final = "flotilla_restoring"
REPLACED: Final = "flotilla_replaced"
"""The old record, from the swap on until it is deleted."""
_EVENTS_READER: Final = "orchestrator"
_OWNER: Final = """
do $$ begin if not exists (select from pg_roles where rolname = 'flotilla_owner') then create role flotilla_owner nologin; end if; end $$;
"""
_OTHERS: Final = """
select application_name, usename, pid from pg_stat_activity where datname = 'flotilla' and pid <> pg_backend_pid();
"""
_SWAP: Final = f"""
alter database {DATABASE} rename to {REPLACED};
alter database {RESTORING} rename to {DATABASE};
"""
_ROWS_THAT_COUNT: Final = (
    "public.engines",
    "public.sessions",
    "public.events",
    "public.backtests",
    "notifier.alerts",
)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `rows` were in the backup; `again` is what the services read again from the bus."""

    file: str
    manifest: Manifest
    rows: int
    took_s: float
    again: tuple[SetBack, ...]
    since: Since


async def restore(
    folder: StateFolder, path: Path, narrator: Narrator, *, replaces: Callable[[int], bool]
) -> Restored:
    """Puts the record of a backup in place. `replaces` is asked when there is one with so many rows.

    Raises StackError, StackRunsError and FaultError: then the record is as it was.
    """
    begun = time.monotonic()
    narrator.say(f"reading {path}")
    manifest = await asyncio.to_thread(verify, path)
    refuse_newer(manifest)
    async with started(folder, narrator) as found:
        record = found.record
        await asyncio.to_thread(_refuse_others, record)
        await asyncio.to_thread(_refuse_overwriting, record, replaces)
        await _fill(record, path, manifest, narrator)
        since = await _know_since(found, manifest, narrator)
        # Before the swap: a record that is read to again takes what it has once, one that lacks it would never know.
        again = await _read_again(found, manifest, narrator)
        folder.restored_file.touch(mode=0o600)
        await asyncio.to_thread(_swap, record)
    return Restored(
        file=str(path),
        manifest=manifest,
        rows=sum(manifest.rows.values()),
        took_s=round(time.monotonic() - begun, 3),
        again=again,
        since=since,
    )


def _refuse_others(record: RecordAccess) -> None:
    for application, login, pid in record.run("postgres", _OTHERS):
        raise StackError(
            f"the record is in use by {application or login} (process {pid} of PostgreSQL)",
            "stop it first: `flotilla down --leave-engines` lets engines trade on",
        )


def _refuse_overwriting(record: RecordAccess, replaces: Callable[[int], bool]) -> None:
    if DATABASE not in record.databases():
        return
    counts = record.counts(DATABASE) if record.steps(DATABASE) else {}
    if any(counts.get(table) for table in _ROWS_THAT_COUNT) and not replaces(sum(counts.values())):
        raise StackError(
            f"there is a record with {counts['public.engines']:,} engines and {counts['public.events']:,} events",
            "say --replace if the backup is to take its place; `flotilla backup` keeps it",
        )


async def _fill(record: RecordAccess, path: Path, manifest: Manifest, narrator: Narrator) -> None:
    narrator.say(f"restoring {sum(manifest.rows.values()):,} rows, {formats.size(manifest.bytes)}")
    await asyncio.to_thread(_load, record, path)
    if (found := await asyncio.to_thread(record.counts, RESTORING)) != manifest.rows:
        differs = sorted(
            name for name in found.keys() | manifest.rows if found.get(name) != manifest.rows.get(name)
        )
        raise StackError(
            f"what was restored is not what was backed up: {', '.join(differs)}", "take another backup"
        )
    # Roles, owners and grants as at each start, and the migrations that the backup lacks.
    await bring_up_record(record.dsn_of(RESTORING))


def _load(record: RecordAccess, path: Path) -> None:
    record.run("postgres", _OWNER)
    # What an attempt left that was cut short; and a record that one was about to delete.
    record.run_plain("postgres", f"drop database if exists {RESTORING} with (force);")
    record.run_plain("postgres", f"create database {RESTORING} template template0;")
    # It comes with the dump.
    record.run(RESTORING, "drop schema public;")
    with opened_dump(path) as dump:
        record.load(RESTORING, dump)


async def _know_since(found: Reached, manifest: Manifest, narrator: Narrator) -> Since:
    reader = next(
        (
            one
            for one in manifest.readers
            if one.stream == Durability.EVENTS and one.durable == _EVENTS_READER
        ),
        None,
    )
    narrator.say("reading what the bus knows of engines since")
    seen = await seen_since(found.bus, reader.seq if reader is not None else 0, manifest.at)
    return await asyncio.to_thread(put_on_record, found.record, RESTORING, seen)


async def _read_again(found: Reached, manifest: Manifest, narrator: Narrator) -> tuple[SetBack, ...]:
    done = [await set_back(found.bus, reader) for reader in manifest.readers]
    again = tuple(one for one in done if one is not None)
    for one in again:
        if one.gone:
            narrator.warn(
                f"{one.gone:,} messages of {one.stream} since the backup are no longer kept: {one.durable} does not get them"
            )
    return again


def _swap(record: RecordAccess) -> None:
    record.run_plain("postgres", f"drop database if exists {REPLACED} with (force);")
    swap = _SWAP if DATABASE in record.databases() else _SWAP.splitlines()[-1]
    record.run("postgres", swap)
    record.run_plain("postgres", f"drop database if exists {REPLACED} with (force);")
