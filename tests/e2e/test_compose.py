"""The composed fleet: built from the checkout, brought up healthy, and an engine trades in it."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from flotilla.stack.servers.nats_health import write_error
from tests.e2e.conftest import require_docker
from tests.e2e.small_disk import SmallDisk
from tests.e2e.stacks import until

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "flotilla-compose-test"
MONITOR = 8222
"""The port at which its nats-server tells this machine about itself."""
# Images and a network of its own: a fleet that somebody runs here stays as it is.
OWN = {
    "FLOTILLA_PROJECT": PROJECT,
    "FLOTILLA_TAG": "compose-test",
    "FLOTILLA_SUBNET": "10.233.0.0/24",
    "FLOTILLA_GATEWAY": "10.233.0.1",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def docker(*arguments: str) -> str:
    """What a docker command prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


class Fleet:
    """The composed fleet, as an operator on its host uses it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.disk = _disk_of_its_own(folder) if os.geteuid() == 0 else None
        self.overrides = ["--file", str(folder / "override.json")] if self.disk else []
        self.env = {**os.environ, **OWN, "FLOTILLA_HTTP": f"127.0.0.1:{self.port}"}
        self.token = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(
        self, *arguments: str, timeout_s: float = 60, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "scripts/compose"), *self.overrides, *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            input=stdin,
        )

    def cli(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.compose("run", "--rm", "-T", "cli", *arguments, stdin=stdin)

    def start(self) -> None:
        done = self.compose("up", "--build", "--wait", timeout_s=600)
        assert done.returncode == 0, (
            f"{done.stdout}{done.stderr}{self.compose('logs', '--tail', '20').stdout}"
        )
        read = self.compose("run", "--rm", "-T", "--entrypoint", "cat", "cli", "/config/admin.token")
        self.token = read.stdout.strip()

    def remove(self) -> None:
        """As deploy/README.md says; fails when it leaves something behind."""
        cleaned = self.cli("container", "cleanup", "--force")
        done = self.compose("down", "--volumes", "--timeout", "5", timeout_s=120)
        assert done.returncode == 0, done.stderr
        if self.disk:
            self.disk.remove()
        assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
        assert self.left() == []

    def is_ready(self) -> bool:
        """What `/readyz` says."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as refused:
            if refused.code != 503:
                raise
            return False

    def left(self) -> list[str]:
        """Containers and networks of this fleet, whatever their state."""
        containers = ["docker", "ps", "--all", "--format", "{{.Names}}", "--filter"]
        asked = (
            [*containers, f"label=flotilla.owner={PROJECT}"],
            [*containers, f"label=com.docker.compose.project={PROJECT}"],
            ["docker", "network", "ls", "--format", "{{.Name}}", "--filter", f"name={PROJECT}-engines"],
        )
        answers = [subprocess.run(one, capture_output=True, text=True, check=True).stdout for one in asked]
        return "".join(answers).split()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/v1/nautilus/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def send(self, path: str, file: bytes, *, key: str) -> Any:
        """The answer to a file that is the body."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/nautilus/{path}",
            method="POST",
            data=file,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/octet-stream",
                "Idempotency-Key": key,
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def inspect(self) -> dict[str, Any]:
        """Docker's facts of every container of the project that runs, by service."""
        ids = self.compose("ps", "--quiet").stdout.split()
        shown = json.loads(docker("inspect", *ids))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in shown}


def _disk_of_its_own(folder: Path) -> SmallDisk:
    """Where NATS and PostgreSQL store: small, so that it can be filled."""
    disk, volumes = SmallDisk(folder / "disk", megabytes=600), {}
    for name in ("nats", "postgres"):
        (disk.folder / name).mkdir()
        os.chown(disk.folder / name, 65532, 65532)
        options = {"type": "none", "o": "bind", "device": str(disk.folder / name)}
        volumes[f"{name}-data"] = {"driver": "local", "driver_opts": options}
    (folder / "override.json").write_text(json.dumps({"volumes": volumes}))
    return disk


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require_docker()
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.remove()


def test_an_engine_trades_in_the_composed_fleet(composed: Fleet) -> None:
    # Its state goes to Redis, as whose user only its supervisor could make it known.
    config: dict[str, Any] = {
        "engine_type": "sandbox",
        "instance_id": "composed-1",
        "use_cache_database": True,
    }
    # As fast as can be it would be through before it is looked at.
    config["parameters"] = {"speed": 86_400 * 20}
    started = composed.ask("POST", "engine/start?wait=true", {"config": config})
    assert (started["success"], started["state"]) == (True, "running"), started
    # The first crossing is some dozens of days away: seconds at this speed.
    deadline, filled = time.monotonic() + 60, 0
    while not filled and time.monotonic() < deadline:
        listed = composed.cli("--json", "engine", "watch", "composed-1", "--kind", "metrics", "--count", "1")
        filled = json.loads(listed.stdout)["payload"]["fills_total"]
    assert filled > 0
    stopped = composed.ask("POST", "engine/stop?wait=true&instance_id=composed-1")
    assert (stopped["success"], stopped["state"]) == (True, "stopped"), stopped


def test_a_backtest_runs_in_a_worker_container(composed: Fleet) -> None:
    done = composed.cli("--json", "backtest", "run", "composed-bt", "--strategy", "ema_cross")
    assert done.returncode == 0, done.stdout + done.stderr
    found = composed.ask("GET", "engine/backtest/composed-bt")["backtest"]
    assert (found["status"], found["progress"]) == ("completed", 100)
    assert found["results"]["metrics"]["total_trades"] > 100


def test_a_file_that_is_sent_gets_into_the_volume_of_the_catalog_and_goes_again(composed: Fleet) -> None:
    rows = "".join(f"2024-01-02T10:{minute:02}:00Z,1.1,1.2,1,1\n" for minute in range(60))
    composed.send(
        "catalog/imports?type=quotes&instrument=EUR/USD.SIM&file=eurusd.csv",
        f"time,bid,ask,bid_size,ask_size\n{rows}".encode(),
        key="composed-import",
    )

    def state() -> Any:
        return composed.ask("GET", "catalog/imports/composed-import")

    until(lambda: state()["state"] not in ("waiting", "running"), 120, "the end of the import")
    ended = state()
    assert (ended["success"], ended["data"]["reports"][0]["new_rows"]) == (True, 60), ended
    chart = composed.ask("GET", "catalog/bars?identifier=EUR/USD.SIM&points=6")["chart"]
    assert [point["close"] for point in chart["points"]] == [1.15] * 6
    # Its command line has no state folder: it speaks to the fleet.
    removed = composed.cli("data", "rm", "EUR/USD.SIM", "--type", "quotes")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert "60 quotes removed, nothing of it is left" in removed.stdout
    assert "EUR/USD.SIM" not in composed.ask("GET", "catalog")["catalog"]["ranges"].get("quotes", {})


def test_the_integration_script_passes_against_it(composed: Fleet, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(composed.token)
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "test-engine-integration.py"), "--runtime-required", "docker"),
            *("--url", composed.url, "--token-file", str(token), "--report", str(tmp_path / "report.md")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_part_is_hardened_and_only_the_supervisor_has_dockers_socket(composed: Fleet) -> None:
    parts = composed.inspect()
    assert set(parts) == {"gateway", "nats", "notifier", "orchestrator", "postgres", "redis", "supervisor"}
    for name, facts in parts.items():
        host = facts["HostConfig"]
        assert facts["State"]["Health"]["Status"] == "healthy", name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert facts["Config"]["User"] == "65532:65532", name
        sockets = [mount for mount in facts["Mounts"] if mount["Source"].endswith("docker.sock")]
        assert bool(sockets) == (name == "supervisor"), name


def test_no_password_or_key_stands_in_an_environment_or_a_label(composed: Fleet) -> None:
    read = composed.compose(
        *("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "setup"),
        *(
            "/fleet/postgres/password",
            "/fleet/record/login.password",
            "/fleet/supervisor/redis.password",
            "/fleet/supervisor/engine-signing.nk",
        ),
    )
    assert read.returncode == 0, read.stderr
    told = json.dumps(composed.inspect())
    parts = [part for part in read.stdout.replace("SUA", "\nSUA").split() if len(part) > 20]
    assert parts
    assert not [part for part in parts if part in told]


def test_secrets_are_stored_where_the_supervisor_reads_them_and_stand_nowhere(composed: Fleet) -> None:
    canary = f"canary{secrets.token_hex(12)}"
    keys = json.dumps({"api_key": canary, "api_secret": f"{canary}-secret"})
    as_setup = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "/bin/sh", "setup", "-c")
    # One of an earlier release is encrypted at the next start.
    left = composed.compose(*as_setup, "umask 077; cat > /fleet/secrets/old.json", stdin=keys)
    assert left.returncode == 0, left.stderr
    assert composed.compose("up", "--wait", timeout_s=120).returncode == 0
    assert "secret old is encrypted and needs a binding" in composed.compose("logs", "setup").stdout
    stored = composed.cli("secret", "set", "keys", "--adapter", "binance", stdin=keys)
    assert stored.returncode == 0, stored.stderr
    assert composed.cli("secret", "rotate-key").returncode == 0
    listed = json.loads(composed.cli("--json", "secret", "ls").stdout)["secrets"]
    assert [(one["name"], one["problem"]) for one in listed] == [("keys", ""), ("old", "needs a binding")]
    # The supervisor opens them, else it could not say what they are bound to.
    for name, problem in (
        ("keys", "that secret 'keys' is not bound to"),
        ("old", "flotilla secret bind old"),
    ):
        at = f"BINANCE=binance,secret={name},base_url_http=http://127.0.0.1:9"
        strategy = ("--strategy", "grid", "--set", "instrument_id=BTCUSDT.BINANCE")
        bars = ("--set", "bar_type=BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
        options = ("--venue", at, "--param", "base_currency=USDT", *strategy, *bars)
        refused = composed.cli("engine", "start", f"uses-{name}", *options)
        assert refused.returncode != 0
        assert problem in refused.stderr, refused.stderr
    read = composed.compose(*as_setup, "cat /fleet/secrets/*; ls -ln /fleet/secrets /fleet/secret-keys")
    assert read.stdout.count('"flotilla_secret"') == 2
    assert {line.split()[0] for line in read.stdout.splitlines() if line.startswith("-")} == {"-rw-------"}
    told = json.dumps(composed.inspect()) + composed.compose("logs").stdout + read.stdout
    assert canary not in told


def test_its_orchestrator_cannot_rewrite_the_audit(composed: Fleet) -> None:
    passwords = composed.compose(
        *("run", "--rm", "-T", "--no-deps", "--entrypoint", "sha256sum", "setup"),
        *(
            "/fleet/postgres/password",
            "/fleet/record/login.password",
            "/fleet/orchestrator/postgres.password",
        ),
    )
    superuser, login, orchestrator = (line.split()[0] for line in passwords.stdout.splitlines())
    assert superuser != login == orchestrator
    done = composed.cli("--json", "audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["is_whole"], verdict["unprotected"]) == (True, "")
    assert verdict["entries"] > 0


def test_a_token_is_made_and_taken_away_while_the_fleet_runs(composed: Fleet) -> None:
    made = composed.cli("access", "add", "desk-a", "--role", "observer", "--expires", "1h")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()

    def answered(path: str, host: str = "") -> int:
        named = {"Host": host} if host else {}
        headers = {"Authorization": f"Bearer {token}", **named}
        request = urllib.request.Request(f"{composed.url}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    health = "/api/v1/nautilus/engine/health"
    assert [answered(health), answered("/metrics"), answered("/api/v1/nautilus/hosts")] == [200, 200, 403]
    assert [answered(health, host) for host in ("gateway:8001", "evil.example")] == [200, 403]
    assert "desk-a" in composed.cli("access", "ls").stdout
    assert composed.cli("access", "rm", "desk-a").returncode == 0
    assert answered(health) == 401
    assert composed.ask("GET", "engine/status")["success"] is True


def test_an_observer_is_let_onto_the_bus_and_put_off_it(composed: Fleet, tmp_path: Path) -> None:
    made = composed.cli("access", "add", "feed", "--role", "observer", "--bus", "-")
    assert (made.returncode, "lets it in" in made.stderr) == (0, True), made.stderr
    creds = tmp_path / "feed.creds"
    creds.write_text(made.stdout.partition("\n")[2])

    async def heard_and_cut() -> bytes:
        cut = asyncio.Event()

        async def on_cut() -> None:
            cut.set()

        url = f"nats://{OWN['FLOTILLA_GATEWAY']}:4222"
        feed = await nats.connect(
            url, user_credentials=str(creds), disconnected_cb=on_cut, allow_reconnect=False
        )
        states = await feed.subscribe("fleet.engine.*.state")
        await feed.flush()
        config = {"engine_type": "sandbox", "instance_id": "observed"}
        await asyncio.to_thread(composed.ask, "POST", "engine/start?wait=true", {"config": config})
        first = await states.next_msg(timeout=5)
        await asyncio.to_thread(composed.ask, "POST", "engine/stop?wait=true&instance_id=observed")
        await asyncio.to_thread(composed.cli, "access", "rm", "feed")
        async with asyncio.timeout(1.0):
            await cut.wait()
        await feed.close()
        return first.data

    assert b'"observed"' in asyncio.run(heard_and_cut())


def test_starting_it_again_keeps_its_keys_and_token(composed: Fleet) -> None:
    again = composed.compose("up", "--wait", timeout_s=120)
    assert again.returncode == 0, again.stderr
    assert composed.ask("GET", "engine/health")["status"] == "healthy"


def test_after_a_full_disk_nats_server_is_started_again_and_engines_trade(composed: Fleet) -> None:
    if composed.disk is None:
        pytest.skip("a disk of its own takes root")
    starts = composed.inspect()["nats"]["RestartCount"]
    assert composed.is_ready()
    with composed.disk.full():
        until(lambda: not composed.is_ready(), 20, "a 503 of /readyz")
        with pytest.raises(urllib.error.HTTPError) as refused:
            composed.ask("POST", "engine/start", {"config": {"engine_type": "sandbox"}})
        assert refused.value.code == 503
        assert json.loads(refused.value.read())["code"] == "unavailable"
        until(lambda: write_error(MONITOR), 30, "a stream that stores nothing any more")
    until(composed.is_ready, 30, "a fleet that is ready again")
    assert composed.inspect()["nats"]["RestartCount"] > starts
    config = {"engine_type": "sandbox", "instance_id": "afterwards", "parameters": {"speed": 86_400 * 20}}
    started = composed.ask("POST", "engine/start?wait=true", {"config": config})
    assert (started["success"], started["state"]) == (True, "running"), started
    stopped = composed.ask("POST", "engine/stop?wait=true&instance_id=afterwards")
    assert (stopped["success"], stopped["state"]) == (True, "stopped"), stopped
