"""What people are told to type must work where they stand."""

from pathlib import Path

import pytest

from flotilla.cli.options import _typed

SCRIPT = Path("/home/ann/flotilla/.venv/bin/flotilla")


@pytest.mark.parametrize(
    ("on_path", "cwd", "told"),
    [
        (str(SCRIPT), "/home/ann", "flotilla"),
        (None, "/home/ann/flotilla", ".venv/bin/flotilla"),
        ("/usr/bin/flotilla", "/home/ann/flotilla", ".venv/bin/flotilla"),
        (None, "/tmp", str(SCRIPT)),
    ],
)
def test_commands_to_try_name_the_program_as_the_shell_finds_it(
    on_path: str | None, cwd: str, told: str
) -> None:
    assert _typed(SCRIPT, on_path, Path(cwd)) == told


def test_a_path_with_spaces_is_quoted() -> None:
    assert _typed(Path("/a b/flotilla"), None, Path("/tmp")) == "'/a b/flotilla'"
