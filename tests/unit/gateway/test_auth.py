"""Roles and tokens."""

import itertools
import os
from pathlib import Path

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.gateway.web import auth
from flotilla.services.gateway.web.auth import Role, TokenFile, TokenRecord, authorise, digest, read_tokens
from flotilla.services.gateway.web.tokens import create_token, main


@pytest.mark.parametrize(("has", "needs"), list(itertools.product(Role, Role)))
def test_a_role_may_do_what_the_ones_below_it_may(has: Role, needs: Role) -> None:
    may = {
        ("viewer", "viewer"),
        ("trader", "viewer"),
        ("trader", "trader"),
        ("admin", "viewer"),
        ("admin", "trader"),
        ("admin", "admin"),
    }
    assert has.includes(needs) == ((has, needs) in may)


def test_a_token_is_kept_as_a_digest_in_a_file_of_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tokens.jsonl"
    token = create_token(file, "me", Role.TRADER)
    (record,) = read_tokens(file)
    assert (record.name, record.role, record.sha256) == ("me", Role.TRADER, digest(token))
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert authorise(TokenFile(file), f"Bearer {token}", Role.TRADER) == record
    assert authorise(TokenFile(file), f"bearer  {token} ", Role.VIEWER) == record


def test_a_new_token_of_the_same_name_replaces_the_old_one_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    other, old, new = (create_token(file, name, Role.VIEWER) for name in ("other", "me", "me"))
    tokens = TokenFile(file)
    assert tokens.find(old) is None
    assert [found.name for token in (other, new) if (found := tokens.find(token))] == ["other", "me"]


def test_the_role_decides(tmp_path: Path) -> None:
    token = create_token(tmp_path / "t", "me", Role.VIEWER)
    with pytest.raises(FaultError) as caught:
        authorise(TokenFile(tmp_path / "t"), f"Bearer {token}", Role.TRADER)
    assert caught.value.fault.code == FaultCode.FORBIDDEN


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic x", "Bearer x", "x", "Bearer \udcff"]
)
def test_without_a_good_token_nobody_is_let_in(tmp_path: Path, header: str | None) -> None:
    create_token(tmp_path / "t", "me", Role.ADMIN)
    for file in (tmp_path / "t", tmp_path / "no-such-file"):
        with pytest.raises(FaultError) as caught:
            authorise(TokenFile(file), header, Role.VIEWER)
        assert caught.value.fault.code == FaultCode.UNAUTHENTICATED
        is_one = header in ("Bearer x", "Bearer \udcff")
        assert ("not known" if is_one else "is needed") in caught.value.fault.message


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Digest", "Bear", "Bearers", ""])
def test_a_good_token_of_another_scheme_lets_nobody_in(tmp_path: Path, scheme: str) -> None:
    token = create_token(tmp_path / "t", "me", Role.ADMIN)
    assert authorise(TokenFile(tmp_path / "t"), f"BEARER {token}", Role.ADMIN).name == "me"
    for header in (f"{scheme} {token}", token, f"{token} Bearer", f"Bearer{token}"):
        with pytest.raises(FaultError) as caught:
            authorise(TokenFile(tmp_path / "t"), header, Role.VIEWER)
        assert caught.value.fault.code == FaultCode.UNAUTHENTICATED
        assert token not in caught.value.fault.message


def test_a_line_that_cannot_be_read_admits_nobody_and_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "t"
    token = create_token(file, "me", Role.ADMIN)
    bad = [
        b"nonsense",
        b"\xff\xfe",
        b'{"name":"x","role":"god","sha256":"' + b"0" * 64 + b'"}',
        b'{"name":"x","role":"admin","sha256":""}',
        b'{"name":"x","role":"admin"}',
        b"",
    ]
    file.write_bytes(b"\n".join([*bad, file.read_bytes()]))
    assert [record.name for record in read_tokens(file)] == ["me"]
    tokens = TokenFile(file)
    assert tokens.find(token) is not None
    assert tokens.find("") is None


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "t"
    tokens = TokenFile(file)
    assert tokens.find("x") is None
    token = create_token(file, "me", Role.ADMIN)
    assert tokens.find(token) is not None
    file.unlink()
    assert tokens.find(token) is None


def test_a_file_that_was_changed_in_any_way_is_read_again_and_another_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(path: Path) -> tuple[TokenRecord, ...]:
        reads.append(path)
        return read_tokens(path)

    monkeypatch.setattr(auth, "read_tokens", counted)
    file, other = tmp_path / "t", tmp_path / "other"
    first, second, third = (
        create_token(tmp_path / name, "me", Role.ADMIN) for name in ("t", "other", "third")
    )
    os.utime(file, ns=(0, 0))
    tokens = TokenFile(file)
    assert [tokens.find(first) is not None, tokens.find(second) is not None] == [True, False]
    assert len(reads) == 1
    file.write_bytes(other.read_bytes())  # of the same size, in place
    assert [tokens.find(first) is not None, tokens.find(second) is not None] == [False, True]
    os.utime(file, ns=(0, 0))
    assert tokens.find(second) is not None
    (tmp_path / "third").replace(file)  # of the same size and time, in its place
    os.utime(file, ns=(0, 0))
    assert [tokens.find(second) is not None, tokens.find(third) is not None] == [False, True]
    assert len(reads) == 4


@pytest.mark.parametrize("argv", [[], ["f"], ["f", "me", "god"], ["f", "me", "admin", "more"]])
def test_the_command_line_says_how_it_is_used(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "../x", "a b", "A", "a\n", "a" * 64])
def test_a_name_that_is_none_makes_no_token(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "t"), name, "admin"]) == 1
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "t").exists()
