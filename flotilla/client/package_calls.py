"""What an operator can ask of packages: push one's own code, and see what there is of it."""

import asyncio
from pathlib import Path

from flotilla.bus.bus import Bus
from flotilla.bus.packages import upload_package
from flotilla.client.packing import packed
from flotilla.schemas import contract
from flotilla.schemas.package import (
    ListPackages,
    PackageList,
    PackageRemoved,
    PackageView,
    PushPackage,
    RemovePackage,
    WhichPackage,
)


class PackageCalls:
    """Packages, by name and version. Every call raises FaultError when it is refused."""

    bus: Bus

    async def push_package(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        version: str | None = None,
        draft: bool = False,
        request_id: str | None = None,
    ) -> PackageView:
        """Uploads a folder, or a .py file, has it checked, and keeps it under a name and a version: the next number when none is given.

        The same content again is the same version. A `draft` has no version but its digest: its strategies go by `template@version` of
        the answer, and by nothing else. Raises FaultError: `invalid` naming the file or field at fault, `conflict` for a version that is
        other content.
        """
        package = await asyncio.to_thread(packed, Path(path), name)
        await upload_package(self.bus, package.archive)
        request = PushPackage(
            name=package.name, digest=package.digest, version=version, is_draft=draft, request_id=request_id
        )
        return await self.bus.call(contract.PACKAGE_PUSH, request)

    async def packages(self, name: str | None = None, *, drafts: bool = False) -> PackageList:
        """The newest version of each package, or all versions of one, or with `drafts` what has no version; without their files, which
        `package` tells.
        """
        return await self.bus.call(contract.PACKAGE_LIST, ListPackages(name=name, drafts=drafts))

    async def package(self, name: str, version: str | None = None) -> PackageView:
        """One version, the newest when none is given. Raises FaultError `not_found`."""
        return await self.bus.call(contract.PACKAGE_SHOW, WhichPackage(name=name, version=version))

    async def remove_package(
        self, name: str, version: str, *, force: bool = False, request_id: str | None = None
    ) -> PackageRemoved:
        """Forgets a version. Raises `conflict` for one that an engine or a backtest on record names, unless forced: its content stays then."""
        request = RemovePackage(name=name, version=version, force=force, request_id=request_id)
        return await self.bus.call(contract.PACKAGE_REMOVE, request)
