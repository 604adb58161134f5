"""The scripts that make .venv and the images, run for real with stand-ins for docker, uv and python on PATH:
what they decide is tested here, what they build by the integration tests."""

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["deploy", "scripts", "schemas", "bus", "services", "engine_sidecar", "flotilla", "templates"]

# Logs its arguments; answers with the labels and the engine that the environment describes.
FAKE_DOCKER = """#!/bin/sh
echo "$0 $*" >> "$CALLS"
case "$1 $*" in
  info*) [ -n "$FAKE_ENGINE" ] && echo "$FAKE_ENGINE" || { echo "${FAKE_ERROR:-Cannot connect}" >&2; exit 1; } ;;
  version*) [ -n "$FAKE_ENGINE" ] ;;
  image*"{{.Size}}"*) echo "sha256:built 1000000" ;;
  image*"{{.Id}}"*flotilla-base*) echo sha256:base ;;
  image*"{{.Id}}"*python:*) exit 1 ;;
  image*"{{.Id}}"*) echo sha256:built ;;
  image*flotilla.source*) echo "$FAKE_SOURCE" ;;
  image*flotilla.base*) echo sha256:base ;;
esac
"""
DOCKER_WITHOUT_BUILDKIT = FAKE_DOCKER.replace("  info*", "  build*) exit 1 ;;\n  info*")
FAKE_UV = """#!/bin/sh
echo "uv $*" >> "$CALLS"
case "$1" in
  sync) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
"""
WORKING_PYTHON = '#!/bin/sh\ncase "$2" in *print*) echo /found/python ;; esac\n'
PYENV_SHIM = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n"


class Machine:
    """A checkout in a folder of its own, and a PATH that begins with stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.calls = folder / "calls"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.path = [str(self.bin), str(ROOT / ".tools/uv/bin"), os.environ["PATH"]]
        for name in SOURCES:
            shutil.copytree(ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "uv.lock", "README.md"):
            shutil.copy(ROOT / name, self.checkout / name)

    def put(self, name: str, script: str, folder: Path | None = None) -> None:
        """Puts an executable on PATH, or into a folder."""
        target = (folder or self.bin) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(script)
        target.chmod(0o755)

    def run(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of the checkout without stdin; its stderr is part of stdout."""
        environment = {
            "PATH": ":".join(self.path),
            "HOME": str(self.checkout.parent),
            "CALLS": str(self.calls),
            **env,
        }
        return subprocess.run(
            command.split(),
            cwd=self.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def calls_of(self, verb: str) -> list[str]:
        """The logged calls whose first argument is this verb."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.split()[1:2] == [verb]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def source_hash(machine: Machine, *options: str) -> str:
    done = machine.run(" ".join(["deploy/build-engine.sh", "--source-hash", *options]))
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def test_the_same_sources_have_the_same_hash(machine: Machine) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", source_hash(machine))
    assert source_hash(machine) == source_hash(machine)


@pytest.mark.parametrize("changed", ["schemas/__init__.py", "templates/new.json", "deploy/Dockerfile.engine"])
def test_a_changed_source_changes_the_hash(machine: Machine, changed: str) -> None:
    before = source_hash(machine)
    with (machine.checkout / changed).open("a") as file:
        file.write("# changed\n")
    assert source_hash(machine) != before


@pytest.mark.parametrize("changed", ["services/new.py", "README.md", "schemas/__pycache__/x.pyc"])
def test_what_is_not_in_the_engine_image_does_not_change_its_hash(machine: Machine, changed: str) -> None:
    before = source_hash(machine)
    (machine.checkout / changed).parent.mkdir(exist_ok=True)
    (machine.checkout / changed).write_text("changed\n")
    assert source_hash(machine) == before


def test_the_services_image_has_a_hash_of_its_own(machine: Machine) -> None:
    before = source_hash(machine, "--services")
    (machine.checkout / "services/new.py").write_text("\n")
    assert before != source_hash(machine, "--services") != source_hash(machine)


def test_a_current_image_is_not_built_again(machine: Machine) -> None:
    machine.put("docker", FAKE_DOCKER)
    done = machine.run("deploy/build-engine.sh", FAKE_ENGINE="28", FAKE_SOURCE=source_hash(machine))
    assert done.returncode == 0, done.stdout
    assert "current: flotilla-engine:latest" in done.stdout
    assert machine.calls_of("build") == []


def test_an_outdated_image_is_built_with_a_docker_command_that_can(machine: Machine, tmp_path: Path) -> None:
    machine.put("docker", DOCKER_WITHOUT_BUILDKIT)
    machine.put("docker", FAKE_DOCKER, tmp_path / "second")
    machine.path.insert(1, str(tmp_path / "second"))
    done = machine.run("deploy/build-engine.sh", FAKE_ENGINE="28", FAKE_SOURCE="old")
    assert done.returncode == 0, done.stdout
    build = machine.calls_of("build")[-1]
    assert build.startswith(str(tmp_path / "second/docker"))
    assert "BASE_IMAGE=flotilla-base:trixie" in build
    assert f"flotilla.source={source_hash(machine)}" in build


def test_a_ca_bundle_and_pip_settings_go_in_as_secrets_only(machine: Machine, tmp_path: Path) -> None:
    machine.put("docker", FAKE_DOCKER)
    ca, pip_conf = tmp_path / "own-ca.pem", tmp_path / "own-pip.conf"
    ca.write_text("x")
    pip_conf.write_text("x")
    command = f"deploy/build-engine.sh --ca {ca} --pip-conf {pip_conf}"
    assert machine.run(command, FAKE_ENGINE="28", SSL_CERT_FILE="/other.pem").returncode == 0
    words = machine.calls_of("build")[-1].split()
    mentions = [(before, word) for before, word in pairwise(words) if "/own-" in word]
    assert mentions == [("--secret", f"id=ca,src={ca}"), ("--secret", f"id=pipconf,src={pip_conf}")]


def test_the_users_ca_bundle_is_found_in_the_environment(machine: Machine, tmp_path: Path) -> None:
    machine.put("docker", FAKE_DOCKER)
    (tmp_path / "ca.pem").write_text("x")
    machine.run("deploy/build-engine.sh", FAKE_ENGINE="28", SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    assert f"--secret id=ca,src={tmp_path}/ca.pem" in machine.calls_of("build")[-1]


def test_an_unreadable_ca_bundle_is_an_error_before_anything_is_built(machine: Machine) -> None:
    machine.put("docker", FAKE_DOCKER)
    done = machine.run("deploy/build-engine.sh --ca /no/such/file", FAKE_ENGINE="28")
    assert done.returncode == 1
    assert "/no/such/file cannot be read" in done.stdout
    assert machine.calls_of("build") == []


@pytest.mark.parametrize(
    "command",
    ["deploy/build-engine.sh --bogus", "deploy/build-engine.sh --ca", "deploy/build-base.sh --bogus"],
)
def test_a_wrong_option_prints_the_usage(machine: Machine, command: str) -> None:
    done = machine.run(command)
    assert done.returncode == 2
    assert done.stdout.startswith("usage: ")


def test_without_an_engine_building_says_what_starts_one(machine: Machine) -> None:
    machine.put("docker", FAKE_DOCKER)
    done = machine.run("deploy/build-engine.sh", FAKE_ENGINE="")
    assert done.returncode == 1
    assert "remedy: scripts/docker-engine" in done.stdout


def test_an_engine_that_answers_is_left_alone(machine: Machine) -> None:
    machine.put("docker", FAKE_DOCKER)
    machine.put("dockerd", "#!/bin/sh\necho dockerd started >> $CALLS\n")
    done = machine.run("scripts/docker-engine", FAKE_ENGINE="28.1")
    assert (done.returncode, done.stdout) == (0, "docker-engine: Docker engine 28.1 answers\n")
    assert machine.calls_of("started") == []


@pytest.mark.parametrize(
    ("user", "env", "remedy"),
    [
        ("0", {"DOCKER_HOST": "tcp://127.0.0.1:1"}, "unset DOCKER_HOST"),
        ("1000", {"FAKE_ERROR": "permission denied while trying to connect"}, "usermod -aG docker"),
        ("1000", {}, "sudo systemctl start docker"),
    ],
)
def test_an_engine_that_cannot_be_started_is_an_error_with_its_remedy(
    machine: Machine, user: str, env: dict[str, str], remedy: str
) -> None:
    machine.put("docker", FAKE_DOCKER)
    machine.put("dockerd", "#!/bin/sh\necho dockerd started >> $CALLS\n")
    machine.put("id", f"#!/bin/sh\necho {user}\n")
    done = machine.run("scripts/docker-engine", FAKE_ENGINE="", **env)
    assert done.returncode == 1
    assert remedy in done.stdout
    assert machine.calls_of("started") == []


def test_setting_up_twice_installs_once(machine: Machine) -> None:
    machine.put("uv", FAKE_UV)
    machine.put("python3.13", WORKING_PYTHON)
    assert "with /found/python" in machine.run("scripts/setup").stdout
    again = machine.run("scripts/setup")
    assert (again.returncode, again.stdout) == (0, "")
    assert machine.calls_of("sync") == ["uv sync --quiet --frozen --all-extras"]


def test_a_changed_lock_is_installed(machine: Machine) -> None:
    machine.put("uv", FAKE_UV)
    machine.put("python3.13", WORKING_PYTHON)
    machine.run("scripts/setup")
    with (machine.checkout / "uv.lock").open("a") as file:
        file.write("# changed\n")
    machine.run("scripts/setup")
    assert len(machine.calls_of("sync")) == 2


def test_a_setup_that_failed_is_tried_again(machine: Machine) -> None:
    machine.put("uv", FAKE_UV.replace("  sync)", "  sync) exit 1 ;;\n  other)"))
    machine.put("python3.13", WORKING_PYTHON)
    done = machine.run("scripts/setup")
    assert done.returncode == 1
    assert "remedy: check the network" in done.stdout
    machine.put("uv", FAKE_UV)
    assert machine.run("scripts/setup").returncode == 0
    assert len(machine.calls_of("sync")) == 2


def test_a_python_that_does_not_run_is_passed_over(machine: Machine, tmp_path: Path) -> None:
    machine.put("uv", FAKE_UV)
    machine.put("python3.13", PYENV_SHIM)
    machine.put("python", WORKING_PYTHON, tmp_path / "pyenv/versions/3.13.9/bin")
    done = machine.run("scripts/setup", PYENV_ROOT=str(tmp_path / "pyenv"))
    assert done.returncode == 0, done.stdout
    assert "with /found/python" in done.stdout


FAKE_NPM = """#!/bin/sh
echo "npm $*" >> "$CALLS"
case "$1 $2 $3 $4" in
  ci*) [ -z "$AWAY" ] && mkdir -p node_modules ;;
  *build*) mkdir -p "$8" && echo "<p>page" > "$8/index.html" ;;
esac
"""


@pytest.fixture
def pages(machine: Machine) -> Machine:
    """A machine with the sources of a dashboard and a Node that is there already."""
    for name, text in (("package-lock.json", "{}"), ("node.txt", "node==1\n"), ("src/main.ts", "run()")):
        path = machine.checkout / "dashboard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tools = machine.checkout / ".tools/node"
    machine.put("npm", FAKE_NPM, tools / "bin")
    (tools / "node.txt").write_text("node==1\n")
    return machine


def test_the_dashboard_is_built_once_and_again_when_its_sources_changed(pages: Machine) -> None:
    page = pages.checkout / "services/gateway/dashboard/index.html"
    shutil.rmtree(page.parent, ignore_errors=True)
    for _ in range(2):
        assert pages.run("scripts/dashboard").returncode == 0
    assert page.read_text() == "<p>page\n"
    assert [call.split()[1] for call in pages.calls.read_text().splitlines()] == ["ci", "run"]
    (pages.checkout / "dashboard/src/main.ts").write_text("changed()")
    assert pages.run("scripts/dashboard").returncode == 0
    assert len(pages.calls_of("run")) == 2


def test_setup_goes_on_without_npms_registry_and_tries_no_second_time(pages: Machine) -> None:
    shutil.rmtree(pages.checkout / "services/gateway/dashboard", ignore_errors=True)
    done = pages.run("scripts/dashboard --setup", AWAY="1")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "warning: it could not be built" in done.stdout
    again = pages.run("scripts/dashboard --setup", AWAY="1")
    assert (again.returncode, "make web" in again.stdout) == (0, True)
    assert len(pages.calls_of("ci")) == 1
    assert pages.run("scripts/dashboard", AWAY="1").returncode == 1


def test_an_image_of_services_is_not_built_without_the_dashboard(pages: Machine) -> None:
    done = pages.run("deploy/build-engine.sh --source-hash --services", AWAY="1")
    assert done.returncode == 1
    assert "the dashboard, which the gateway serves, could not be built" in done.stdout
    assert pages.run("deploy/build-engine.sh --source-hash").returncode == 0


@pytest.mark.parametrize("name", ["Dockerfile.engine", "Dockerfile.services"])
def test_an_image_runs_as_nobody_and_builds_without_a_registry(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    builder, runtime = re.split(r"^FROM \$\{BASE_IMAGE\}$", text, flags=re.MULTILINE)
    assert "USER 65532:65532" in runtime
    assert "type=secret" in builder
    assert "type=secret" not in runtime
    assert "# syntax=" not in text  # it would be fetched from a registry


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony is not None
    done = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", "help"], capture_output=True, text=True, check=True
    )
    assert [line.split()[1] for line in done.stdout.splitlines()] == phony[1].split()


def test_without_any_python_setup_says_what_to_install(machine: Machine, tmp_path: Path) -> None:
    uv = machine.checkout / "scripts/uv"
    uv.write_text(uv.read_text().replace("/usr/bin/python3", "/nowhere/python3"))
    for name in ("python", "python3", "python3.13"):
        machine.put(name, PYENV_SHIM)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "cksum", "cut", "dirname", "getent", "id", "mkdir", "rm"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = machine.run("scripts/setup", PATH=f"{machine.bin}:{tools}")
    assert done.returncode == 1
    assert "neither uv nor a Python" in done.stdout
    assert "remedy: install python3 with venv (apt install python3 python3-venv), or uv" in done.stdout


def test_without_promtool_the_rules_are_left_unchecked_in_one_line_unless_it_is_demanded(
    machine: Machine,
) -> None:
    (machine.bin / "dirname").symlink_to(shutil.which("dirname") or "")
    machine.path = [str(machine.bin)]
    done = machine.run("scripts/promtool")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "are not checked" in done.stdout
    demanded = machine.run("scripts/promtool", FLOTILLA_REQUIRE_PROMTOOL="1")
    assert demanded.returncode == 1
    assert "apt install prometheus" in demanded.stdout


def test_with_promtool_config_rules_and_their_tests_are_checked_and_a_fault_is_one(machine: Machine) -> None:
    machine.put("promtool", '#!/bin/sh\necho "$0 $*" >> "$CALLS"\n[ "$1" != "$FAKE_FAULT" ]\n')
    assert machine.run("scripts/promtool", FAKE_FAULT="").returncode == 0
    said = [line.split(" ", 1)[1] for line in machine.calls.read_text().splitlines()]
    assert said == [
        "check config --syntax-only prometheus.yaml",
        "check rules rules.yaml",
        "test rules rules.test.yaml",
    ]
    for verb in ("check", "test"):
        assert machine.run("scripts/promtool", FAKE_FAULT=verb).returncode == 1
