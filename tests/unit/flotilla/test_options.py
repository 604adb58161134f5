"""What people are told to type must work where they stand."""

from pathlib import Path

import click
import pytest

from flotilla.cli.options import _typed, labels
from flotilla.schemas.fault import FaultError

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


@click.command()
@labels("Which.")
def show(labels: dict[str, str]) -> dict[str, str]:
    """Returns its labels."""
    return labels


def test_a_label_may_be_repeated() -> None:
    given = ["--label", "desk=rates", "--label", "zone=b"]
    assert show.main(given, standalone_mode=False) == {"desk": "rates", "zone": "b"}
    assert show.main([], standalone_mode=False) == {}


@pytest.mark.parametrize("given", [["desk"], ["Desk=a"], ["desk=a=b"], ["desk=a", "desk=b"], ["desk=a\n"]])
def test_what_is_no_label_is_refused_by_the_name_of_the_option(given: list[str]) -> None:
    with pytest.raises(FaultError) as caught:
        show.main([word for one in given for word in ("--label", one)], standalone_mode=False)
    assert [error.field for error in caught.value.fault.errors] == ["--label"]
