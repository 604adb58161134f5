"""How an entry of the audit is hashed: written out by hand."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flotilla.schemas.audit import AuditRow
from flotilla.schemas.audit_chain import NOTHING, moment_text, row_hash, row_text

TEXT = (
    "1:727:2026-01-31T14:25:01.000000Z2:r117:fleet.engine.stop2:e1-7:gateway4:ané8:10.0.0.54:rest"
    '6:{"a":18:conflict7:not now'
).encode()


def row(**changes: Any) -> AuditRow:
    given: dict[str, Any] = {
        "seq": 7,
        "at": "2026-01-31T14:25:01.000000Z",
        "request_id": "r1",
        "subject": "fleet.engine.stop",
        "about": "e1",
        "host": None,
        "credential": "gateway",
        "caller": "ané",
        "origin": "10.0.0.5",
        "via": "rest",
        "body": '{"a":1',
        "code": "conflict",
        "message": "not now",
        "prev": NOTHING,
        "hash": "",
    }
    return AuditRow(**(given | changes))


def test_every_field_is_hashed_with_its_length_in_bytes() -> None:
    assert row_text(row()) == TEXT
    assert row_hash(row(prev="ab" * 32)) == hashlib.sha256(b"\xab" * 32 + TEXT).hexdigest()


@pytest.mark.parametrize("name", [name for name in AuditRow.__struct_fields__ if name != "hash"])
def test_no_field_can_be_changed_unseen(name: str) -> None:
    other = {"seq": 8, "prev": "11" * 32}.get(name, "other")
    assert row_hash(row(**{name: other})) != row_hash(row())


def test_nothing_and_an_empty_text_are_two_things() -> None:
    assert len({row_hash(row(body=body)) for body in (None, "", "-")}) == 3


def test_no_text_can_pass_for_the_fields_beside_it() -> None:
    assert row_hash(row(origin="a", via="b")) != row_hash(row(origin="a1:b", via=""))


def test_a_moment_is_that_of_utc() -> None:
    at = datetime(2026, 1, 31, 15, 25, 1, 5, tzinfo=timezone(timedelta(hours=1)))
    assert moment_text(at) == moment_text(at.astimezone(UTC)) == "2026-01-31T14:25:01.000005Z"
