"""docs/cli.md says what the code does."""

import re
from pathlib import Path

import click

from flotilla.cli import GROUPS, cli
from flotilla.exits import MEANING

PAGE = (Path(__file__).parents[3] / "docs/cli.md").read_text()


def test_the_page_lists_the_exit_codes_as_they_are() -> None:
    listed = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert listed == [(str(code.value), meaning) for code, meaning in MEANING.items()]


def test_the_page_names_every_command() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        assert f"`flotilla {name}" in PAGE
    for name, group in GROUPS.items():
        rows = "\n".join(line for line in PAGE.splitlines() if f"`flotilla {name} " in line)
        for command in group.list_commands(context):
            assert re.search(rf"\b{command}\b", rows), f"{name} {command}"


def test_every_command_loads_and_explains_itself() -> None:
    context = click.Context(cli)
    for path, group in {"": cli, **GROUPS}.items():
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None, (path, name)
            assert command.help, (path, name)
            assert command.get_help(click.Context(command, info_name=name))
