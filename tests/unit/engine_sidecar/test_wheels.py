"""Wheels in one process: unpacked by digest, found behind all else, and refused where they would replace something."""

import importlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from flotilla.engine_sidecar.link import wheel_folders
from flotilla.engine_sidecar.link.wheel_folders import NoRoomError, WheelFolders
from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas.package_archive import ArchiveError, pack
from flotilla.schemas.wheel import WHEELS_FILE, wheels_text
from flotilla.schemas.wheel_archive import OpenWheel
from tests.wheels import wheel

type Made = tuple[str, bytes]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where all is unpacked; the import path is put back afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def folders() -> Iterator[WheelFolders]:
    made = WheelFolders()
    yield made
    made.close()


def package(folders: WheelFolders, *wheels: Made, **files: str) -> bytes:
    """An archive that needs these, which are unpacked."""
    listed = []
    for name, data in wheels:
        listed.append(OpenWheel(data, name).as_listed)
        if not folders.hold(listed[-1]):
            folders.unpack(listed[-1], data)
    content = {name: text.encode() for name, text in files.items()}
    return pack({**content, WHEELS_FILE: wheels_text(listed)} if wheels else content)


def added(
    folders: WheelFolders, *archives: bytes, labels: Sequence[str] = ("one@1", "two@1")
) -> OpenPackages:
    packages = OpenPackages()
    packages.add(archives, labels, folders.path)
    return packages


def test_a_package_finds_its_wheels_behind_all_else_and_each_is_unpacked_once(folders: WheelFolders) -> None:
    shared = wheel("fe-w", files={"fe_w/__init__.py": "x = 7", "fe_w/table.csv": "a"})
    first = package(folders, shared, **{"fe_a.py": "import fe_w\ny = fe_w.x"})
    second = package(folders, shared, wheel("fe-v"), **{"fe_b.py": "from fe_w import x"})
    before = [*sys.path]
    added(folders, first, second)
    assert importlib.import_module("fe_a").y == importlib.import_module("fe_b").x == 7
    assert sys.path[: len(before)] == before
    assert sum("flotilla-wheels" in each for each in sys.path) == 2
    (written,) = Path(folders.path).glob("*/fe_w/table.csv")
    assert written.stat().st_mode & 0o777 == 0o444


def test_folders_without_init_of_one_name_are_one_to_wheels(folders: WheelFolders) -> None:
    parts = [wheel(f"fe-{each}", files={f"fe_space/{each}.py": f"x = {each!r}"}) for each in "ab"]
    added(folders, package(folders, *parts, **{"fe_a.py": ""}))
    assert [importlib.import_module(f"fe_space.{each}").x for each in "ab"] == ["a", "b"]


@pytest.mark.parametrize(
    ("wheels", "other", "words"),
    [
        ([wheel("fe-w", "1.0")], [wheel("fe-w", "2.0")], "two@1 needs fe-w 2.0, and one@1 needs fe-w 1.0"),
        ([wheel("fe-w")], [wheel("fe-w", files={"fe_w.py": ""})], "one process has one wheel of fe-w"),
        (
            [wheel("fe-w")],
            [wheel("fe-v", files={"fe_w.py": ""})],
            "fe_w: fe-v 1.0, .*fe-w 1.0, a wheel of one@1",
        ),
        ([wheel("fe-w", files={"fe_a.py": ""})], [], "fe_a: fe-w 1.0, .* and so has one@1"),
        ([], [wheel("fe-w", files={"fe_a/__init__.py": ""})], "fe_a: fe-w 1.0, .* and so has one@1"),
        ([wheel("fe-w", files={"msgspec/x.py": ""})], [], "msgspec: .*there already, of what is installed"),
        ([wheel("fe-w", files={"pytest/__init__.py": ""})], [], "pytest: .*there already"),
    ],
)
def test_a_wheel_that_would_replace_something_is_refused_and_leaves_nothing(
    folders: WheelFolders, wheels: list[Made], other: list[Made], words: str
) -> None:
    first = package(folders, *wheels, **{"fe_a.py": ""})
    archives = [first, package(folders, *other, **{"fe_b.py": ""})] if other else [first]
    packages = OpenPackages()
    if other:
        packages.add([first], ["one@1"], folders.path)
    before = [*sys.path]
    with pytest.raises(ArchiveError, match=words):
        packages.add(archives, ["one@1", "two@1"], folders.path)
    assert sys.path == before


def test_a_module_of_a_package_may_not_be_called_as_one_of_a_wheel_that_is_there(
    folders: WheelFolders,
) -> None:
    packages = added(folders, package(folders, wheel("fe-w"), **{"fe_a.py": ""}))
    with pytest.raises(ArchiveError, match=r"fe_w: two@1 has .*fe-w 1\.0, a wheel of one@1"):
        packages.add([package(folders, **{"fe_w.py": ""})], ["two@1"], folders.path)


def test_a_wheel_that_was_not_unpacked_is_no_fault_of_the_package(folders: WheelFolders) -> None:
    archive = package(folders, wheel("fe-w"), **{"fe_a.py": ""})
    with pytest.raises(UnpackingError, match=r"a wheel that one@1 needs was not unpacked"):
        OpenPackages().add([archive], ["one@1"], "/nowhere")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (wheel("fe-w", tag="cp313-cp313-win_amd64"), "it is not for what engines run on here"),
        (wheel("fe-w", tag="cp311-cp311-any"), "it is not for what engines run on here"),
        (wheel("fe-w", files={"fe_w.py": "a"}, record={"fe_w.py": "x"}), "RECORD has another"),
    ],
)
def test_what_does_not_run_here_or_lies_is_not_unpacked(
    folders: WheelFolders, made: Made, words: str
) -> None:
    name, data = made
    with pytest.raises(ArchiveError, match=words):
        folders.unpack(OpenWheel(data, name).as_listed, data)
    assert list(Path(folders.path).rglob("*.py")) == [] or not folders.path


def test_other_content_than_the_package_names_is_not_unpacked(folders: WheelFolders) -> None:
    name, data = wheel("fe-w")
    other = wheel("fe-w", files={"fe_w.py": "other"})[1]
    with pytest.raises(ArchiveError, match="it is not what the package says"):
        folders.unpack(OpenWheel(data, name).as_listed, other)
    assert folders.path == ""


def test_wheels_that_nobody_uses_make_room_and_those_in_use_do_not(
    folders: WheelFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = [wheel(f"fe-{number}", files={f"fe_{number}.py": "#" * 4000}) for number in range(3)]
    listed = [OpenWheel(data, name).as_listed for name, data in wheels]
    monkeypatch.setattr(wheel_folders, "MOST_UNPACKED_BYTES", 2 * listed[0].unpacked_bytes + 10)
    for each, (_, data) in zip(listed[:2], wheels, strict=False):
        folders.unpack(each, data)
        assert folders.hold(each)
    with pytest.raises(NoRoomError, match="the wheels in use here"):
        folders.unpack(listed[2], wheels[2][1])
    folders.let_go(listed[0])
    folders.unpack(listed[2], wheels[2][1])
    assert [folders.hold(each) for each in listed] == [False, True, True]
    assert {path.name for path in Path(folders.path).iterdir()} == {each.digest for each in listed[1:]}


def test_the_same_wheel_by_another_file_name_is_the_same_folder_which_stays(folders: WheelFolders) -> None:
    name, data = wheel("fe-w", files={"fe_w.py": "x = 1"})
    first = OpenWheel(data, name).as_listed
    other = OpenWheel(data, name.replace("-1.0-", "-1.0-7-")).as_listed
    assert (other.digest, other != first) == (first.digest, True)
    folders.unpack(first, data)
    assert folders.hold(first)
    folders.unpack(other, data)
    assert folders.hold(other)
    home = Path(folders.path) / first.digest
    assert (home / "fe_w.py").read_text() == "x = 1"
    folders.let_go(first)
    with pytest.raises(ArchiveError, match="it is not what the package says"):
        folders.unpack(msgspec.structs.replace(other, version="2"), data)
    assert (home / "fe_w.py").exists()


def test_a_folder_that_it_did_not_make_is_not_removed(folders: WheelFolders) -> None:
    package(folders, wheel("fe-v"), **{"fe_a.py": ""})
    name, data = wheel("fe-w")
    listed = OpenWheel(data, name).as_listed
    home = Path(folders.path) / listed.digest
    home.mkdir()
    (home / "kept").touch()
    with pytest.raises(FileExistsError):
        folders.unpack(listed, data)
    assert (home / "kept").exists()


def test_nothing_is_left_of_them(folder: Path) -> None:
    folders = WheelFolders()
    package(folders, wheel("fe-w"), **{"fe_a.py": ""})
    folders.close()
    assert list(folder.iterdir()) == []
