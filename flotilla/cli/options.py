"""What every command takes: --state, --json and --request-id, before the command's name or after it; and --label, where it goes."""

import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from flotilla.schemas.environment import NATS_URL
from flotilla.schemas.labels import read_labels
from flotilla.show.output import Output
from flotilla.state.folder import StateFolder

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Options:
    """The options that were given, wherever they stood, and the command that they were given to."""

    state: Path | None = None
    is_json: bool = False
    request_id: str | None = None
    context: click.Context | None = None

    @property
    def folder(self) -> StateFolder:
        """The state folder meant."""
        return StateFolder.chosen(self.state)

    @property
    def is_of_environment(self) -> bool:
        """True where the fleet is the one that FLOTILLA_NATS_URL names, whose catalog no state folder of this machine is."""
        return self.state is None and NATS_URL.given() is not None

    @property
    def program(self) -> str:
        """What to type for this program, so that it means the same stack."""
        typed = _typed(Path(sys.executable).parent / "flotilla", shutil.which("flotilla"), Path.cwd())
        return f"{typed} --state {shlex.quote(str(self.state))}" if self.state else typed

    @property
    def output(self) -> Output:
        """Where results go."""
        return Output(is_json=self.is_json)


def _typed(script: Path, on_path: str | None, cwd: Path) -> str:
    """How a shell in `cwd` finds our script: by name where it is on PATH, else by its path."""
    if on_path is not None and Path(on_path) == script:
        return "flotilla"
    return shlex.quote(str(script.relative_to(cwd) if script.is_relative_to(cwd) else script))


pass_options = click.make_pass_decorator(Options, ensure=True)


def common(command: F) -> F:
    """Adds --state and --json to a command."""
    state = click.option(
        "--state",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="State folder of the stack.",
        expose_value=False,
        callback=_keep,
    )
    is_json = click.option(
        "--json", "is_json", is_flag=True, help="Print JSON for programs.", expose_value=False, callback=_keep
    )
    return state(is_json(command))


def request_id(command: F) -> F:
    """Adds --request-id to a command that changes something."""
    option = click.option(
        "--request-id",
        metavar="ID",
        help="The same id twice has one effect and the same answer.",
        expose_value=False,
        callback=_keep,
    )
    return option(command)


def labels(meaning: str) -> Callable[[F], F]:
    """Adds --label to a command, which gets `labels`. A label that is none is refused before anybody is asked."""
    return click.option(
        "--label", "labels", multiple=True, metavar="KEY=VALUE", callback=_read_labels, help=meaning
    )


def _read_labels(_: click.Context, __: click.Parameter, given: Iterable[str]) -> dict[str, str]:
    return read_labels(given, "--label")


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    options = context.ensure_object(Options)
    options.context = context
    if value and parameter.name:
        setattr(options, parameter.name, value)
