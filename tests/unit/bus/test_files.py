"""Files that are whole or as they were."""

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flotilla.bus.files import move_whole, whole_file, write_whole


class Calls:
    """What is asked of the disk, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.problem: OSError | None = None
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        self.made.append(f"sync {kind}")
        if self.problem:
            raise self.problem
        self._fsync(descriptor)

    def replace(self, *args: object, **more: object) -> None:
        self.made.append("replace")
        self._replace(*args, **more)  # type: ignore[arg-type]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def fill(path: Path) -> None:
    with whole_file(path) as made:
        made.write_bytes(b"new")


def moved(path: Path) -> None:
    source = path.with_name("source")
    source.write_bytes(b"new")
    move_whole(source, path)


WAYS: list[Callable[[Path], None]] = [lambda path: write_whole(path, b"new"), fill, moved]


@pytest.mark.parametrize("write", WAYS)
def test_content_is_on_disk_before_it_has_its_name_and_the_name_before_it_returns(
    tmp_path: Path, calls: Calls, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "x")
    assert calls.made == ["sync file", "replace", "sync folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"new"


@pytest.mark.parametrize("write", WAYS[:2])
def test_what_does_not_reach_the_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, calls: Calls, write: Callable[[Path], None]
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    calls.problem = OSError(errno.ENOSPC, "no space left")
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path / "x")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"old")]


def test_what_is_worth_nothing_after_a_loss_of_power_waits_for_no_disk(tmp_path: Path, calls: Calls) -> None:
    write_whole(tmp_path / "x", b"new", is_durable=False)
    assert calls.made == ["replace"]


def test_only_its_owner_may_read_it_unless_a_mode_says_otherwise(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "secret", b"x")
        write_whole(tmp_path / "shown", b"x", mode=0o666)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "shown")]
    assert modes == [0o600, 0o644]


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    texts = [f"{number}".encode() * 1000 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_whole(tmp_path / "x", text), texts))
    assert (tmp_path / "x").read_bytes() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_roots_file_belongs_to_the_folders_owner_where_that_is_asked_for(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4711)
    write_whole(tmp_path / "theirs", b"x", as_folder=True)
    write_whole(tmp_path / "ours", b"x")
    assert [(tmp_path / name).stat().st_uid for name in ("theirs", "ours")] == [4711, 0]
