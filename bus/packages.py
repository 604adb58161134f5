"""Packages and wheels over the bus, piece by piece, both ways. Whoever answers is not believed: the content must have the digest asked for."""

import asyncio

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import PACKAGE_FETCH, PACKAGE_UPLOAD
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.package import CHUNK_BYTES, MOST_CHUNKS, MOST_PIECES, FetchPackage, UploadChunk, Wheel
from flotilla.schemas.package_archive import digest_of


async def fetch_package(bus: Bus, digest: str) -> bytes:
    """The archive. Raises FaultError: `not_found` when it is nowhere, `invalid` for content of another digest, and as Bus.call does."""
    return await _fetched(bus, digest, f"package {digest[:12]}", MOST_CHUNKS)


async def fetch_wheel(bus: Bus, wheel: Wheel) -> bytes:
    """The wheel. Raises FaultError likewise, and names it."""
    return await _fetched(bus, wheel.digest, f"the wheel of {wheel.label}", MOST_PIECES)


async def _fetched(bus: Bus, digest: str, what: str, most: int) -> bytes:
    first = await bus.call(PACKAGE_FETCH, FetchPackage(digest=digest))
    content = bytearray(first.data)
    for index in range(1, min(first.count, most)):
        content += (await bus.call(PACKAGE_FETCH, FetchPackage(digest=digest, index=index))).data
    # In a thread: of a large wheel it takes a good part of a second.
    if await asyncio.to_thread(digest_of, content) != digest:
        raise fault(FaultCode.INVALID, f"what was answered is not {what}: its SHA-256 differs")
    return bytes(content)


async def upload_package(bus: Bus, archive: bytes) -> str:
    """Hands over an archive, as much of it as is not known yet; returns its digest. Raises FaultError as Bus.call does."""
    digest = digest_of(archive)
    await upload(bus, digest, archive)
    return digest


async def upload(bus: Bus, digest: str, content: bytes) -> None:
    """Hands over an archive or a wheel of that digest likewise."""
    count = -(-len(content) // CHUNK_BYTES)
    for index in range(count):
        data = content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        chunk = UploadChunk(digest=digest, index=index, count=count, data=data)
        if (await bus.call(PACKAGE_UPLOAD, chunk)).is_known:
            return
