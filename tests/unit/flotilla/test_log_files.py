"""Logs of the stack's processes stay small, whoever writes goes on."""

from pathlib import Path

import pytest

from flotilla.stack.log_files import turn_over


def test_a_large_file_is_moved_and_its_writer_goes_on_at_the_beginning(tmp_path: Path) -> None:
    file, older = tmp_path / "orchestrator.log", tmp_path / "orchestrator.log.1"
    older.write_text("what was older still")
    with file.open("ab", buffering=0) as writer:
        file.chmod(0o600)
        writer.write(b"0123456789")
        assert not turn_over(file, most=10)
        writer.write(b"+")
        assert turn_over(file, most=10)
        writer.write(b"new")
    assert (file.read_text(), older.read_text()) == ("new", "0123456789+")
    assert older.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_kept_is_not_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "gateway.log"
    file.write_text("0123456789+")
    (tmp_path / "gateway.log.1").mkdir()
    with pytest.raises(OSError, match=r"gateway.log.1"):
        turn_over(file, most=10)
    assert file.read_text() == "0123456789+"
    assert not turn_over(tmp_path / "none.log", most=10)
