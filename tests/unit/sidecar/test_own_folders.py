"""Folders that a process made for itself go with it, and no others."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from flotilla.engine_sidecar.link.own_folders import make_folder, remove_folders


def test_what_a_killed_process_left_is_removed_and_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = make_folder()
    assert own.stat().st_mode & 0o777 == 0o700
    pid = os.fork()
    if pid == 0:
        try:
            (make_folder() / "mine.py").write_text("x = 1")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.iterdir())) == 2
    remove_folders(pid)
    assert list(tmp_path.iterdir()) == [own]
