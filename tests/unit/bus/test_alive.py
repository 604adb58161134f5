"""What a process writes for its container's health check, read by the very shell lines that do so."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from flotilla.bus.alive import say_alive
from flotilla.services.supervisor.core.spec import HEARTBEAT_FILE, ContainerProfile, Room, container_config
from tests.fakes.supervised import session

COMPOSE = Path(__file__).resolve().parents[3] / "deploy" / "compose.yaml"


def engine_check() -> str:
    profile = ContainerProfile(owner="flotilla", host="h1", image="i", network="n")
    config = container_config(session(), profile, host=Room(cpus=2.0, memory_bytes=4 << 30))
    kind, line = config["Healthcheck"]["Test"]
    assert kind == "CMD-SHELL"
    return str(line).replace(HEARTBEAT_FILE, "$FILE")


def service_check() -> str:
    found = re.search(r'test: \["CMD-SHELL", "(read .*)"\]', COMPOSE.read_text())
    assert found
    return found[1].replace("$$", "$").replace("/tmp/healthy", "$FILE")


def is_well(line: str, file: Path) -> bool:
    done = subprocess.run(["sh", "-c", line], env={"FILE": str(file)}, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize(("line", "within_s"), [(engine_check(), 60), (service_check(), 15)])
def test_it_is_well_until_it_has_said_nothing_for_a_while(line: str, within_s: int, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    assert not is_well(line, file)
    say_alive(file)
    assert is_well(line, file)
    up_s = int(file.read_text())
    file.write_text(f"{up_s - within_s + 5:20d}\n")
    assert is_well(line, file)
    file.write_text(f"{up_s - within_s - 1:20d}\n")
    assert not is_well(line, file)
    say_alive(file)
    assert is_well(line, file)


@pytest.mark.parametrize("line", [engine_check(), service_check()])
def test_when_the_file_was_written_by_the_wall_clock_says_nothing(line: str, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    say_alive(file)
    os.utime(file, (0, 0))
    assert is_well(line, file)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "nothing"])
def test_what_somebody_put_in_its_place_is_moved_away(tmp_path: Path, kind: str) -> None:
    file, other = tmp_path / "heartbeat", tmp_path / "other"
    other.write_text("mine")
    match kind:
        case "pipe":
            os.mkfifo(file)  # to open it for writing would wait for a reader
        case "folder":
            file.mkdir()
            (file / "kept").touch()
        case "link":
            file.symlink_to(other)
    say_alive(file)
    assert int(file.read_text()) > 0
    assert other.read_text() == "mine"


def test_a_device_is_left_alone() -> None:
    ends = os.openpty()
    device = Path(os.ttyname(ends[1]))  # whoever may do all cannot delete it
    say_alive(device)
    assert int(os.read(ends[0], 100)) > 0
    assert device.is_char_device()
    for end in ends:
        os.close(end)
