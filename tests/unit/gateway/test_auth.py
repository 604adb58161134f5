"""Roles, and whose request it is."""

import itertools
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flotilla.bus.tokens import TokenLine, read_lines, read_tokens, remove_token
from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.gateway.web import auth
from flotilla.services.gateway.web.auth import Ending, TokenFile, identify, permit
from tests.access import create_token


def now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> datetime:
        return self.at


def whose(file: Path, *headers: str) -> TokenRecord:
    return identify(TokenFile(file, now), headers)


@pytest.mark.parametrize(("has", "needs"), list(itertools.product(Role, Role)))
def test_a_role_may_do_what_the_ones_below_it_may(has: Role, needs: Role) -> None:
    order = ["observer", "viewer", "trader", "admin"]
    assert has.includes(needs) == (order.index(has) >= order.index(needs))


def test_a_good_token_says_whose_it_is(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    token = create_token(file, "me", Role.TRADER)
    (record,) = read_tokens(file)
    for header in (f"Bearer {token}", f"bearer  {token} ", f"BEARER {token}"):
        assert whose(file, header) == record


def test_a_new_token_of_the_same_name_replaces_the_old_one_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    other, old, new = (create_token(file, name, Role.VIEWER) for name in ("other", "me", "me"))
    tokens = TokenFile(file, now)
    assert tokens.find(old) is None
    assert [found.name for token in (other, new) if (found := tokens.find(token))] == ["other", "me"]


def test_the_role_decides(tmp_path: Path) -> None:
    create_token(tmp_path / "t", "me", Role.VIEWER)
    (record,) = read_tokens(tmp_path / "t")
    permit(record, Role.OBSERVER)
    permit(record, Role.VIEWER)
    with pytest.raises(FaultError) as caught:
        permit(record, Role.TRADER)
    assert caught.value.fault.code == FaultCode.FORBIDDEN


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        ("Basic x",),
        ("Bearer x",),
        ("x",),
        ("Bearer \udcff",),
        ("Bearer é",),
    ],
)
def test_without_a_good_token_nobody_is_let_in(tmp_path: Path, headers: Sequence[str]) -> None:
    create_token(tmp_path / "t", "me", Role.ADMIN)
    for file in (tmp_path / "t", tmp_path / "no-such-file"):
        with pytest.raises(FaultError) as caught:
            whose(file, *headers)
        assert caught.value.fault.code == FaultCode.UNAUTHENTICATED
        is_one = headers in (("Bearer x",), ("Bearer \udcff",), ("Bearer é",))
        assert ("not known" if is_one else "is needed") in caught.value.fault.message


def test_two_headers_let_nobody_in_though_both_be_good(tmp_path: Path) -> None:
    header = f"Bearer {create_token(tmp_path / 't', 'me', Role.ADMIN)}"
    for headers in ((header, header), (header, "Bearer x"), ("", header)):
        with pytest.raises(FaultError, match="2 Authorization headers") as caught:
            whose(tmp_path / "t", *headers)
        assert caught.value.fault.code == FaultCode.UNAUTHENTICATED


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Digest", "Bear", "Bearers", ""])
def test_a_good_token_of_another_scheme_lets_nobody_in(tmp_path: Path, scheme: str) -> None:
    token = create_token(tmp_path / "t", "me", Role.ADMIN)
    for header in (f"{scheme} {token}", token, f"{token} Bearer", f"Bearer{token}"):
        with pytest.raises(FaultError) as caught:
            whose(tmp_path / "t", header)
        assert caught.value.fault.code == FaultCode.UNAUTHENTICATED
        assert token not in caught.value.fault.message


def test_an_expired_token_lets_nobody_in_and_says_that_it_is_expired(tmp_path: Path) -> None:
    token = create_token(tmp_path / "t", "me", Role.ADMIN, lifetime=timedelta(minutes=1))
    clock = Clock()
    tokens = TokenFile(tmp_path / "t", clock)
    assert identify(tokens, [f"Bearer {token}"]).name == "me"
    clock.at += timedelta(minutes=1)
    with pytest.raises(FaultError, match=r"the token of me expired at 20\d\d-") as caught:
        identify(tokens, [f"Bearer {token}"])
    assert caught.value.fault.code == FaultCode.UNAUTHENTICATED


def test_a_token_that_is_no_longer_good_says_why(tmp_path: Path) -> None:
    file, clock = tmp_path / "t", Clock()
    tokens = TokenFile(file, clock)
    found = {}
    for name in ("kept", "removed", "replaced", "promoted", "expired"):
        lifetime = timedelta(hours=1) if name == "expired" else None
        found[name] = tokens.find(create_token(file, name, Role.VIEWER, lifetime=lifetime))
    assert [tokens.ending(one) for one in found.values() if one] == [None] * 5
    clock.at += timedelta(hours=2)
    remove_token(file, "removed")
    create_token(file, "replaced", Role.VIEWER)
    text = file.read_text().splitlines()
    file.write_text("\n".join(one.replace("viewer", "admin") if "promoted" in one else one for one in text))
    assert [tokens.ending(one) for one in found.values() if one] == [
        None,
        Ending.REMOVED,
        Ending.REPLACED,
        Ending.CHANGED,
        Ending.EXPIRED,
    ]


def test_a_file_that_cannot_be_read_lets_nobody_in_and_is_no_wrong_token(tmp_path: Path) -> None:
    file = tmp_path / "t"
    token = create_token(file, "me", Role.ADMIN)
    tokens = TokenFile(file, now)
    record = tokens.find(token)
    assert record is not None
    file.unlink()
    file.mkdir()
    with pytest.raises(FaultError) as caught:
        identify(tokens, [f"Bearer {token}"])
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    assert tokens.ending(record) == Ending.UNREADABLE
    file.rmdir()
    token = create_token(file, "me", Role.ADMIN)
    assert identify(tokens, [f"Bearer {token}"]).name == "me"


def test_a_line_that_cannot_be_read_admits_nobody_and_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "t"
    token = create_token(file, "me", Role.ADMIN)
    bad = [
        b"nonsense",
        b"\xff\xfe",
        b'{"name":"x","role":"god","sha256":"' + b"0" * 64 + b'"}',
        b'{"name":"x","role":"admin","sha256":""}',
        b'{"name":"x","role":"admin"}',
        b'{"name":"x","role":"admin","sha256":"' + b"0" * 64 + b'","expires_at":"2026-01-01T00:00:00"}',
        b"",
    ]
    file.write_bytes(b"\n".join([*bad, file.read_bytes()]))
    assert [record.name for record in read_tokens(file)] == ["me"]
    tokens = TokenFile(file, now)
    assert tokens.find(token) is not None
    assert tokens.find("") is None


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "t"
    tokens = TokenFile(file, now)
    assert tokens.find("x") is None
    token = create_token(file, "me", Role.ADMIN)
    assert tokens.find(token) is not None
    file.unlink()
    assert tokens.find(token) is None


def test_a_file_that_was_changed_in_any_way_is_read_again_and_another_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(path: Path) -> tuple[TokenLine, ...]:
        reads.append(path)
        return read_lines(path)

    monkeypatch.setattr(auth, "read_lines", counted)
    file, other = tmp_path / "t", tmp_path / "other"
    first, second, third = (
        create_token(tmp_path / name, "me", Role.ADMIN) for name in ("t", "other", "third")
    )
    os.utime(file, ns=(0, 0))
    tokens = TokenFile(file, now)
    assert [tokens.find(first) is not None, tokens.find(second) is not None] == [True, False]
    assert len(reads) == 1
    file.write_bytes(other.read_bytes())  # in place
    assert [tokens.find(first) is not None, tokens.find(second) is not None] == [False, True]
    os.utime(file, ns=(0, 0))
    assert tokens.find(second) is not None
    (tmp_path / "third").replace(file)  # of the same time, in its place
    os.utime(file, ns=(0, 0))
    assert [tokens.find(second) is not None, tokens.find(third) is not None] == [False, True]
    assert len(reads) == 4
