"""Programs that serve no HTTP start without aiohttp; a user's program that imports the client keeps it."""

import subprocess
import sys

import pytest

PROGRAMS = ("services.supervisor.__main__", "services.orchestrator.__main__")


def told_by(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_serves_no_http_does_not_load_it(program: str) -> None:
    code = f"import sys, flotilla.{program}; print('aiohttp.client' in sys.modules, 'nats' in sys.modules)"
    assert told_by(code) == "False True"


def test_beside_the_client_websockets_of_nats_py_work() -> None:
    code = "import flotilla.client.client, nats.aio.transport as t, aiohttp; print(t.aiohttp is aiohttp)"
    assert told_by(code) == "True"
