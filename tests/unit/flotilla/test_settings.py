"""Where a client finds its stack."""

from pathlib import Path

import msgspec
import pytest

from flotilla.client.client import bus_settings
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.state.folder import StateFolder
from flotilla.state.lock import StackLock
from flotilla.state.settings import Connection, find_connection


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.create()
    return made


def test_the_environment_says_where_the_bus_is() -> None:
    env = {"FLOTILLA_NATS_URL": "tls://10.0.0.1:4222", "FLOTILLA_NATS_CREDS": "/keys/me.creds"}
    found = find_connection(None, env)
    assert (found.nats_url, found.nats_creds) == ("tls://10.0.0.1:4222", "/keys/me.creds")


def test_a_folder_that_is_named_counts_more_than_the_environment(folder: StateFolder) -> None:
    with pytest.raises(FaultError, match="no stack runs"):
        find_connection(folder.root, {"FLOTILLA_NATS_URL": "tls://10.0.0.1:4222"})


def test_a_running_stack_is_found_by_its_folder(folder: StateFolder) -> None:
    lock = StackLock.acquire(folder, on_wait=lambda: None)
    saved = Connection(
        nats_url="nats://127.0.0.1:4", nats_creds="x", http_url="http://h", runtime="process", pid=7
    )
    saved.save(folder.connection_file)
    assert find_connection(folder.root, {}) == saved
    assert folder.connection_file.stat().st_mode & 0o777 == 0o600
    lock.release()


def test_the_file_of_a_stack_that_was_killed_is_not_believed(folder: StateFolder) -> None:
    Connection(nats_url="nats://127.0.0.1:4", nats_creds="x").save(folder.connection_file)
    with pytest.raises(FaultError, match="no stack runs"):
        find_connection(folder.root, {})


def test_a_stack_that_is_starting_is_not_ready(folder: StateFolder) -> None:
    lock = StackLock.acquire(folder, on_wait=lambda: None)
    with pytest.raises(FaultError, match="not ready yet"):
        find_connection(folder.root, {})
    lock.release()


def test_a_broken_connection_file_is_unavailable_and_no_crash(folder: StateFolder) -> None:
    lock = StackLock.acquire(folder, on_wait=lambda: None)
    folder.connection_file.write_text('{"nats_url": 4')
    with pytest.raises(FaultError, match="cannot be reached") as caught:
        find_connection(folder.root, {})
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    lock.release()


def test_credentials_that_cannot_be_read_are_unavailable(tmp_path: Path) -> None:
    connection = Connection(nats_url="nats://h", nats_creds=str(tmp_path / "none.creds"))
    with pytest.raises(FaultError, match="no credentials"):
        bus_settings(connection)


def test_the_connection_file_holds_no_secret(folder: StateFolder) -> None:
    names = {field.name for field in msgspec.structs.fields(Connection)}
    assert names == {
        "nats_url",
        "nats_creds",
        "nats_ca",
        "http_url",
        "token_file",
        "catalog",
        "runtime",
        "pid",
    }


@pytest.mark.parametrize(
    ("uid", "env", "expected"),
    [
        (1000, {}, "/home/me/.local/state/flotilla"),
        (1000, {"XDG_STATE_HOME": "/home/me/state"}, "/home/me/state/flotilla"),
        (0, {}, "/var/lib/flotilla"),
        (0, {"FLOTILLA_STATE": "/srv/fleet"}, "/srv/fleet"),
    ],
)
def test_the_usual_state_folder(
    monkeypatch: pytest.MonkeyPatch, uid: int, env: dict[str, str], expected: str
) -> None:
    for name in ("FLOTILLA_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert StateFolder.chosen().root == Path(expected)
    assert StateFolder.chosen("/elsewhere").root == Path("/elsewhere")


@pytest.mark.parametrize("address", ["10.0.0.1", "bus.example", "::ffff:10.0.0.1"])
def test_a_bus_of_another_machine_is_not_spoken_to_in_plain_text(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    env = {"FLOTILLA_NATS_URL": f"nats://{host}:4222"}
    with pytest.raises(ValueError, match=r"FLOTILLA_NATS_URL .* tls://, or set FLOTILLA_NATS_PLAIN=1"):
        find_connection(None, env)
    assert find_connection(None, env | {"FLOTILLA_NATS_PLAIN": "1"}).nats_url == env["FLOTILLA_NATS_URL"]
    secured = find_connection(
        None, {"FLOTILLA_NATS_URL": "tls://10.0.0.1:4222", "FLOTILLA_NATS_CA": "/ca.pem"}
    )
    assert secured.nats_ca == "/ca.pem"


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_a_bus_of_this_machine_is(address: str) -> None:
    assert find_connection(None, {"FLOTILLA_NATS_URL": f"nats://{address}:1"}).nats_url.endswith(":1")
