"""What `flotilla doctor` finds."""

import re
import socket
from importlib import metadata
from pathlib import Path

import pytest

from flotilla.cli.commands.doctor import docker_checks
from flotilla.schemas.secrets import SecretBinding
from flotilla.stack import checks
from flotilla.stack.checks import Check, KernelAnswer, Level
from flotilla.stack.runtime import DockerAnswer
from flotilla.stack.servers.ports import Ports
from flotilla.state.errors import StackError
from flotilla.state.folder import StateFolder
from flotilla.state.secret_places import secret_store


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def test_this_machine_can_run_the_stack(folder: StateFolder) -> None:
    for check in (checks.check_python(), checks.check_engine_package(), checks.check_nats()):
        assert check.level == Level.OK, check


def test_no_nats_server_is_a_failure_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_SERVER", "/nowhere/nats-server")
    check = checks.check_nats()
    assert check.level == Level.FAIL
    assert "NATS_SERVER" in check.remedy


def test_a_full_disk_is_a_failure(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert checks.check_disk(folder).level == Level.FAIL


def test_data_that_engines_in_containers_cannot_read_is_found(folder: StateFolder) -> None:
    folder.create()
    assert checks.check_catalog(folder).level == Level.OK
    data = folder.catalog / "data/bar"
    data.mkdir(parents=True)
    data.chmod(0o700)
    check = checks.check_catalog(folder)
    assert (check.level, check.remedy) == (Level.WARN, f"chmod -R a+rX {folder.catalog}")
    assert str(data) in check.found
    data.chmod(0o704)  # what is in it can be named, and not opened
    assert checks.check_catalog(folder).level == Level.WARN
    data.chmod(0o755)
    assert checks.check_catalog(folder).level == Level.OK
    (data / "gone.parquet").symlink_to(folder.root / "nothing")
    check = checks.check_catalog(folder)
    assert (check.level, "gone.parquet" in check.found) == (Level.WARN, True)
    assert "`flotilla data ls`" in check.remedy  # nothing in the catalog's own folder would mend it


def test_what_has_to_be_mended_is_told_at_once_before_anything_is_made(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 40 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setenv("NATS_SERVER", "/nowhere/nats-server")
    with pytest.raises(StackError) as caught:
        checks.require_all(folder, 0)
    assert re.search(r"nats-server: .*/nowhere/nats-server.*; disk: 0.0 GiB free", str(caught.value))
    assert re.search(r"set NATS_SERVER; make room, or choose another folder", caught.value.remedy)
    assert not folder.root.exists()


def test_a_port_that_is_taken_is_found(folder: StateFolder) -> None:
    folder.create()
    with socket.socket() as taken, socket.socket() as bus:
        for server in (taken, bus):
            server.bind(("127.0.0.1", 0))
            server.listen()
        check = checks.check_ports(folder, taken.getsockname()[1])
        assert (check.level, check.remedy) == (Level.FAIL, "choose another with `flotilla up --port`")
        Ports(nats=bus.getsockname()[1]).save(folder.ports_file)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert checks.check_ports(folder, port).level == Level.WARN


def test_packages_of_the_services_that_are_missing_are_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert checks.check_services_packages().level == Level.OK
    there = metadata.distribution

    def without_two(name: str) -> metadata.Distribution:
        if name in {"asyncpg", "redis"}:
            raise metadata.PackageNotFoundError(name)
        return there(name)

    monkeypatch.setattr(metadata, "distribution", without_two)
    check = checks.check_services_packages()
    assert (check.level, check.found) == (Level.FAIL, "not installed: asyncpg, redis")
    assert check.remedy == "install the `services` extra"


def test_a_secret_that_is_bound_to_nothing_is_found(folder: StateFolder) -> None:
    assert checks.check_secrets(folder).level == Level.OK
    folder.create()
    file = folder.secrets / "old.json"
    file.write_text('{"api_key": "hunter2"}')
    file.chmod(0o600)
    check = checks.check_secrets(folder)
    assert (check.level, "old" in check.found, "secret bind" in check.remedy) == (Level.WARN, True, True)
    secret_store(folder).encrypt_plain()
    assert checks.check_secrets(folder).level == Level.WARN
    secret_store(folder).bind("old", SecretBinding(adapter="nautilus_trader.adapters.binance"))
    assert checks.check_secrets(folder) == Check("secrets", Level.OK, "1, encrypted and bound")


def test_this_kernel_is_looked_at_by_the_sidecars_own_program() -> None:
    check = checks.check_kernel()
    assert check.name == "kernel"
    assert re.search(r"Landlock|seccomp", check.found)


def test_a_kernel_that_lacks_something_is_a_warning_that_says_what_follows() -> None:
    whole = checks.judge_kernel(KernelAnswer(7, is_enough=True, shortcoming=""))
    assert (whole.level, "Landlock 7" in whole.found) == (Level.OK, True)
    lacking = checks.judge_kernel(KernelAnswer(5, is_enough=True, shortcoming="they cannot x"))
    assert (lacking.level, lacking.found) == (Level.WARN, "they cannot x")
    without = checks.judge_kernel(KernelAnswer(0, is_enough=False, shortcoming="they can kill"))
    assert (without.level, without.found) == (Level.WARN, "they can kill; no engine trades live here")
    assert "6.12" in lacking.remedy == without.remedy


def test_a_docker_engine_without_seccomp_is_a_warning() -> None:
    found = {
        has: {
            check.name: check.level
            for check in docker_checks(DockerAnswer(docker=True, detail="", seccomp=has))
        }
        for has in (True, False)
    }
    assert "docker seccomp" not in found[True]
    assert found[False]["docker seccomp"] == Level.WARN
