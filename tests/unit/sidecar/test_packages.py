"""Packages of a session: fetched once, compared with their digest, kept within bounds."""

import pytest

from flotilla.engine_sidecar.session.packages import Packages, is_for_good, is_passing
from flotilla.schemas.contract import PACKAGE_FETCH, Call
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import CHUNK_BYTES, FetchPackage, PackageChunk, PackageRef
from flotilla.schemas.package_archive import digest_of


class Shelf:
    """A bus on which archives can be fetched; `is_forged` answers with another content."""

    def __init__(self, *archives: bytes) -> None:
        self.archives = {digest_of(each): each for each in archives}
        self.asked: list[int] = []
        self.is_forged = False

    async def call(self, call: Call[FetchPackage, PackageChunk], request: FetchPackage) -> PackageChunk:
        assert call is PACKAGE_FETCH
        self.asked.append(request.index)
        archive = self.archives.get(request.digest)
        if archive is None:
            raise fault(FaultCode.NOT_FOUND, "not here")
        start = request.index * CHUNK_BYTES
        data = archive[start : start + CHUNK_BYTES]
        count = -(-len(archive) // CHUNK_BYTES)
        return PackageChunk(
            digest=request.digest,
            index=request.index,
            count=count,
            data=data[::-1] if self.is_forged else data,
        )


def ref(archive: bytes) -> PackageRef:
    return PackageRef(name="mine", version="1", digest=digest_of(archive))


def archive(number: int, size: int = 5 << 20) -> bytes:
    return bytes([number]) + bytes(size)


async def fetch(packages: Packages, shelf: Shelf, *archives: bytes) -> tuple[bytes, ...]:
    return await packages.fetch(shelf, map(ref, archives))  # type: ignore[arg-type]


async def test_an_archive_is_fetched_piece_by_piece_and_once() -> None:
    large = archive(1, 300 << 10)
    packages, shelf = Packages(), Shelf(large)
    assert await fetch(packages, shelf, large) == (large,)
    assert await fetch(packages, shelf, large) == (large,)
    assert shelf.asked == [0, 1, 2]


async def test_what_is_not_there_or_not_itself_is_refused_by_its_name_and_not_kept() -> None:
    one = archive(1, 10)
    packages, shelf = Packages(), Shelf(one)
    shelf.is_forged = True
    with pytest.raises(FaultError, match=r"package mine@1: .*SHA-256 differs") as forged:
        await fetch(packages, shelf, one)
    assert not is_passing(forged.value)
    assert is_for_good(forged.value)
    with pytest.raises(FaultError, match="package mine@1: not here") as absent:
        await fetch(packages, shelf, archive(2, 10))
    assert is_for_good(absent.value)
    shelf.is_forged = False
    assert await fetch(packages, shelf, one) == (one,)


@pytest.mark.parametrize("code", [FaultCode.UNAVAILABLE, FaultCode.INTERNAL, FaultCode.OUTCOME_UNKNOWN])
def test_what_a_fleet_in_trouble_answers_is_no_fault_of_the_package(code: FaultCode) -> None:
    assert not is_for_good(fault(code, "trouble"))


async def test_more_than_a_process_is_handed_is_refused_and_the_oldest_are_let_go() -> None:
    all_of_them = [archive(number) for number in range(8)]
    packages, shelf = Packages(), Shelf(*all_of_them)
    with pytest.raises(FaultError, match=r"mine@1 \(5\.0 MiB\), mine@1 \(5\.0 MiB\): more than 8 MiB"):
        await fetch(packages, shelf, *all_of_them[:2])
    for each in all_of_them:
        await fetch(packages, shelf, each)
    shelf.asked.clear()
    await fetch(packages, shelf, all_of_them[7])
    assert shelf.asked == []
    await fetch(packages, shelf, all_of_them[0])
    assert shelf.asked
