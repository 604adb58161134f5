"""docs/cli.md says what the code does."""

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import click
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from flotilla.cli.main import GROUPS, cli
from flotilla.state.exits import MEANING

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cli.md").read_text()


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


def test_what_a_first_run_downloads_and_takes_is_said_as_it_is() -> None:
    said = re.search(
        r"\(([\d.]+) GB are packages, about (\d+) MB to download\)", (ROOT / "README.md").read_text()
    )
    assert said
    takes, downloads = said.groups()
    setup = (ROOT / "scripts/setup").read_text()
    assert f"(about {downloads} MB to download, {takes} GB on disk)" in setup
    assert abs(int(downloads) / megabytes_of_wheels() - 1) < 0.1


def megabytes_of_wheels() -> float:
    """Of the packages that are installed here, as uv.lock has them for this machine."""
    fits = {tag: rank for rank, tag in enumerate(sys_tags())}
    installed = {canonicalize_name(one.metadata["Name"]) for one in importlib.metadata.distributions()}

    def size(package: dict[str, Any]) -> int:
        ranked = []
        for wheel in package.get("wheels", []):
            tags = parse_wheel_filename(wheel["url"].rsplit("/", 1)[-1])[3]
            ranked += [(fits[tag], wheel["size"]) for tag in tags if tag in fits]
        return min(ranked)[1] if ranked else package.get("sdist", {}).get("size", 0)

    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return sum(size(one) for one in locked if one["name"] in installed) / 1e6
