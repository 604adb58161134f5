"""Packages of a session: fetched once, compared with their digest, kept within bounds."""

import asyncio
import threading
from pathlib import Path

import pytest

from flotilla.engine_sidecar.link import wheel_folders
from flotilla.engine_sidecar.link.wheel_folders import WheelFolders
from flotilla.engine_sidecar.session.packages import Packages, is_for_good, is_passing
from flotilla.schemas.contract import PACKAGE_FETCH, Call
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import CHUNK_BYTES, FetchPackage, PackageChunk, PackageRef, Wheel
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.wheel import WHEELS_FILE, wheels_text
from flotilla.schemas.wheel_archive import OpenWheel
from tests.wheels import wheel


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
    return pack({"mine.py": b"#" + bytes([ord("0") + number]) * size})


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


async def test_wheels_are_fetched_once_and_unpacked_and_stay_while_they_are_used(tmp_path: Path) -> None:
    name, data = wheel("fe-w")
    listed = OpenWheel(data, name).as_listed
    needing = pack({"mine.py": b"", WHEELS_FILE: wheels_text((listed,))})
    packages, shelf = Packages(tmp_path), Shelf(needing, data)
    assert packages.wheels == ""
    await fetch(packages, shelf, needing)
    assert (Path(packages.wheels) / listed.digest / "fe_w.py").exists()
    shelf.asked.clear()
    await fetch(packages, shelf, needing)
    assert shelf.asked == []
    packages.let_go((needing, needing))
    packages.close()
    assert list(tmp_path.iterdir()) == []


async def test_wheels_that_cannot_be_had_or_do_not_run_here_are_told_with_their_package(
    tmp_path: Path,
) -> None:
    name, data = wheel("fe-w", tag="cp313-cp313-win_amd64")
    needing = pack({"mine.py": b"", WHEELS_FILE: wheels_text((OpenWheel(data, name).as_listed,))})
    with pytest.raises(FaultError, match=r"package mine@1: .*not here") as absent:
        await fetch(Packages(tmp_path), Shelf(needing), needing)
    with pytest.raises(
        FaultError, match=r"package mine@1: .*it is not for what engines run on here"
    ) as foreign:
        await fetch(Packages(tmp_path), Shelf(needing, data), needing)
    assert is_for_good(absent.value)
    assert is_for_good(foreign.value)
    good = wheel("fe-w")
    needing = pack({"mine.py": b"", WHEELS_FILE: wheels_text((OpenWheel(good[1], good[0]).as_listed,))})
    with pytest.raises(FaultError, match="package mine@1: its wheels cannot be unpacked") as full:
        await fetch(Packages(tmp_path / "gone"), Shelf(needing, good[1]), needing)
    assert not is_for_good(full.value)
    assert not is_passing(full.value)


async def test_who_is_cancelled_while_a_wheel_is_unpacked_leaves_no_thread_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    unpack = WheelFolders.unpack
    at_it: list[str] = []

    def slowly(folders: WheelFolders, listed: Wheel, data: bytes) -> None:
        at_it.append("in")
        begun.set()
        assert go_on.wait(10)
        unpack(folders, listed, data)
        at_it.append("out")

    monkeypatch.setattr(WheelFolders, "unpack", slowly)
    name, data = wheel("fe-w")
    needing = pack({"mine.py": b"", WHEELS_FILE: wheels_text((OpenWheel(data, name).as_listed,))})
    packages, shelf = Packages(tmp_path), Shelf(needing, data)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(fetch(packages, shelf, needing))
        assert await asyncio.to_thread(begun.wait, 10)
        second = group.create_task(fetch(packages, shelf, needing))
        for _ in range(2):
            first.cancel()
            await asyncio.sleep(0)
        assert not first.done()
        go_on.set()
        assert await second == (needing,)
    assert first.cancelled()
    assert at_it == ["in", "out"]


async def test_no_room_is_told_as_what_it_is_where_wheels_are_never_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, data = wheel("fe-w")
    needing = pack({"mine.py": b"", WHEELS_FILE: wheels_text((OpenWheel(data, name).as_listed,))})
    monkeypatch.setattr(wheel_folders, "MOST_UNPACKED_BYTES", 1)
    for packages, code in (
        (Packages(tmp_path), FaultCode.BUSY),
        (Packages(tmp_path, FaultCode.TOO_LARGE), FaultCode.TOO_LARGE),
    ):
        with pytest.raises(FaultError, match="package mine@1: the wheels in use here") as caught:
            await fetch(packages, Shelf(needing, data), needing)
        assert caught.value.fault.code == code
