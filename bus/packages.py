"""Fetches packages over the bus, piece by piece. Whoever answers is not believed: the content must have the digest asked for."""

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import PACKAGE_FETCH
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.package import MOST_CHUNKS, FetchPackage
from flotilla.schemas.package_archive import digest_of


async def fetch_package(bus: Bus, digest: str) -> bytes:
    """The archive. Raises FaultError: `not_found` when it is nowhere, `invalid` for content of another digest, and as Bus.call does."""
    first = await bus.call(PACKAGE_FETCH, FetchPackage(digest=digest))
    archive = first.data
    for index in range(1, min(first.count, MOST_CHUNKS)):
        archive += (await bus.call(PACKAGE_FETCH, FetchPackage(digest=digest, index=index))).data
    if digest_of(archive) != digest:
        raise fault(FaultCode.INVALID, f"what was answered is not package {digest[:12]}: its SHA-256 differs")
    return archive
