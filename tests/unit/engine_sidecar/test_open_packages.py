"""Packages within one process: what each `import` finds is its own, and what is refused leaves nothing behind."""

import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas.package_archive import ArchiveError, pack


def archive(**files: str | bytes) -> bytes:
    return pack({name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where packages are unpacked; the import path is put back afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def written(folder: Path) -> list[str]:
    """Files below the folders of processes."""
    return sorted(
        "/".join(path.relative_to(folder).parts[2:]) for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize(
    ("first", "other", "module"),
    [
        ({"fe_a/ema.py": "x = 1"}, {"fe_a/ema.py": "x = 2", "fe_a/other.py": ""}, "fe_a"),
        ({"fe_a/ema.py": "x = 1"}, {"fe_a/__init__.py": ""}, "fe_a"),
        ({"fe_a/__init__.py": ""}, {"src/fe_a/ema.py": ""}, "fe_a"),
        ({"fe_utils.py": "", "fe_a.py": ""}, {"fe_utils.py": "", "fe_b.py": ""}, "fe_utils"),
        ({"fe_a.py": "", "test_fe.py": ""}, {"fe_b.py": "", "test_fe.py": ""}, "test_fe"),
        ({"fe_a.py": "", "deep/in/it/test_x.py": ""}, {"fe_b.py": "", "deep/test_y.py": ""}, "deep"),
    ],
)
def test_two_packages_with_a_module_of_one_name_are_refused_by_their_names_and_that_of_the_module(
    folder: Path, first: dict[str, str], other: dict[str, str], module: str
) -> None:
    packages = OpenPackages()
    packages.add([archive(**first)], ["first@1"])
    there, path = written(folder), [*sys.path]
    with pytest.raises(ArchiveError, match=rf"^{module}: other@3 has .*first@1.*rename it"):
        packages.add([archive(**other)], ["other@3"])
    assert (written(folder), sys.path) == (there, path)


def test_another_version_of_a_package_is_refused_as_such_and_the_same_content_changes_nothing() -> None:
    packages = OpenPackages()
    packages.add([archive(**{"fe_a.py": "x = 1"})], ["mine@1"])
    packages.add([archive(**{"fe_a.py": "x = 1"})], ["draft@sha256-0"])
    assert len(packages.roots) == 1
    with pytest.raises(ArchiveError, match=r"fe_a: mine@2 .* mine@1.* another version of it"):
        packages.add([archive(**{"fe_a.py": "x = 2"})], ["mine@2"])


def test_packages_may_both_have_tests_and_a_setup_which_are_not_there_where_they_run(folder: Path) -> None:
    usual = {"tests/test_it.py": "x", "tests/table.csv": "1", "conftest.py": "x", "setup.py": "x"}
    packages = OpenPackages()
    packages.add([archive(**{"fe_a.py": "", **usual}), archive(**{"fe_b.py": "", **usual})], ["a@1", "b@1"])
    assert written(folder) == ["fe_a.py", "fe_b.py", "tests/table.csv", "tests/table.csv"]
    assert [importlib.import_module(name).__name__ for name in ("fe_a", "fe_b")] == ["fe_a", "fe_b"]


def test_folders_of_data_may_have_one_name() -> None:
    packages = OpenPackages()
    packages.add([archive(**{f"fe_{each}.py": "", "data/t.csv": each}) for each in "ab"], ["a@1", "b@1"])
    assert len(packages.roots) == 2


def test_a_module_is_found_although_a_folder_of_its_name_without_modules_lies_on_the_path(
    folder: Path,
) -> None:
    (folder / "beside" / "fe_mine").mkdir(parents=True)
    sys.path.append(str(folder / "beside"))
    packages = OpenPackages()
    packages.add([archive(**{"fe_mine.py": "x = 1"})], ["mine@1"])
    assert importlib.import_module("fe_mine").x == 1
    (folder / "beside" / "fe_folder").mkdir()
    with pytest.raises(ArchiveError, match="fe_folder: a module of this name is there already"):
        packages.add([archive(**{"fe_folder/ema.py": ""})], ["other@1"])


def test_more_than_one_process_takes_is_refused_by_name_and_size_however_it_comes(folder: Path) -> None:
    large = [archive(**{f"fe_{name}.py": "", "data.bin": bytes(3 << 20)}) for name in "abc"]
    packages = OpenPackages()
    packages.add(large[:2], ["a@1", "b@2"])
    there = written(folder)
    with pytest.raises(
        ArchiveError, match=r"a@1 \(3\.0 MiB\), b@2 \(3\.0 MiB\), c@1 \(3\.0 MiB\): more than 8"
    ):
        packages.add(large[2:], ["c@1"])
    assert written(folder) == there


def test_files_that_cannot_be_written_are_no_fault_of_the_package_and_do_not_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "table.csv":
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    packages = OpenPackages()
    with pytest.raises(UnpackingError, match=r"^mine@1 cannot be unpacked on this host: No space left"):
        packages.add([archive(**{"fe_a.py": "", "table.csv": "1"})], ["mine@1"])
    assert written(folder) == []
    monkeypatch.undo()


def test_nothing_is_left_after_its_end(folder: Path) -> None:
    packages = OpenPackages()
    packages.add([archive(**{"fe_a.py": ""})], ["mine@1"])
    packages.close()
    assert list(folder.iterdir()) == []
