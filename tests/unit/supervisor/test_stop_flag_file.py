"""Stops that are left in the state folder of a supervisor that runs as another account."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flotilla.schemas.session import EmergencyStop
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile

OTHER = 65534
LEFT_BY_ROOT = EmergencyStop(reason="drill", request_id="req-1234567890")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as two accounts")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder of the other account, which reaches it."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, OTHER, OTHER)
    modes = {each: each.stat().st_mode for each in (tmp_path, *tmp_path.parents)}
    for each, mode in modes.items():
        each.chmod(mode | 0o111)
    yield folder
    for each, mode in modes.items():
        each.chmod(mode)


@contextmanager
def as_the_other() -> Iterator[None]:
    """Within it this process is of the other account."""
    os.setegid(OTHER)
    os.seteuid(OTHER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_what_cannot_be_looked_into_is_a_stop_of_all_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> Iterator[Path]:
        raise PermissionError("not yours")

    (tmp_path / "stop_requests").mkdir()
    monkeypatch.setattr(Path, "iterdir", refused)
    file = StopFlagFile(tmp_path)
    (order,) = file.left()
    assert order.request.instance_id is None
    file.settle(order)
    assert file.left() == (order,)


@needs_root
@pytest.mark.parametrize("is_old", [False, True])
def test_a_stop_that_root_left_is_carried_out_by_the_supervisor_of_another_account(
    state: Path, *, is_old: bool
) -> None:
    if is_old:  # root made the folder for itself, once
        (state / "stop_requests").mkdir(mode=0o700)
    StopFlagFile(state).leave(LEFT_BY_ROOT)
    with as_the_other():
        file = StopFlagFile(state)
        (order,) = file.left()
        file.settle(order)
        assert order.request == LEFT_BY_ROOT
        assert file.left() == ()


@needs_root
def test_root_gives_nothing_away_through_a_link(state: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (state / "stop_requests").symlink_to(elsewhere)
    with pytest.raises(OSError, match="stop_requests"):
        StopFlagFile(state).leave(LEFT_BY_ROOT)
    assert elsewhere.stat().st_uid == 0
    assert list(elsewhere.iterdir()) == []
