"""The file of tokens: made, replaced, removed, and never with a token in it."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flotilla.bus.tokens import add_token, digest, read_lines, read_tokens, remove_token
from flotilla.schemas.access import Role, TokenRecord, read_lifetime
from flotilla.schemas.fault import FaultCode, FaultError

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OLD = b'{"name":"old","role":"admin","sha256":"' + b"0" * 64 + b'"}'


def test_a_token_is_kept_as_a_digest_in_a_file_of_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tokens.jsonl"
    token, record = add_token(
        file, "desk-a", Role.TRADER, now=NOW, labels={"desk": "a"}, lifetime=timedelta(days=30)
    )
    assert read_tokens(file) == (record,)
    assert record == TokenRecord(
        name="desk-a",
        role=Role.TRADER,
        sha256=digest(token),
        labels={"desk": "a"},
        created_at=NOW,
        expires_at=NOW + timedelta(days=30),
    )
    assert len(token) >= 43
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_name_that_has_a_token_gets_another_only_when_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "t"
    add_token(file, "other", Role.VIEWER, now=NOW)
    add_token(file, "me", Role.VIEWER, now=NOW)
    before = file.read_bytes()
    with pytest.raises(FaultError, match="me has a token already") as caught:
        add_token(file, "me", Role.ADMIN, now=NOW)
    assert caught.value.fault.code == FaultCode.CONFLICT
    assert file.read_bytes() == before
    token, _ = add_token(file, "me", Role.TRADER, now=NOW, replace=True)
    assert [(one.name, one.role) for one in read_tokens(file)] == [("other", "viewer"), ("me", "trader")]
    assert read_tokens(file)[1].sha256 == digest(token)


@pytest.mark.parametrize("name", ["", "../x", "a b", "A", "a\n", "a" * 64])
def test_a_name_that_is_none_makes_no_token(tmp_path: Path, name: str) -> None:
    for attempt in (
        lambda: add_token(tmp_path / "t", name, Role.VIEWER, now=NOW),
        lambda: remove_token(tmp_path / "t", name),
    ):
        with pytest.raises(FaultError) as caught:
            attempt()
        assert caught.value.fault.code == FaultCode.INVALID
        assert [one.field for one in caught.value.fault.errors] == ["name"]
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_none_and_times_that_are_past_make_no_token(tmp_path: Path) -> None:
    with pytest.raises(FaultError) as caught:
        add_token(tmp_path / "t", "me", Role.VIEWER, now=NOW, labels={"Desk": "a"})
    assert caught.value.fault.errors[0].field.startswith("labels")
    with pytest.raises(FaultError) as caught:
        add_token(tmp_path / "t", "me", Role.VIEWER, now=NOW, lifetime=timedelta())
    assert caught.value.fault.errors[0].field == "expires"
    assert list(tmp_path.iterdir()) == []


def test_a_removed_token_is_gone_and_all_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "t"
    for name in ("a", "b", "c"):
        add_token(file, name, Role.VIEWER, now=NOW)
    assert remove_token(file, "b").name == "b"
    assert [one.name for one in read_tokens(file)] == ["a", "c"]
    for path in (file, tmp_path / "no" / "t"):
        with pytest.raises(FaultError, match="b has no token") as caught:
            remove_token(path, "b")
        assert caught.value.fault.code == FaultCode.NOT_FOUND
    assert not (tmp_path / "no").exists()


def test_tokens_of_before_are_read_and_what_cannot_be_read_stays_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "t"
    bad = b'{"name":"x","role":"god","sha256":"' + b"0" * 64 + b'"}'
    file.write_bytes(b"\n".join([OLD, b"nonsense", b"", bad]))
    (old,) = read_tokens(file)
    assert (old.name, old.role, old.labels, old.created_at, old.expires_at) == (
        "old",
        "admin",
        {},
        None,
        None,
    )
    assert [(line.number, line.record is None) for line in read_lines(file)] == [
        (1, False),
        (2, True),
        (4, True),
    ]
    add_token(file, "me", Role.VIEWER, now=NOW)
    remove_token(file, "old")
    assert file.read_bytes().splitlines()[:2] == [b"nonsense", bad]
    assert [one.name for one in read_tokens(file)] == ["me"]


def test_two_who_make_tokens_at_the_same_time_lose_none(tmp_path: Path) -> None:
    file = tmp_path / "t"
    threads = [
        threading.Thread(target=add_token, args=(file, f"t{number}", Role.VIEWER), kwargs={"now": NOW})
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.name for one in read_tokens(file)} == {f"t{number}" for number in range(16)}


def test_a_token_expires_at_its_moment(tmp_path: Path) -> None:
    _, record = add_token(tmp_path / "t", "me", Role.VIEWER, now=NOW, lifetime=timedelta(seconds=10))
    almost = NOW + timedelta(seconds=9.999)
    assert [record.is_expired(at) for at in (NOW, almost, NOW + timedelta(seconds=10))] == [
        False,
        False,
        True,
    ]
    never = msgspec.structs.replace(record, expires_at=None)
    assert not never.is_expired(NOW + timedelta(days=100_000))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600), ("3650d", 315_360_000)],
)
def test_a_lifetime_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert read_lifetime(text, "--expires").total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "0d", "30", "d", "-1d", "1.5d", "30 d", "30D", "3651d", "99999w", "1d\n", "٣d", "1y" * 100]
)
def test_what_is_no_lifetime_is_refused_by_the_options_name(text: str) -> None:
    with pytest.raises(FaultError) as caught:
        read_lifetime(text, "--expires")
    assert [one.field for one in caught.value.fault.errors] == ["--expires"]
    assert len(str(caught.value)) < 300
