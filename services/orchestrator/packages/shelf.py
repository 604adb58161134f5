"""The versions that there are, kept in memory: they are read once, and changed by nobody but us."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from flotilla.services.orchestrator.packages.core.model import Version
from flotilla.services.orchestrator.packages.core.offers import with_packages
from flotilla.services.orchestrator.packages.ports import PackageRecord
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from flotilla.services.orchestrator.templates.ports import Templates


class PackageShelf:
    """A Templates: those of files, with those of packages."""

    def __init__(self, files: Templates, record: PackageRecord) -> None:
        self._files = files
        self._record = record
        self._versions: tuple[Version, ...] | None = None
        self._lock = asyncio.Lock()
        self._merged: tuple[TemplateSet, tuple[Version, ...], TemplateSet] | None = None

    async def versions(self) -> tuple[Version, ...]:
        """In the order in which they were pushed. Raises FaultError `unavailable` when they were never read and cannot be now."""
        async with self._lock:
            if self._versions is None:
                self._versions = tuple(await self._record.versions())
            return self._versions

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
            raise

    def put(self, version: Version) -> None:
        """It was pushed just now."""
        if self._versions is not None:
            self._versions = (*self._versions, version)

    def take_away(self, version: Version) -> None:
        """It was removed just now."""
        if self._versions is not None:
            self._versions = tuple(each for each in self._versions if each != version)
