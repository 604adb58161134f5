"""`flotilla backup`: the record as it was at one moment, in a file that is whole or is not there."""

import asyncio
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.files import whole_file
from flotilla.bus.places import Reader, readers
from flotilla.show import formats
from flotilla.show.progress import Narrator
from flotilla.stack.backup_file import FORMAT, BackupWriter, Manifest, this_version
from flotilla.stack.record_reaching import Reached, reached
from flotilla.stack.servers.record_access import Snapshot
from flotilla.state.errors import StackError
from flotilla.state.folder import StateFolder

DATABASE: Final = "flotilla"
_TELL_S: Final = 2.0


class BackupMade(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `file_bytes` is the size of the file."""

    file: str
    file_bytes: int
    took_s: float
    manifest: Manifest


async def back_up(folder: StateFolder, path: Path, narrator: Narrator) -> BackupMade:
    """Writes the record into `path`, which must not exist. Raises StackError, FaultError and OSError, and then there is no file."""
    begun = time.monotonic()
    await asyncio.to_thread(_refuse, folder, path)
    with whole_file(path) as made:
        async with reached(folder, narrator) as found:
            manifest = await _write(found, made, narrator)
        # What somebody put there meanwhile is not to be written over.
        await asyncio.to_thread(_refuse, folder, path)
    size = (await asyncio.to_thread(path.stat)).st_size
    took_s = round(time.monotonic() - begun, 3)
    return BackupMade(file=str(path), file_bytes=size, took_s=took_s, manifest=manifest)


def _refuse(folder: StateFolder, path: Path) -> None:
    if path.exists():
        raise StackError(f"{path} is there already", "choose another name; a backup overwrites nothing")
    if not (folder.postgres / "data/PG_VERSION").exists():
        raise StackError(f"there is no record in {folder.root}", "choose another folder with --state")


async def _write(found: Reached, made: Path, narrator: Narrator) -> Manifest:
    # Before the record is read: what was acknowledged by then is in it.
    places = tuple(await readers(found.bus))
    return await asyncio.to_thread(_dump, found, made, places, narrator)


def _dump(found: Reached, made: Path, places: tuple[Reader, ...], narrator: Narrator) -> Manifest:
    made.touch(mode=0o600)
    at = datetime.now(UTC)
    snapshot = Snapshot(found.record, DATABASE)
    try:
        about = Manifest(
            format=FORMAT,
            flotilla=this_version(),
            at=at,
            steps=snapshot.steps(),
            rows=snapshot.counts(),
            readers=places,
            bytes=0,
            sha256="",
        )
        narrator.say(f"writing {sum(about.rows.values()):,} rows of {len(about.rows)} tables")
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            writer = BackupWriter(archive)
            told = [time.monotonic()]

            def take(piece: bytes) -> None:
                writer.write(piece)
                if time.monotonic() - told[0] >= _TELL_S:
                    told[0] = time.monotonic()
                    narrator.say(f"{formats.size(writer.bytes)} so far")

            found.record.dump(DATABASE, snapshot.name, take)
            return writer.close(about)
    finally:
        snapshot.close()
