"""The audit as people read it: a name that nobody vouches for is marked."""

from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import pytest

from flotilla.cli.commands.audit import audit_table, read_heads
from flotilla.cli.main import AUDIT, cli
from flotilla.client.audit_chain import AuditVerdict, Break, BreakKind
from flotilla.schemas.audit import AuditEntry, AuditHead, AuditPruned, Caller
from flotilla.schemas.fault import FaultCode
from flotilla.show.audit_verdict import verdict_text
from tests.unit.flotilla.test_tables import drawn


def entry(**changes: Any) -> AuditEntry:
    given: dict[str, Any] = {
        "number": 7,
        "at": datetime(2026, 1, 31, 14, 25, tzinfo=UTC),
        "request_id": "r1",
        "subject": "fleet.engine.stop",
        "about": "e1",
        "caller": Caller(credential="gateway", name="ann", origin="10.0.0.5", via="rest"),
    }
    return AuditEntry(**(given | changes))


def test_who_asked_for_what_and_what_came_of_it_stand_in_a_row() -> None:
    claimed = Caller(credential="operator", name="root", origin="desk", via="cli")
    text = drawn(
        audit_table(
            (
                entry(code=FaultCode.CONFLICT),
                entry(number=6, caller=claimed, subject="engine.emergency_stop", host="h1", about="all"),
            )
        )
    )
    first, second = text.splitlines()[1:3]
    assert first.split()[0] == "7"
    for word in ("ann", "10.0.0.5", "engine.stop", "e1", "conflict"):
        assert word in first
    assert "ann?" not in first
    for word in ("root?", "desk", "all", "accepted"):
        assert word in second


def test_an_emergency_stop_that_was_not_confirmed_is_not_told_as_done() -> None:
    came_to = "0 of 1 sessions flat and gone; NOT CONFIRMED e1: killed"
    text = drawn(
        audit_table((entry(subject="engine.emergency_stop", host="h1", message=came_to),)), width=200
    )
    assert came_to in " ".join(text.split())
    assert "accepted" not in text
    assert "done" not in text


def test_nothing_is_said_of_an_empty_audit() -> None:
    assert drawn(audit_table(())) == "nothing was asked for"


# -- the commands


def said_to(*arguments: str) -> str:
    """Which command of the group takes these arguments."""
    context = click.Context(cli, help_option_names=["-h", "--help"])
    made = AUDIT.make_context("audit", list(arguments), parent=context)
    name, _, _ = AUDIT.resolve_command(made, [*made._protected_args, *made.args])
    assert name is not None
    return name


def test_without_a_command_the_audit_is_listed() -> None:
    for arguments in ((), ("e1",), ("-n", "5"), ("--json", "e1"), ("--before", "7", "all"), ("ls", "e1")):
        assert said_to(*arguments) == "ls"
    assert said_to("verify", "--json") == "verify"
    assert said_to("export") == "export"
    # As with every other group: its options stand before its name or after the command's.
    with pytest.raises(click.UsageError, match="--json"):
        said_to("--json", "verify")


def test_a_head_is_a_number_and_a_hash() -> None:
    context, option = click.Context(cli), click.Option(["--head"])
    kept = AuditHead(seq=7, hash="ab" * 32)
    assert read_heads(context, option, (f"7:{'ab' * 32}",)) == (kept,)
    for wrong in ("7", f"7:{'AB' * 32}", f"-7:{'ab' * 32}", f"7:{'ab' * 31}", f"7:{'ab' * 32}\n"):
        with pytest.raises(click.BadParameter, match="must be a number"):
            read_heads(context, option, (wrong,))


WHOLE = AuditVerdict(
    is_whole=True,
    entries=5,
    head=AuditHead(seq=9, hash="ab" * 32),
    pruned=AuditPruned(seq=4, hash="cd" * 32, at=datetime(2026, 1, 31, tzinfo=UTC), rule="older than then"),
    compared=3,
    last_known=8,
    problem=None,
    unprotected="",
)


def test_what_came_of_verifying_is_said_in_words() -> None:
    text = str(verdict_text(WHOLE))
    assert text.startswith("5 entries are what was recorded\n")
    assert f"head 9:{'ab' * 32}\n" in text
    assert "entries 1 to 4 were deleted because of their age" in text
    assert "compared with 3 heads kept elsewhere, the last of entry 8" in text
    assert "connects" not in text


def test_a_break_is_said_first_and_what_cannot_be_seen_is_said_too() -> None:
    problem = Break(kind=BreakKind.MISSING, seq=5, text="entries 5 to 6 are missing")
    verdict = msgspec.structs.replace(
        WHOLE, is_whole=False, problem=problem, compared=0, unprotected="as a superuser"
    )
    text = str(verdict_text(verdict))
    assert text.startswith("missing: entries 5 to 6 are missing\nthe audit is not what was recorded\n")
    assert "are what was recorded" not in text
    assert "its end was cut would not be seen" in text
    assert "the orchestrator connects as a superuser" in text
