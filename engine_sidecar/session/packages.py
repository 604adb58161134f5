"""The packages of a session, and the wheels that they need: fetched by digest before anything is forked that imports them, and kept."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from flotilla.bus.bus import Bus
from flotilla.bus.packages import fetch_package, fetch_wheel
from flotilla.engine_sidecar.link.wheel_folders import NoRoomError, WheelFolders
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import MOST_BYTES, PackageRef, Wheel, too_much
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.wheel import too_many_wheels, wheels_in

_KEPT_BYTES = 4 * MOST_BYTES


class Packages:
    """Keeps archives in memory, where nothing that is forked can change them: the latest 32 MiB. Wheels are unpacked into a folder, and
    stay there until the session ends.
    """

    def __init__(self, wheels_folder: Path | None = None, no_room: FaultCode = FaultCode.BUSY) -> None:
        """`no_room` is answered where wheels in use leave too little room: `too_large` where those are never let go."""
        self._no_room = no_room
        self._kept: dict[str, bytes] = {}
        self._wheels = WheelFolders(wheels_folder)
        self._unpacking = asyncio.Lock()

    @property
    def wheels(self) -> str:
        """The folder of the wheels of all packages that were fetched; empty where none needs any."""
        return self._wheels.path

    def close(self) -> None:
        """Removes the wheels."""
        self._wheels.close()

    async def fetch(self, bus: Bus, packages: Iterable[PackageRef]) -> tuple[bytes, ...]:
        """The archives, in order; their wheels are unpacked then. Raises FaultError: `not_found`, `too_large` for more than a process is
        handed, `invalid` for wheels that do not run here, `no_room` while others take the room for them, and as calls do.
        """
        named = tuple(packages)
        archives: list[bytes] = []
        sizes: list[tuple[str, int]] = []
        for package in named:
            archive = self._kept.pop(package.digest, None)
            if archive is None:
                archive = await _fetched(bus, package)
            self._kept[package.digest] = archive
            archives.append(archive)
            sizes.append((package.label, len(archive)))
        self._bound()
        if text := too_much(sizes):
            raise fault(FaultCode.TOO_LARGE, text)
        wheels = {wheel for archive in archives for wheel in _wheels(archive)}
        if text := too_many_wheels(wheels):
            raise fault(FaultCode.TOO_LARGE, text)
        async with self._unpacking:
            await self._unpack(bus, named, archives)
        return tuple(archives)

    def let_go(self, archives: Iterable[bytes]) -> None:
        """Nothing runs any more that was handed these: their wheels go when there is no room for those of others."""
        for archive in archives:
            for wheel in _wheels(archive):
                self._wheels.let_go(wheel)

    async def _hold(self, bus: Bus, package: PackageRef, archive: bytes, held: list[Wheel]) -> None:
        for wheel in _wheels(archive):
            if not self._wheels.hold(wheel):
                data = await fetch_wheel(bus, wheel)
                await _to_its_end(partial(self._wheels.unpack, wheel, data))
                self._wheels.hold(wheel)
            held.append(wheel)

    async def _unpack(self, bus: Bus, packages: tuple[PackageRef, ...], archives: list[bytes]) -> None:
        """All wheels of these, or none of them is held."""
        held: list[Wheel] = []
        for package, archive in zip(packages, archives, strict=True):
            try:
                await self._hold(bus, package, archive, held)
            except BaseException as error:
                for wheel in held:
                    self._wheels.let_go(wheel)
                if (refused := _refusal(package, error, self._no_room)) is None:
                    raise
                raise refused from error

    def _bound(self) -> None:
        while sum(map(len, self._kept.values())) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]


def _wheels(archive: bytes) -> tuple[Wheel, ...]:
    try:
        return wheels_in(archive)
    except ArchiveError as error:
        raise fault(FaultCode.INVALID, str(error)) from error


async def _fetched(bus: Bus, package: PackageRef) -> bytes:
    try:
        return await fetch_package(bus, package.digest)
    except FaultError as error:
        text = f"package {package.label}: {error.fault.message}"
        raise fault(error.fault.code, text) from error


async def _to_its_end(work: Callable[[], None]) -> None:
    """In a thread. Whoever is cancelled waits for it first: it goes on, and who unpacks next must not meet it."""
    done = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(done)
    finally:
        while not done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([done])


def _refusal(package: PackageRef, error: BaseException, no_room: FaultCode) -> FaultError | None:
    """What somebody is told who waits for the package; None for what is no trouble of its wheels."""
    match error:
        case FaultError():
            return fault(error.fault.code, f"package {package.label}: {error.fault.message}")
        case ArchiveError():
            return fault(FaultCode.INVALID, f"package {package.label}: {error}")
        case NoRoomError():
            return fault(no_room, f"package {package.label}: {error}")
        case OSError():
            text = f"its wheels cannot be unpacked on this host: {error.strerror or error}"
            return fault(FaultCode.INTERNAL, f"package {package.label}: {text}")
    return None


def is_passing(error: FaultError) -> bool:
    """True for what may be otherwise when it is tried again."""
    return error.fault.code in (FaultCode.UNAVAILABLE, FaultCode.OUTCOME_UNKNOWN, FaultCode.BUSY)


def is_for_good(error: FaultError) -> bool:
    """True for what the packages themselves are at fault for, as they are named: no other try of the same mends it."""
    return error.fault.code in (FaultCode.NOT_FOUND, FaultCode.TOO_LARGE, FaultCode.INVALID)
