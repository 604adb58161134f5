"""A process that is shut in attacks the one that forked it, as an engine would its sidecar: real kernels, as an ordinary user."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.confinement.confine import KernelLocks
from flotilla.engine_sidecar.confinement.landlock import SCOPES_ABI, TCP_ABI
from tests.hostile import DENIED, DONE

ROOT = Path(__file__).parents[3]
HERE = KernelLocks.offered()
FIRST_LANDLOCK = KernelLocks(landlock_abi=1, has_filter=True)
FILTER_ALONE = KernelLocks(landlock_abi=0, has_filter=True)
WITHOUT_SCOPES = KernelLocks(landlock_abi=SCOPES_ABI - 1, has_filter=True)
WITHOUT_TCP = KernelLocks(landlock_abi=TCP_ABI - 1, has_filter=True)
WITHOUT_FILTER = KernelLocks(landlock_abi=SCOPES_ABI, has_filter=False)

has_all = pytest.mark.skipif(HERE.shortcoming != "", reason=HERE.shortcoming)


def play(locks: KernelLocks | None, *more: str, ports: str = "[]") -> dict[str, Any]:
    """What came of it, as an ordinary user; who is root can do more."""
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-m",
            "tests.fakes.confined",
            msgspec.json.encode(locks).decode(),
            ports,
            *more,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"it was ended by {done.returncode}: {done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit_code"] == 0
    return found


def let(found: dict[str, str]) -> list[str]:
    return [f"{name}: {what}" for name, what in found.items() if what != DENIED]


@has_all
@pytest.mark.parametrize("locks", [HERE, WITHOUT_SCOPES, WITHOUT_TCP, FILTER_ALONE], ids=str)
def test_nothing_comes_through_whatever_the_kernel_lacks_of_landlock(locks: KernelLocks) -> None:
    assert let(play(locks)["tried"]) == []


@has_all
def test_what_it_needs_for_itself_it_can_do() -> None:
    assert set(play(HERE)["own"].values()) == {DONE}


@has_all
@pytest.mark.parametrize("locks", [HERE, WITHOUT_SCOPES, WITHOUT_TCP, FIRST_LANDLOCK], ids=str)
def test_with_folders_it_writes_nowhere_else_and_dies_first_whatever_it_says(locks: KernelLocks) -> None:
    own = play(locks, "folder")["own"]
    assert own["write elsewhere"] == DENIED
    assert own["live longer than others"] == DENIED
    # The first version of Landlock lets nothing move from one folder to another.
    assert own["write below its folder"] == (f"errno {errno.EXDEV}" if locks == FIRST_LANDLOCK else DONE)


@has_all
def test_where_landlock_has_no_scopes_it_cannot_signal_what_it_started() -> None:
    own = play(WITHOUT_SCOPES)["own"]
    assert own.pop("kill its child") == DENIED
    assert set(own.values()) == {DONE}


@has_all
@pytest.mark.parametrize("locks", [HERE, WITHOUT_SCOPES], ids=str)
def test_it_reaches_the_one_port_that_it_needs_and_no_other_way_to_it(locks: KernelLocks) -> None:
    assert let(play(locks, ports="[PORT]")["tried"]) == [f"connect: {DONE}"]
    assert let(play(locks, ports="[1]")["tried"]) == []


@has_all
@pytest.mark.parametrize("locks", [HERE, WITHOUT_SCOPES], ids=str)
def test_with_a_venue_it_reaches_all_ports_and_takes_no_connections(locks: KernelLocks) -> None:
    assert let(play(locks, ports="null")["tried"]) == [f"connect: {DONE}"]


@has_all
def test_landlock_alone_leaves_limits_scheduling_and_ways_round_its_tcp_rule() -> None:
    """Why there is a filter: the day that this fails, less of it is needed."""
    tried = play(WITHOUT_FILTER, "open")["tried"]
    assert {"ask limit", "renice", "pin", "connect by multipath TCP", "connect by fast open"} <= {
        name for name, what in tried.items() if what == DONE
    }
    assert tried["read memory"] == tried["trace"] == tried["signal nothing"] == tried["connect"] == DENIED


def test_one_that_is_not_shut_in_can_do_nearly_all_of_it() -> None:
    """Or the attempts would show nothing."""
    tried = play(None, "open")["tried"]
    done = {name for name, what in tried.items() if what == DONE}
    assert {
        "read environment",
        "read maps",
        "list files",
        "ask limit",
        "signal nothing",
        "connect",
        "listen",
    } <= done
    assert len(done) > 20, tried


def test_one_that_hides_is_not_read_by_one_that_is_not_shut_in_but_killed() -> None:
    with pytest.raises(AssertionError, match="it was ended by -"):
        play(None)


@pytest.mark.parametrize(
    ("abi", "has_filter", "is_enough", "says"),
    [
        (6, True, True, ""),
        (7, True, True, ""),
        (6, False, True, "limit their sidecar"),
        (5, True, True, "version 5"),
        (0, True, True, "no Landlock"),
        (5, False, False, "kill their sidecar"),
        (0, False, False, "kill their sidecar"),
    ],
)
def test_what_a_kernel_lacks_is_said(abi: int, has_filter: bool, is_enough: bool, says: str) -> None:
    locks = KernelLocks(landlock_abi=abi, has_filter=has_filter)
    assert locks.is_enough is is_enough
    assert says in locks.shortcoming
    assert (locks.shortcoming == "") is (says == "")
