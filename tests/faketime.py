"""libfaketime, by which a test sets the wall clock of a process, and of it alone, while it runs; the monotonic clock stays as it is."""

import os
import shutil
import subprocess
from glob import glob
from pathlib import Path

import pytest

_LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def require_libfaketime() -> Path:
    """The library; installed where that is possible, else the test is skipped."""
    if not glob(_LIBRARY) and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "-y", "libfaketime"]):
            subprocess.run(command, capture_output=True, check=False, timeout=180)
    if not (found := glob(_LIBRARY)):
        pytest.skip("libfaketime is not installed (Debian: apt install libfaketime)")
    return Path(found[0])


def under_libfaketime(library: Path, file: Path) -> dict[str, str]:
    """The variables of a process whose wall clock follows `file`, looked at once a second; see set_wall_clock."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }


def set_wall_clock(file: Path, ahead_s: int) -> None:
    """Sets the wall clock `ahead_s` seconds from the true time."""
    new = file.with_suffix(".new")
    new.write_text(f"{ahead_s:+d}\n")
    new.rename(file)
