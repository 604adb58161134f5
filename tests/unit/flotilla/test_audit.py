"""The audit as people read it: a name that nobody vouches for is marked."""

from datetime import UTC, datetime
from typing import Any

from flotilla.cli.commands.audit import audit_table
from flotilla.schemas.audit import AuditEntry, Caller
from flotilla.schemas.fault import FaultCode
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
