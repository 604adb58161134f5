"""`python -m tests.e2e.first_start FOLDER`: makes what the first start of a stack takes five seconds of CPU for, the sample data
and an empty record. The stacks of the tests are given copies; `make demo` and tests/integration/test_stack.py show first starts.
"""

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from flotilla.show.progress import JsonNarrator
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.stack.services import bring_up_record
from flotilla.stack.stack import ensure_sample_data
from flotilla.state.folder import StateFolder

ROOT = Path(__file__).parents[2]


def give(folder: StateFolder) -> None:
    """Copies it into a state folder that has not been started on."""
    if not (folder.postgres / "data").exists():
        made = _made()
        parts = [made.catalog, made.postgres]
        subprocess.run(["cp", "--archive", *map(str, parts), str(folder.root)], check=True)


@cache
def _made() -> StateFolder:
    """Once for the tests of this process, and away with it. Made by another: a server must be started by a main thread."""
    root = Path(tempfile.mkdtemp(prefix="flotilla-first-start-"))
    atexit.register(shutil.rmtree, root)
    subprocess.run([sys.executable, "-m", "tests.e2e.first_start", str(root)], cwd=ROOT, check=True)
    return StateFolder(root)


async def _make(folder: StateFolder) -> None:
    folder.create()
    fd = os.open(os.devnull, os.O_RDONLY)
    await ensure_sample_data(folder, fd, JsonNarrator())
    server = PostgresServer(folder.postgres)
    server.start()
    await bring_up_record(server.dsn)
    server.stop()


if __name__ == "__main__":
    asyncio.run(_make(StateFolder(Path(sys.argv[1]))))
