"""The packages of a session: fetched by digest over the bus before anything is forked that imports them, and kept."""

from collections.abc import Iterable

from flotilla.bus.bus import Bus
from flotilla.bus.packages import fetch_package
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import MOST_BYTES, PackageRef, too_much

_KEPT_BYTES = 4 * MOST_BYTES


class Packages:
    """Keeps archives in memory, where nothing that is forked can change them: the latest 32 MiB."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def fetch(self, bus: Bus, packages: Iterable[PackageRef]) -> tuple[bytes, ...]:
        """The archives, in order. Raises FaultError: `not_found`, `too_large` for more than a process is handed, and as calls do."""
        archives: list[bytes] = []
        sizes: list[tuple[str, int]] = []
        for package in packages:
            archive = self._kept.pop(package.digest, None)
            if archive is None:
                archive = await _fetched(bus, package)
            self._kept[package.digest] = archive
            archives.append(archive)
            sizes.append((package.label, len(archive)))
        self._bound()
        if text := too_much(sizes):
            raise fault(FaultCode.TOO_LARGE, text)
        return tuple(archives)

    def _bound(self) -> None:
        while sum(map(len, self._kept.values())) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]


async def _fetched(bus: Bus, package: PackageRef) -> bytes:
    try:
        return await fetch_package(bus, package.digest)
    except FaultError as error:
        text = f"package {package.label}: {error.fault.message}"
        raise fault(error.fault.code, text) from error


def is_passing(error: FaultError) -> bool:
    """True for what may be otherwise when it is tried again."""
    return error.fault.code in (FaultCode.UNAVAILABLE, FaultCode.OUTCOME_UNKNOWN, FaultCode.BUSY)


def is_for_good(error: FaultError) -> bool:
    """True for what the packages themselves are at fault for, as they are named: no other try of the same mends it."""
    return error.fault.code in (FaultCode.NOT_FOUND, FaultCode.TOO_LARGE, FaultCode.INVALID)
