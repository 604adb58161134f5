"""The versions that there are, kept in memory: they are read once, and changed by nobody but us."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from flotilla.services.orchestrator.packages.core.model import Removed, Version
from flotilla.services.orchestrator.packages.core.offers import removed_of, with_packages
from flotilla.services.orchestrator.packages.ports import PackageRecord
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from flotilla.services.orchestrator.templates.ports import Templates


class PackageShelf:
    """A Templates: those of files, with those of packages."""

    def __init__(self, files: Templates, record: PackageRecord) -> None:
        self._files = files
        self._record = record
        self._versions: tuple[Version, ...] | None = None
        self._removed: tuple[Removed, ...] = ()
        self._changes = 0
        self._lock = asyncio.Lock()
        self._merged: tuple[TemplateSet, tuple[Version, ...], TemplateSet] | None = None

    async def versions(self) -> tuple[Version, ...]:
        """In the order in which they were pushed. Raises FaultError `unavailable` when they were never read and cannot be now."""
        async with self._lock:
            while self._versions is None:
                before = self._changes
                versions, removed = await self._record.versions(), await self._record.removed()
                # What was read while it changed is perhaps older than the change.
                if before == self._changes:
                    self._versions, self._removed = tuple(versions), tuple(removed)
            return self._versions

    async def removed(self) -> tuple[Removed, ...]:
        """What was removed and stays taken. Raises FaultError `unavailable` as `versions` does."""
        await self.versions()
        return self._removed

    async def files(self) -> TemplateSet:
        """The templates of files alone. Raises FaultError `unavailable`."""
        return await self._files.template_set()

    async def template_set(self) -> TemplateSet:
        """All of them. Raises FaultError `unavailable`."""
        files, versions = await self._files.template_set(), await self.versions()
        if self._merged is None or self._merged[0] is not files or self._merged[1] is not versions:
            self._merged = (files, versions, with_packages(files, versions))
        return self._merged[2]

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Within it the record is changed. When that fails, what it holds is not known, and is read again."""
        try:
            yield
        except BaseException:
            self._versions = None
            self._changes += 1
            raise

    def put(self, version: Version) -> None:
        """It was pushed just now."""
        self._changes += 1
        if self._versions is not None:
            self._versions = (*self._others(version), version)
            self._removed = tuple(each for each in self._removed if not _is_same(each, version))

    def take_away(self, version: Version) -> None:
        """It was removed just now."""
        self._changes += 1
        if self._versions is not None:
            self._versions = self._others(version)
            if not version.is_draft:
                kept = (each for each in self._removed if not _is_same(each, version))
                self._removed = (*kept, removed_of(version))

    def _others(self, version: Version) -> tuple[Version, ...]:
        return tuple(each for each in self._versions or () if not _is_same(each, version))


def _is_same(one: Version | Removed, other: Version) -> bool:
    return (one.name, one.version) == (other.name, other.version)
