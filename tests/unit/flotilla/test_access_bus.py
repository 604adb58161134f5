"""`flotilla access add --bus`: the file that it writes, and what it refuses before anything is made."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from flotilla.bus.jwt import claims_of
from flotilla.bus.tokens import read_tokens
from flotilla.cli.main import cli
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.state.folder import StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def add(folder: StateFolder, *arguments: str) -> str:
    """What it printed. Raises FaultError."""
    argv = ["access", "add", *arguments, "--state", str(folder.root)]
    return str(CliRunner().invoke(cli, argv, catch_exceptions=False, standalone_mode=False).stdout)


def test_the_file_is_its_owners_and_ends_with_the_token(folder: StateFolder, tmp_path: Path) -> None:
    file = tmp_path / "feed.creds"
    token = add(folder, "feed", "--role", "observer", "--bus", str(file), "--expires", "1h").strip()
    (record,) = read_tokens(folder.digests_file)
    claims = claims_of(file.read_text().splitlines()[1])
    assert record.bus is not None
    assert record.expires_at is not None
    assert (claims["name"], claims["iss"]) == ("feed", record.bus.signing_key)
    assert claims["nats"]["issuer_account"] == record.bus.account
    assert claims["exp"] == int(record.expires_at.timestamp())
    assert file.stat().st_mode & 0o777 == 0o600
    assert token not in file.read_text()
    assert "SEED" not in folder.digests_file.read_text()


def test_without_an_end_it_is_good_until_it_is_taken_away(folder: StateFolder, tmp_path: Path) -> None:
    add(folder, "feed", "--role", "observer", "--bus", str(tmp_path / "f"))
    assert "exp" not in claims_of((tmp_path / "f").read_text().splitlines()[1])


def test_stdout_gets_it_behind_the_token(folder: StateFolder) -> None:
    token, creds = add(folder, "feed", "--role", "observer", "--bus", "-").split("\n", 1)
    assert len(token) == 43
    assert creds.startswith("-----BEGIN NATS USER JWT-----\n")
    shown = msgspec.json.decode(add(folder, "two", "--role", "observer", "--bus", "-", "--json"))
    assert shown["bus_credentials"].startswith("-----BEGIN NATS USER JWT-----\n")
    assert (shown["is_on_bus"], shown["bus_file"]) == (True, None)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--role", "viewer"), "--bus"),
        (("--role", "trader", "--label", "desk=a"), "--bus"),
        (("--role", "admin"), "--bus"),
        (("--role", "observer", "--label", "desk=a"), "--label"),
    ],
)
def test_what_the_bus_cannot_hold_anybody_to_is_refused_by_name(
    folder: StateFolder, tmp_path: Path, arguments: tuple[str, ...], field: str
) -> None:
    with pytest.raises(FaultError) as refused:
        add(folder, "feed", *arguments, "--bus", str(tmp_path / "feed.creds"))
    (error,) = refused.value.fault.errors
    assert (refused.value.fault.code, error.field) == (FaultCode.INVALID, field)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(folder: StateFolder, tmp_path: Path) -> None:
    file = tmp_path / "feed.creds"
    file.write_text("mine")
    with pytest.raises(FaultError):
        add(folder, "feed", "--role", "observer", "--bus", str(file))
    assert file.read_text() == "mine"
    assert read_tokens(folder.digests_file) == ()
    add(folder, "feed", "--role", "observer", "--bus", str(file), "--replace")
    assert "BEGIN NATS USER JWT" in file.read_text()


def test_a_name_that_is_taken_leaves_no_file(folder: StateFolder, tmp_path: Path) -> None:
    add(folder, "feed", "--role", "observer")
    with pytest.raises(FaultError) as refused:
        add(folder, "feed", "--role", "observer", "--bus", str(tmp_path / "feed.creds"))
    assert refused.value.fault.code == FaultCode.CONFLICT
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
