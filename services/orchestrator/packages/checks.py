"""Uploaded content: put together, and checked by a host, before it gets a name."""

import asyncio
import hashlib
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import PACKAGE_CHECK
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.package import MOST_CHUNKS, CheckPackage, PackageFindings, Wheel
from flotilla.schemas.package_archive import ArchiveError, digest_of, unpack
from flotilla.schemas.wheel import WHEELS_FILE, wheels_of
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.packages.core import offers
from flotilla.services.orchestrator.packages.core.model import Content
from flotilla.services.orchestrator.packages.ports import PackageRecord

log = get_logger(__name__)

_CHECK_S: Final = 75.0
_LONGEST: Final = 64 << 10
"""Templates are listed in one message, all of them."""


class PackageChecks:
    """Nothing of a package is kept by a name before this has seen it."""

    def __init__(self, bus: Bus, record: PackageRecord, sightings: FleetSightings, clock: Clock) -> None:
        self._bus = bus
        self._record = record
        self._sightings = sightings
        self._clock = clock

    async def content(self, digest: str) -> Content:
        """What was uploaded, once it is known to be sound. Raises FaultError: `conflict` for what is not whole, `invalid`, `unavailable` when
        no host could check it.
        """
        archive = await self._archive(digest)
        try:
            files = await asyncio.to_thread(unpack, archive)
            wheels = wheels_of(files)
        except ArchiveError as error:
            raise invalid(FieldError("digest", str(error))) from None
        for wheel in wheels:
            await self._require_whole(wheel)
        found = await self._ask(digest)
        if found.problems:
            raise invalid(*found.problems)
        if strange := offers.strays(files, found):
            raise invalid(FieldError("digest", f"its check was tampered with: it told of {strange[0]}"))
        if (size := len(msgspec.json.encode((found.strategies, found.components)))) > _LONGEST:
            text = f"its parameters take {size >> 10} KiB to describe, and may take {_LONGEST >> 10} KiB"
            raise invalid(FieldError("digest", text))
        return Content(
            digest=digest,
            size_bytes=len(archive),
            files=tuple(files),
            strategies=found.strategies,
            notes=found.notes,
            components=found.components,
            wheels=wheels,
        )

    async def _archive(self, digest: str) -> bytes:
        first = await self._record.piece(digest, 0)
        count = first.count if first is not None else 1
        if count > MOST_CHUNKS:
            raise invalid(FieldError("digest", f"it has {count} pieces, and a package {MOST_CHUNKS} at most"))
        pieces = [await self._record.piece(digest, index) for index in range(count)]
        there = [piece.data for piece in pieces if piece is not None and piece.count == count]
        archive = b"".join(there)
        if len(there) < count:
            text = f"{count - len(there)} of {count} pieces of {digest[:12]} were not uploaded: push again"
            raise fault(FaultCode.CONFLICT, text)
        if digest_of(archive) != digest:
            await self._record.drop_pieces(digest)
            raise invalid(FieldError("digest", "is not the SHA-256 of what was uploaded"))
        return archive

    async def _require_whole(self, wheel: Wheel) -> None:
        """Raises FaultError for a wheel that was not uploaded as it is listed."""
        hashed, count, index = hashlib.sha256(), 1, 0
        while index < count:
            piece = await self._record.piece(wheel.digest, index)
            if piece is None or (index and piece.count != count):
                text = f"piece {index} of the wheel of {wheel.label} was not uploaded: `flotilla package push` does that, REST does not"
                raise fault(FaultCode.CONFLICT, text)
            hashed.update(piece.data)
            count, index = piece.count, index + 1
        if hashed.hexdigest() != wheel.digest:
            await self._record.drop_pieces(wheel.digest)
            text = f"{wheel.file}: its SHA-256 is not that of what was uploaded"
            raise invalid(FieldError(WHEELS_FILE, text))

    async def _ask(self, digest: str) -> PackageFindings:
        """What a host that runs engines finds in it: only there its imports are known. The hosts in sight one after the other."""
        problem: FaultError | None = None
        for beat in self._sightings.hosts(self._clock()):
            try:
                return await self._bus.call(
                    PACKAGE_CHECK, CheckPackage(digest=digest), timeout_s=_CHECK_S, host=beat.host
                )
            except FaultError as error:
                log.warning("host does not check a package", host=beat.host, error=str(error))
                problem = error
        why = problem.fault.message if problem else "no host is in sight"
        raise fault(FaultCode.UNAVAILABLE, f"nobody could check the package: {why}", retry_after_s=5.0)
