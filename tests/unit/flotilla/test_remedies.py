"""What is advised fits what was asked for, and names only commands and options that there are."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from flotilla.cli.main import cli
from flotilla.client.pip import out_of_reach
from flotilla.schemas.fault import Fault, FaultCode, FieldError
from flotilla.services.orchestrator.engines.core.leases import Lease, held_text
from flotilla.show.remedies import Asked, asked_by, remedy_of

ROOT = Path(__file__).parents[3]
SPOKEN = ("flotilla", "services", "engine_sidecar", "bus", "schemas")


def remedy(code: FaultCode, command: str = "", name: str = "", **more: object) -> str:
    group, _, verb = command.partition(" ")
    options = frozenset(more.pop("options", ()))  # type: ignore[call-overload]
    problem = Fault(code=code, message="m", **more)  # type: ignore[arg-type]
    return remedy_of(problem, Asked(group=group, verb=verb or group, name=name, options=options))


@pytest.mark.parametrize(
    ("code", "command", "name", "said"),
    [
        (FaultCode.NOT_FOUND, "engine inspect", "e1", "`flotilla engine ls` lists the engines"),
        (FaultCode.NOT_FOUND, "backtest show", "b1", "`flotilla backtest ls` lists the backtests"),
        (FaultCode.NOT_FOUND, "study show", "s1", "`flotilla study ls` lists the studies"),
        (FaultCode.NOT_FOUND, "template show", "t1", "`flotilla template ls` lists the templates"),
        (FaultCode.NOT_FOUND, "secret rm", "x", "`flotilla secret ls` lists the secrets"),
        (
            FaultCode.NOT_FOUND,
            "strategy stop",
            "e1",
            "`flotilla engine ls` lists the engines, `flotilla strategy ls e1` the strategies of one",
        ),
        (FaultCode.NOT_FOUND, "data ls", "", ""),
        (FaultCode.CONFLICT, "engine start", "e1", "`flotilla engine inspect e1` shows its present state"),
        (FaultCode.CONFLICT, "engine stop", "", "`flotilla engine inspect ENGINE` shows its present state"),
        (FaultCode.CONFLICT, "backtest cancel", "b1", "`flotilla backtest show b1` shows its present state"),
        (FaultCode.CONFLICT, "backtest run", "b1", "`flotilla backtest ls` lists the backtests"),
        (FaultCode.CONFLICT, "study run", "s1", "`flotilla study ls` lists the studies"),
        (FaultCode.CONFLICT, "study cancel", "s1", "`flotilla study show s1` shows its present state"),
        (
            FaultCode.OUTCOME_UNKNOWN,
            "backtest run",
            "",
            "`flotilla backtest show ID` shows its present state",
        ),
        (FaultCode.CONFIRMATION_REQUIRED, "engine configure", "e1", ""),
        (FaultCode.BUSY, "engine start", "e1", "try again in a moment"),
        (FaultCode.INVALID, "engine start", "e1", ""),
        (FaultCode.FORBIDDEN, "engine start", "e1", ""),
    ],
)
def test_a_remedy_is_about_what_was_asked_for(code: FaultCode, command: str, name: str, said: str) -> None:
    assert remedy(code, command, name) == said


def test_a_start_that_needs_an_account_of_another_engine_leads_to_that_one() -> None:
    lease = Lease(venue="IB", account="U1", instance_id="other", session_id="s1")
    held = Fault(code=FaultCode.CONFLICT, message=held_text(lease, datetime(2026, 1, 1, tzinfo=UTC)))
    said = remedy_of(held, Asked(group="engine", verb="start", name="mine"))
    assert said == "`flotilla engine inspect other` shows its present state"


def test_a_package_in_use_is_taken_away_by_an_option_of_that_command_only() -> None:
    assert (
        remedy(FaultCode.CONFLICT, "package rm", "p@1", options=("--force",)) == "add --force if you mean it"
    )
    assert remedy(FaultCode.CONFLICT, "package push") == ""


def test_options_are_advised_to_commands_that_have_them() -> None:
    confirm = "--confirm-live-trading"
    said = remedy(FaultCode.CONFIRMATION_REQUIRED, "engine start", "e1", options=(confirm,))
    assert said == "add --confirm-live-trading if you mean it"
    asked = Fault(
        code=FaultCode.CONFIRMATION_REQUIRED, message="m", errors=(FieldError("yes", "must be given"),)
    )
    assert remedy_of(asked, Asked(options=frozenset({confirm, "--yes"}))).endswith("add --yes if you mean it")
    said = remedy(FaultCode.OUTCOME_UNKNOWN, "engine stop", "e1", options=("--request-id",))
    assert said.endswith("state; the same --request-id may be sent again safely")


def test_a_stack_that_answered_is_not_to_be_started() -> None:
    assert "flotilla up" in remedy(FaultCode.UNAVAILABLE, "engine ls")
    said = remedy(FaultCode.UNAVAILABLE, "engine ls", error_id="e", retry_after_s=1.5)
    assert said == "try again in 2 s; `flotilla doctor` says what is missing"
    assert (
        remedy(FaultCode.UNAVAILABLE, "engine ls", error_id="e") == "`flotilla doctor` says what is missing"
    )
    assert remedy(FaultCode.BUSY, "engine ls", retry_after_s=5.0) == "try again in 5 s"
    index_is_away = out_of_reach(["joblib"], "no route to host").fault
    assert remedy_of(index_is_away, Asked(group="package", verb="push")) == ""


@pytest.mark.parametrize(
    ("line", "group", "verb", "name"),
    [
        ("engine inspect e1", "engine", "inspect", "e1"),
        ("strategy stop e1 S-001", "strategy", "stop", "e1"),
        ("backtest show b1", "backtest", "show", "b1"),
        ("backtest compare b1 b2", "backtest", "compare", ""),
        ("doctor", "doctor", "doctor", ""),
    ],
)
def test_what_was_asked_is_read_off_the_command_line(line: str, group: str, verb: str, name: str) -> None:
    asked = asked_by(_context(line.split()))
    assert (asked.group, asked.verb, asked.name) == (group, verb, name)
    assert "--json" in asked.options


def test_of_no_command_nothing_is_known() -> None:
    assert asked_by(None) == Asked()


def _context(arguments: list[str]) -> click.Context:
    context, command = click.Context(cli, info_name="flotilla"), cli
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
        context = (
            click.Context(command, parent=context, info_name=name)
            if isinstance(command, click.Group)
            else command.make_context(name, arguments, parent=context)
        )
    return context


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, frozenset[str]]]:
    yield path, frozenset(option for each in command.params for option in each.opts) | {"--help"}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, f"{path} {name}")


COMMANDS = dict(_commands(cli, "flotilla"))
OPTIONS = frozenset().union(*COMMANDS.values())


def _sentences() -> Iterator[tuple[str, str]]:
    """Every text in the code that has a space, which an argument of a program has not; docstrings are not told to anybody."""
    for folder in SPOKEN:
        for file in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text())
            silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    silent |= {id(part) for part in node.values}
                    text = "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
                    )
                elif (
                    isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
                ):
                    text = node.value
                else:
                    continue
                if " " in text:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", text


SENTENCES = list(_sentences())


def test_every_option_that_a_text_names_exists() -> None:
    named = [
        (where, option)
        for where, text in SENTENCES
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
    ]
    assert len(named) > 60
    assert [(where, option) for where, option in named if option not in OPTIONS] == []


def test_every_command_that_a_text_names_exists_and_has_its_options() -> None:
    named = [(where, line) for where, text in SENTENCES for line in re.findall(r"`(flotilla [^`]*)`", text)]
    assert len(named) > 20
    wrong = []
    for where, line in named:
        words = line.split()
        path = next(
            (" ".join(words[:count]) for count in (3, 2) if " ".join(words[:count]) in COMMANDS), "flotilla"
        )
        options = [word for word in words if word.startswith("--")]
        if path == "flotilla" or not COMMANDS[path] >= set(options):
            wrong.append((where, line))
    assert wrong == []
