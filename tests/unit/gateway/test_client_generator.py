"""The OpenAPI document in the hands of a generator of Python clients that people use: it makes a client of all of it, without a warning."""

import json
import os
import subprocess
import sys
from pathlib import Path

from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.routes.table import ROUTES


def test_a_generator_makes_a_function_for_every_route_and_no_warning(tmp_path: Path) -> None:
    described, made = tmp_path / "openapi.json", tmp_path / "client"
    described.write_text(json.dumps(document(ROUTES, "1.2.3")))
    generator = str(Path(sys.executable).with_name("openapi-python-client"))
    done = subprocess.run(
        [
            generator,
            "generate",
            "--fail-on-warning",
            "--meta",
            "none",
            "--path",
            described,
            "--output-path",
            made,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        # It formats what it has made with ruff.
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    functions = [file for file in (made / "api").rglob("*.py") if file.name != "__init__.py"]
    assert len(functions) == len(ROUTES)
