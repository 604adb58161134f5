"""What an operator can ask of packages: push one's own code, and see what there is of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from flotilla.bus.bus import Bus
from flotilla.bus.packages import upload
from flotilla.client.packing import packed, source_files
from flotilla.schemas import contract
from flotilla.schemas.fault import FaultCode, FaultError, fault, invalid
from flotilla.schemas.host import ListHosts
from flotilla.schemas.package import (
    EnginePython,
    ListPackages,
    PackageList,
    PackageRemoved,
    PackageView,
    PushPackage,
    RemovePackage,
    Wheel,
    WhichPackage,
    WhichPython,
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
        wheels: str | Path | None = None,
        request_id: str | None = None,
    ) -> PackageView:
        """Uploads a folder, or a .py file, has it checked, and keeps it under a name and a version: the next number when none is given.

        What it requires besides what engines have comes with it as wheels: those that pip finds in the user's own package index, or in the
        folder `wheels` alone. The same content with the same wheels is the same version. A `draft` has no version but its digest: its
        strategies go by `template@version` of the answer, and by nothing else. Raises FaultError: `invalid` naming the file, field or
        requirement at fault, `conflict` for a version that is other content, `unavailable` where an index is out of reach.
        """
        files = await asyncio.to_thread(source_files, Path(path))
        needed = await self._wheels(files, Path(wheels) if wheels is not None else None)
        package = await asyncio.to_thread(packed, Path(path), name, files, tuple(needed))
        for wheel, content in needed.items():
            await upload(self.bus, wheel.digest, content)
        await upload(self.bus, package.digest, package.archive)
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

    async def _engine_python(self) -> EnginePython:
        """What packages find where engines run: the first host's answer that comes. Raises FaultError `unavailable` where none does."""
        problem: FaultError | None = None
        hosts = (await self.bus.call(contract.HOST_LIST, ListHosts())).hosts
        for host in (each.host for each in hosts if each.is_in_sight):
            try:
                return await self.bus.call(contract.PACKAGE_PYTHON, WhichPython(), host=host)
            except FaultError as error:
                problem = error
        why = problem.fault.message if problem else "no host is in sight"
        raise fault(FaultCode.UNAVAILABLE, f"no host says what engines have: {why}", retry_after_s=5.0)

    async def _wheels(self, files: Mapping[str, bytes], folder: Path | None) -> Mapping[Wheel, bytes]:
        """The wheels that the package needs, with their content."""
        if not {"pyproject.toml", "requirements.txt"} & files.keys():
            return {}
        # They take what reads wheels and versions with them, which nothing else of the client needs.
        from flotilla.client.wheel_sets import wheel_set  # noqa: PLC0415
        from flotilla.schemas.requirement import requirements_of  # noqa: PLC0415

        asked, problems = requirements_of(files)
        if problems:
            raise invalid(*problems)
        return await wheel_set(asked, await self._engine_python(), folder) if asked else {}
