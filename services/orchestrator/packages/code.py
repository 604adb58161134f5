"""What lies between two versions of a package: their archives read from the record, and compared."""

import asyncio
from collections.abc import Sequence
from typing import Final

from flotilla.schemas.code_changes import changed_files, is_same_code
from flotilla.schemas.package import PackageChange, PackageRef
from flotilla.schemas.package_archive import ArchiveError, contents, digest_of
from flotilla.services.orchestrator.packages.core.offers import newest
from flotilla.services.orchestrator.packages.ports import PackageRecord
from flotilla.services.orchestrator.packages.shelf import PackageShelf

_MOST_FILES: Final = 200
_KEPT: Final = 64


class PackageCode:
    """Content never changes, so that what was compared once is known."""

    def __init__(self, record: PackageRecord, shelf: PackageShelf) -> None:
        self._record = record
        self._shelf = shelf
        self._known: dict[tuple[str, str], PackageChange] = {}

    async def newer(self, packages: Sequence[PackageRef]) -> tuple[PackageChange, ...]:
        """How the newest version of each of these differs from it; nothing of those that are the newest, or have none."""
        latest = newest(await self._shelf.versions())
        found = [await self.change(each, latest[each.name].ref) for each in packages if each.name in latest]
        return tuple(each for each in found if each is not None)

    async def change(self, then: PackageRef, now: PackageRef) -> PackageChange | None:
        """How they differ; None where they do not, or where the content of one is not on record any more."""
        if then.digest == now.digest:
            return None
        known = self._known.get((then.digest, now.digest))
        if known is not None and (known.then, known.now) == (then, now):
            return known
        archives = await self._archive(then.digest), await self._archive(now.digest)
        if archives[0] is None or archives[1] is None:
            return None
        made = await asyncio.to_thread(_compared, then, now, archives[0], archives[1])
        while len(self._known) >= _KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[then.digest, now.digest] = made
        return made

    async def _archive(self, digest: str) -> bytes | None:
        first = await self._record.piece(digest, 0)
        if first is None:
            return None
        archive = first.data
        for index in range(1, first.count):
            piece = await self._record.piece(digest, index)
            archive += piece.data if piece is not None else b""
        return archive if digest_of(archive) == digest else None


def _compared(then: PackageRef, now: PackageRef, before: bytes, after: bytes) -> PackageChange:
    try:
        # What was taken under earlier rules is compared under those of today as well.
        files = changed_files(contents(before), contents(after))
    except ArchiveError as error:
        # Whatever is on record was unpacked before it got a name.
        raise RuntimeError(f"{then.label} or {now.label} is no archive: {error}") from error
    shown = dict(list(files.items())[:_MOST_FILES])
    return PackageChange(
        then=then,
        now=now,
        files=shown,
        is_same_code=is_same_code(files),
        more_files=len(files) - len(shown),
    )
