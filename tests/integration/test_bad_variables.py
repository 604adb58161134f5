"""A variable that cannot be used ends each service with 78 and one line that names it, before it reaches for anything."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("program", "variable"),
    [
        ("orchestrator", "FLOTILLA_LOG_LEVEL"),
        ("orchestrator", "FLOTILLA_NATS_URL"),
        ("supervisor", "FLOTILLA_RUNTIME"),
        ("supervisor.prepare", "FLOTILLA_NETWORK_SUBNET"),
        ("gateway", "FLOTILLA_HTTP_PORT"),
    ],
)
def test_it_is_named_in_one_line(program: str, variable: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"flotilla.services.{program}"],
        env=os.environ | {variable: "what?"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = ended.stderr.splitlines()
    assert (ended.returncode, len(said)) == (78, 1), ended.stderr
    assert said[0].startswith(f"{program.partition('.')[0]}: {variable} ")
