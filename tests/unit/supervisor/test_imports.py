"""Imports of a host: what is on its disk decides, whoever was killed meanwhile."""

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from flotilla.schemas.data import (
    DATA_FOLDER,
    END_FILE,
    IMPORTS_FOLDER,
    LOCK_FILE,
    PROGRESS_FILE,
    CatalogAnswer,
    CatalogLine,
    ImportData,
    ImportEnd,
    ImportState,
    ImportView,
    ListImports,
    UploadData,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.supervisor import imports as imports_module
from flotilla.services.supervisor.adapters import import_files
from flotilla.services.supervisor.adapters.import_files import ImportFiles
from flotilla.services.supervisor.adapters.process_check import run_check
from flotilla.services.supervisor.core.check_output import CheckOutput
from flotilla.services.supervisor.core.imports import AskedImport, KeptImport, state_of, unsettled
from flotilla.services.supervisor.imports import Imports

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def order(import_id: str = "i1", **changes: Any) -> ImportData:
    known = {"type": "bars", "instrument": "ABC.XNAS", "file": "a.csv", "import_id": import_id}
    return ImportData(**{**known, **changes})


def piece(data: bytes = b"abc", offset: int = 0, import_id: str = "i1") -> UploadData:
    return UploadData(import_id=import_id, file="a.csv", offset=offset, data=data)


def refused(what: Callable[[], Any]) -> FaultCode:
    with pytest.raises(FaultError) as caught:
        what()
    return caught.value.fault.code


END = ImportEnd(state=ImportState.COMPLETED, at=NOW)


@pytest.mark.parametrize(
    ("is_begun", "is_held", "end", "is_mine", "state"),
    [
        (False, False, None, True, ImportState.WAITING),
        (False, False, None, False, ImportState.WAITING),
        (True, True, None, True, ImportState.RUNNING),
        (True, True, None, False, ImportState.RUNNING),
        (True, False, None, True, ImportState.WAITING),
        (True, False, None, False, ImportState.INTERRUPTED),
        (True, True, END, True, ImportState.COMPLETED),
        (False, False, END, False, ImportState.COMPLETED),
    ],
)
def test_the_state_follows_from_what_is_on_disk(
    is_begun: bool, is_held: bool, end: ImportEnd | None, is_mine: bool, state: ImportState
) -> None:
    kept = KeptImport(asked=AskedImport(order=order(), at=NOW), is_begun=is_begun, is_held=is_held, end=end)
    mine = {"i1"} if is_mine else set()
    assert state_of(kept, mine) is state
    left = unsettled([kept], mine)
    is_open = end is None and not is_mine
    assert left.lost == (("i1",) if is_open and state is ImportState.INTERRUPTED else ())
    assert left.to_begin == ((order(),) if is_open and state is ImportState.WAITING else ())
    assert left.is_any_running == (is_open and state is ImportState.RUNNING)


def test_pieces_follow_each_other_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    files = ImportFiles(tmp_path)
    assert files.add(piece(b"abc")).size_bytes == 3
    assert files.add(piece(b"abc")).size_bytes == 3
    assert files.add(piece(b"de", 3)).size_bytes == 5
    assert refused(lambda: files.add(piece(b"x", 9))) == FaultCode.CONFLICT
    assert refused(lambda: files.add(piece(b"xyz", 0))) == FaultCode.CONFLICT
    assert (tmp_path / IMPORTS_FOLDER / "i1" / DATA_FOLDER / "a.csv").read_bytes() == b"abcde"
    files.ask(AskedImport(order=order(), at=NOW))
    assert files.add(piece(b"f", 5)).is_asked
    assert (tmp_path / IMPORTS_FOLDER / "i1" / DATA_FOLDER / "a.csv").read_bytes() == b"abcde"


def test_the_same_first_piece_twice_at_once_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, both = ImportFiles(tmp_path), threading.Barrier(2)

    def meet(_: int) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)

    monkeypatch.setattr(files, "_make_room", meet)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(files.add, [piece(), piece()]))
    assert [one.size_bytes for one in done] == [3, 3]
    assert (tmp_path / IMPORTS_FOLDER / "i1" / DATA_FOLDER / "a.csv").read_bytes() == b"abc"


def test_a_folder_that_somebody_else_makes_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ImportFiles(tmp_path)
    files.add(piece(import_id="i0"))
    there, is_dir = tmp_path / IMPORTS_FOLDER / "i1", Path.is_dir
    seen: list[Path] = []

    def made_just_after(path: Path) -> bool:
        if path == there and not seen:
            seen.append(path)
            path.mkdir()
            return False
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", made_just_after)
    assert files.add(piece()).size_bytes == 3
    assert seen


def test_one_bad_file_is_passed_over_and_the_others_are_told(tmp_path: Path) -> None:
    files = ImportFiles(tmp_path)
    for import_id in ("i1", "i2", "i3"):
        files.add(piece(import_id=import_id))
        files.ask(AskedImport(order=order(import_id), at=NOW))
    root = tmp_path / IMPORTS_FOLDER
    (root / "stray.txt").write_text("x")
    (root / "i1" / PROGRESS_FILE).touch()
    (root / "i2" / END_FILE).write_text("{")
    assert [one.asked.order.import_id for one in files.kept()] == ["i3", "i1"]
    one = files.one("i1")
    assert one is not None
    assert one.progress is None
    assert refused(lambda: files.one("i2")) == FaultCode.UNAVAILABLE


def test_what_waits_has_a_limit_and_what_nobody_asks_for_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_files, "_COUNTED_EVERY", 4)
    files = ImportFiles(tmp_path, most_bytes=10)
    files.add(piece(b"12345678"))
    assert refused(lambda: files.add(piece(b"abc", import_id="i2"))) == FaultCode.TOO_LARGE
    long_ago = time.time() - 2 * 86_400
    os.utime(tmp_path / IMPORTS_FOLDER / "i1", (long_ago, long_ago))
    assert files.add(piece(b"abc", import_id="i2")).size_bytes == 3
    assert not (tmp_path / IMPORTS_FOLDER / "i1").exists()


def test_an_import_needs_its_file_and_keeps_its_options(tmp_path: Path) -> None:
    files = ImportFiles(tmp_path)
    assert refused(lambda: files.ask(AskedImport(order=order(), at=NOW))) == FaultCode.NOT_FOUND
    assert list(tmp_path.iterdir()) == []
    files.add(piece())
    wrong = AskedImport(order=order(file="b.csv"), at=NOW)
    assert refused(lambda: files.ask(wrong)) == FaultCode.NOT_FOUND
    assert [file.name for file in (tmp_path / IMPORTS_FOLDER).rglob("*.csv")] == ["a.csv"]
    first = files.ask(AskedImport(order=order(), at=NOW))
    again = AskedImport(order=order(request_id="other"), at=NOW + timedelta(days=1))
    assert files.ask(again) == first
    assert refused(lambda: files.ask(AskedImport(order=order(sort=True), at=NOW))) == FaultCode.CONFLICT
    another = order(digest="a" * 64)
    assert refused(lambda: files.ask(AskedImport(order=another, at=NOW))) == FaultCode.CONFLICT


def test_an_end_stays_what_it_was_and_lets_go_of_the_file(tmp_path: Path) -> None:
    files = ImportFiles(tmp_path)
    files.add(piece())
    files.ask(AskedImport(order=order(), at=NOW))
    files.end("i1", END)
    files.end("i1", ImportEnd(state=ImportState.INTERRUPTED, at=NOW))
    kept = files.one("i1")
    assert kept is not None
    assert kept.end == END
    assert not (tmp_path / IMPORTS_FOLDER / "i1" / DATA_FOLDER).exists()


def test_the_oldest_that_have_ended_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_files, "MOST_KEPT", 2)
    files = ImportFiles(tmp_path)
    for index in range(4):
        files.add(piece(import_id=f"i{index}"))
        files.ask(AskedImport(order=order(f"i{index}"), at=NOW + timedelta(minutes=index)))
        if index != 1:
            files.end(f"i{index}", END)
    files.forget_old()
    assert [one.asked.order.import_id for one in files.kept()] == ["i3", "i2", "i1"]


class Runtime:
    """The catalog's program: ends each import as the test says, or waits until it is let go."""

    def __init__(self, catalog: Path) -> None:
        self._root = catalog / IMPORTS_FOLDER
        self.lines: list[CatalogLine] = []
        self.go_on = asyncio.Event()
        self.is_done = True

    async def catalog(self, line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        asked = msgspec.json.decode(line, type=CatalogLine)
        assert (writes, asked.load is not None) == (True, True)
        self.lines.append(asked)
        folder = self._root / cast("ImportData", asked.load).import_id
        with (folder / LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            await self.go_on.wait()
            if self.is_done:
                (folder / END_FILE).write_bytes(msgspec.json.encode(END))
        return CheckOutput(exit_code=0, stdout=b"{}") if self.is_done else CheckOutput(exit_code=137)


def imports(tmp_path: Path, runtime: Runtime) -> Imports:
    return Imports(cast("Any", runtime), ImportFiles(tmp_path), "/seen/by/it", "h1", lambda: NOW)


async def state(made: Imports, import_id: str, wanted: ImportState) -> ImportView:
    async with asyncio.timeout(10):
        while True:
            (found,) = (await made.list(ListImports(import_id=import_id))).imports
            if found.state is wanted:
                return found
            await asyncio.sleep(0.01)


async def asked(made: Imports, import_id: str) -> ImportView:
    await made.upload(piece(import_id=import_id))
    return await made.begin(order(import_id))


async def test_one_import_runs_at_a_time_and_each_once(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    made = imports(tmp_path, runtime)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        assert (await asked(made, "i1")).state in (ImportState.WAITING, ImportState.RUNNING)
        await asked(made, "i2")
        await state(made, "i1", ImportState.RUNNING)
        assert (await made.begin(order("i1"))).state is ImportState.RUNNING
        await state(made, "i2", ImportState.WAITING)
        runtime.go_on.set()
        await state(made, "i2", ImportState.COMPLETED)
        assert (await made.begin(order("i1"))).state is ImportState.COMPLETED
        task.cancel()
    assert [one.load.import_id for one in runtime.lines if one.load] == ["i1", "i2"]
    assert {one.path for one in runtime.lines} == {"/seen/by/it"}


async def test_a_program_that_ends_without_a_word_leaves_an_import_that_was_interrupted(
    tmp_path: Path,
) -> None:
    runtime = Runtime(tmp_path)
    runtime.is_done = False
    runtime.go_on.set()
    made = imports(tmp_path, runtime)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        await asked(made, "i1")
        found = await state(made, "i1", ImportState.INTERRUPTED)
        async with asyncio.timeout(10):
            while found.ended_at is None:
                (found,) = (await made.list(ListImports(import_id="i1"))).imports
                await asyncio.sleep(0.01)
        task.cancel()
    assert "all of it or nothing" in found.error


async def test_an_import_whose_program_is_only_out_of_sight_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_module, "_LOOK_S", 0.02)
    runtime = Runtime(tmp_path)
    at_it = runtime.catalog(msgspec.json.encode(CatalogLine(path="", load=order())), 1, writes=True)

    async def lost(line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        raise fault(FaultCode.UNAVAILABLE, "the engine is away")

    monkeypatch.setattr(runtime, "catalog", lost)
    made = imports(tmp_path, runtime)
    await made.upload(piece())
    async with asyncio.TaskGroup() as group:
        program = group.create_task(at_it)
        await asked(made, "i1")
        await state(made, "i1", ImportState.RUNNING)
        task = group.create_task(made.run())
        async with asyncio.timeout(10):
            while cast("Any", made)._mine:
                await asyncio.sleep(0.01)
        (found,) = (await made.list(ListImports(import_id="i1"))).imports
        assert (found.state, found.ended_at) == (ImportState.RUNNING, None)
        runtime.go_on.set()
        await program
        await state(made, "i1", ImportState.COMPLETED)
        task.cancel()


async def test_an_import_that_was_never_begun_is_tried_again_and_others_are_not_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_module, "_LOOK_S", 0.02)
    runtime = Runtime(tmp_path)
    runtime.go_on.set()
    program, tries = runtime.catalog, 0

    async def away(line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        nonlocal tries
        load = msgspec.json.decode(line, type=CatalogLine).load
        if load is not None and load.import_id == "i1":
            tries += 1
            if tries == 1:
                raise fault(FaultCode.UNAVAILABLE, "the engine is away")
            if tries == 2:
                return CheckOutput(exit_code=137)
            if tries == 3:
                no_room = CatalogAnswer(refusal="lock: No space left", code=FaultCode.UNAVAILABLE)
                return CheckOutput(exit_code=0, stdout=msgspec.json.encode(no_room))
            if (await made.list(ListImports(import_id="i2"))).imports[0].ended_at is None:
                raise fault(FaultCode.UNAVAILABLE, "still away")
        return await program(line, timeout_s, writes=writes)

    monkeypatch.setattr(runtime, "catalog", away)
    made = imports(tmp_path, runtime)
    await asked(made, "i1")
    await asked(made, "i2")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        await state(made, "i1", ImportState.COMPLETED)
        await state(made, "i2", ImportState.COMPLETED)
        task.cancel()
    assert [one.load.import_id for one in runtime.lines if one.load] == ["i2", "i1"]


async def test_a_program_that_cannot_run_at_all_ends_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(tmp_path)

    async def broken(line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        return CheckOutput(exit_code=1, stderr=b"No module named flotilla")

    monkeypatch.setattr(runtime, "catalog", broken)
    made = imports(tmp_path, runtime)
    await asked(made, "i1")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        found = await state(made, "i1", ImportState.INTERRUPTED)
        task.cancel()
    assert "No module named flotilla" in found.error


async def test_a_process_that_cannot_be_started_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FaultError) as caught:
        await run_check(tmp_path / "gone", ("true",), b"", 5)
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    assert caught.value.fault.message == "no process can be run on this host: No such file or directory"


async def test_the_next_supervisor_begins_what_waited_and_ends_what_was_cut(tmp_path: Path) -> None:
    before = imports(tmp_path, Runtime(tmp_path))  # it never ran
    for import_id in ("cut", "waited", "goes-on"):
        await asked(before, import_id)
    for begun in ("cut", "goes-on"):
        (tmp_path / IMPORTS_FOLDER / begun / LOCK_FILE).touch()
    runtime = Runtime(tmp_path)
    runtime.go_on.set()
    made = imports(tmp_path, runtime)
    with (tmp_path / IMPORTS_FOLDER / "goes-on" / LOCK_FILE).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.run())
            await state(made, "waited", ImportState.COMPLETED)
            await state(made, "cut", ImportState.INTERRUPTED)
            await state(made, "goes-on", ImportState.RUNNING)
            task.cancel()
    assert [one.load.import_id for one in runtime.lines if one.load] == ["waited"]
    assert (tmp_path / IMPORTS_FOLDER / "cut" / END_FILE).exists()


async def test_a_catalog_that_is_not_seen_is_said(tmp_path: Path) -> None:
    made = Imports(cast("Any", Runtime(tmp_path)), None, "", "h1", lambda: NOW)
    assert (await made.list(ListImports())).imports == ()
    for call, code in (
        (made.upload(piece()), FaultCode.UNAVAILABLE),
        (made.begin(order()), FaultCode.UNAVAILABLE),
        (made.list(ListImports(import_id="i1")), FaultCode.NOT_FOUND),
    ):
        with pytest.raises(FaultError, match="FLOTILLA_CATALOG_FOLDER") as caught:
            await call
        assert caught.value.fault.code == code
    await made.run()
