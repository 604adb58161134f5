"""Packages over the bus, piece by piece, both ways. Whoever answers is not believed: the content must have the digest asked for."""

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import PACKAGE_FETCH, PACKAGE_UPLOAD
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.package import CHUNK_BYTES, MOST_CHUNKS, FetchPackage, UploadChunk
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


async def upload_package(bus: Bus, archive: bytes) -> str:
    """Hands over an archive, as much of it as is not known yet; returns its digest. Raises FaultError as Bus.call does."""
    digest, count = digest_of(archive), -(-len(archive) // CHUNK_BYTES)
    for index in range(count):
        data = archive[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        chunk = UploadChunk(digest=digest, index=index, count=count, data=data)
        if (await bus.call(PACKAGE_UPLOAD, chunk)).is_known:
            break
    return digest
