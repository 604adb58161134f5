"""What reaches the processes that we start."""

import sys
from pathlib import Path

import pytest

from flotilla.state.environment import of_program, of_server
from flotilla.state.programs import output, python

USERS = {
    "PATH": "/bin",
    "HOME": "/home/josé",
    "LD_LIBRARY_PATH": "/opt/lib",
    "http_proxy": "http://proxy:3128",
    "ALL_PROXY": "socks5://proxy",
    "PGSSLMODE": "require",
    "PGSERVICE": "office",
    "PYTHONPATH": "/home/josé/lib:/srv/lib",
    "PYTHONHOME": "/nowhere",
    "DOCKER_HOST": "unix:///run/user/1000/docker.sock",
    "FLOTILLA_LEASE_TTL_S": "60",
}


def test_a_server_finds_nothing_of_the_user_but_where_programs_are() -> None:
    assert of_server(USERS) == {"PATH": "/bin", "LANG": "C.UTF-8", "TZ": "UTC"}


def test_a_program_of_ours_finds_its_place_and_our_own_settings() -> None:
    assert of_program(USERS) == {
        "PATH": "/bin",
        "HOME": "/home/josé",
        "LD_LIBRARY_PATH": "/opt/lib",
        "DOCKER_HOST": "unix:///run/user/1000/docker.sock",
        "FLOTILLA_LEASE_TTL_S": "60",
        "FLOTILLA_STRATEGY_PATH": "/home/josé/lib:/srv/lib",
    }


def test_where_strategies_are_looked_for_may_be_said_outright() -> None:
    told = of_program({"PYTHONPATH": "/lib", "FLOTILLA_STRATEGY_PATH": "/mine"})
    assert told == {"FLOTILLA_STRATEGY_PATH": "/mine"}


def test_relative_folders_are_those_of_who_named_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert of_program({"PYTHONPATH": "lib::."})["FLOTILLA_STRATEGY_PATH"] == f"{tmp_path}/lib:{tmp_path}"


async def test_foreign_modules_on_pythonpath_are_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bus", "services", "schemas", "flotilla"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = "import bus.bus, services, schemas.ids, flotilla; print('ours')"
    assert await output(python("-c", code)) == "ours"


async def test_the_command_line_and_what_it_runs_are_ours_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bus", "services", "schemas", "click"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)}
    script = Path(sys.executable).parent / "flotilla"
    assert "flotilla, version" in await output([str(script), "--version"], env=env)
    monkeypatch.chdir(tmp_path)
    assert "flotilla, version" in await output([sys.executable, "-m", "flotilla", "--version"], env=env)
