"""Who lets an engine trade money again is asked, and a script has to say so."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from flotilla.cli.commands import brakes
from flotilla.schemas.fault import FaultCode, FaultError


def resume(monkeypatch: pytest.MonkeyPatch, *arguments: str, is_live: bool) -> tuple[list[str], Any]:
    """Runs the command; what it resumed, and what it raised. Its input is no terminal."""
    resumed: list[str] = []
    monkeypatch.setattr(brakes, "_trades_money", lambda _options, _name: is_live)
    monkeypatch.setattr(brakes, "_resume", lambda _options, name: resumed.append(name))
    return resumed, CliRunner().invoke(brakes.resume, ["e1", *arguments]).exception


def test_an_engine_that_trades_money_is_not_resumed_by_a_script_that_does_not_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resumed, raised = resume(monkeypatch, is_live=True)
    assert isinstance(raised, FaultError)
    assert raised.fault.code is FaultCode.CONFIRMATION_REQUIRED
    assert raised.fault.errors[0].field == "--yes"
    assert resumed == []


@pytest.mark.parametrize(("arguments", "is_live"), [(("--yes",), True), ((), False)])
def test_it_is_resumed_when_that_was_said_or_no_money_is_at_stake(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], *, is_live: bool
) -> None:
    assert resume(monkeypatch, *arguments, is_live=is_live) == (["e1"], None)


def test_on_a_terminal_it_asks_and_no_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        brakes, "sys", type("Terminal", (), {"stdin": type("In", (), {"isatty": lambda: True})})
    )
    asked: list[str] = []

    def confirm(text: str, **_: object) -> None:
        asked.append(text)
        raise click.Abort

    monkeypatch.setattr(click, "confirm", confirm)
    resumed, raised = resume(monkeypatch, is_live=True)
    assert asked == ["Let e1, which trades money, trade on?"]
    assert isinstance(raised, SystemExit)
    assert resumed == []
