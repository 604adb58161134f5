"""A canary in a secret: it reaches the address that it is bound to, and is found nowhere else, whatever becomes of it."""

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import aiohttp
import asyncpg
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultError
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.state.exits import Exit
from flotilla.state.folder import owner_of
from tests.e2e.engines import engine_pids, eventually
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.rest import API, ENGINES, Rest
from tests.e2e.stacks import RunningStack, processes_of, run_flotilla, until

MARK = "canary-user"
"""The name of an engine, which must be found wherever the canary is looked for: else nothing was looked at."""


class Venue:
    """Answers a request with what it was sent, once it may: a venue that tells a key in full."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.may_answer = Event()
        venue = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.headers.get("X-MBX-APIKEY", "")
                venue.seen.append(key)
                venue.may_answer.wait()
                body = json.dumps({"code": -2015, "msg": f"Invalid API-key {key}"}).encode()
                self.send_response(401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Not to stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def answering() -> Iterator[Venue]:
    venue = Venue()
    thread = Thread(target=venue.server.serve_forever)
    thread.start()
    yield venue
    venue.may_answer.set()
    venue.server.shutdown()
    venue.server.server_close()
    thread.join()


@pytest.fixture
def venue() -> Iterator[Venue]:
    with answering() as made:
        yield made


@pytest.fixture
def thief() -> Iterator[Venue]:
    with answering() as made:
        yield made


@pytest.fixture(scope="module")
def stack(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whose engines can import the strategies of this folder."""
    with stack_with_own_code(runtime, tmp_path_factory.mktemp("image")) as made:
        yield made


def keys() -> dict[str, str]:
    """Credentials that nobody else has."""
    return {name: f"canary{secrets.token_hex(12)}" for name in ("api_key", "api_secret")}


def config(name: str, url: str, strategy: str = "RaisesOnABar", **change: Any) -> str:
    """An engine on a venue's data."""
    venue = {"name": "BINANCE", "adapter": "binance", "secret": "keys"}
    venue["config"] = {"base_url_http": url, "instrument_provider": {"load_all": True}}  # type: ignore[assignment]
    body = {
        "engine_type": "paper",
        "instance_id": name,
        "max_memory": "512m",
        "parameters": {"base_currency": "USDT"},
        "restart": {"max_restarts": 0},
        "venues": [venue | change],
        "strategies": [
            {
                "strategy_path": f"tests.e2e.faulty_strategies:{strategy}",
                "config_path": "tests.strategies_for_tests:BarsConfig",
                "config": {"bar_type": "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"},
            }
        ],
    }
    return json.dumps(body)


def start(stack: RunningStack, name: str, text: str) -> Any:
    return stack.cli("--json", "engine", "start", name, "--no-wait", "--config", "-", stdin=text)


def session_of(stack: RunningStack, name: str) -> dict[str, Any]:
    session: dict[str, Any] = stack.json("engine", "inspect", name)["engine"]["session"]
    return session


def ended(stack: RunningStack, name: str) -> dict[str, Any]:
    """Its session, once that failed."""
    until(lambda: session_of(stack, name)["state"] == "failed", 90, f"the end of {name}")
    return session_of(stack, name)


async def is_back(fleet: Flotilla) -> bool:
    """True once the orchestrator answers and hears the engine."""
    try:
        return ((await fleet.engine(MARK)).heartbeat_age_s or 99) < 5
    except FaultError:
        return False


def files(root: Path, *, without: str = "") -> dict[str, bytes]:
    """Every file below a folder but the one of that name."""
    found = {}
    for path in root.rglob("*"):
        with suppress(OSError):  # it went meanwhile
            if path.is_file() and path.name != without:
                found[str(path)] = path.read_bytes()
    return found


async def rows(stack: RunningStack) -> dict[str, bytes]:
    """Every table of the database, as text."""
    found = {}
    connection = await asyncpg.connect(PostgresServer(stack.folder.root / "postgres").dsn)
    tables = await connection.fetch("select format('%I.%I', schemaname, tablename) as name from pg_tables")
    for (name,) in tables:
        told = await connection.fetch(f"select t::text from {name} t")
        found[f"table {name}"] = "\n".join(row[0] or "" for row in told).encode()
    await connection.close()
    return found


async def messages(fleet: Flotilla) -> dict[str, bytes]:
    """Everything that the streams of the bus keep."""
    js = fleet.bus.client.jetstream(timeout=10)
    found = {}
    for stream in await js.streams_info():
        name, state = str(stream.config.name), stream.state
        kept = []
        for seq in range(state.first_seq, state.last_seq + 1):
            with suppress(Exception):  # one that is gone
                message = await js.get_msg(name, seq=seq)
                kept.append(f"{message.subject} {message.headers} ".encode() + (message.data or b""))
        found[f"stream {name}"] = b"\n".join(kept)
    return found


def processes(stack: RunningStack) -> dict[str, bytes]:
    """How the processes of the stack were started, and with which environment."""
    found = {}
    for pid in processes_of(stack.folder.root):
        with suppress(OSError):
            found[f"process {pid}"] = b"".join(
                Path(f"/proc/{pid}/{each}").read_bytes() for each in ("cmdline", "environ")
            )
    return found


async def answers(stack: RunningStack, names: list[str]) -> dict[str, bytes]:
    """What REST and the command line say of it all."""
    found = {}
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        paths = [
            ENGINES,
            f"{API}/audit",
            f"{API}/hosts",
            f"{API}/engine/containers",
            f"{API}/engine/templates",
        ]
        paths += [f"{ENGINES}/{name}{more}" for name in names for more in ("", "/logs?lines=1000", "/events")]
        for path in paths:
            status, told = await rest.call("GET", path)
            found[f"GET {path}"] = f"{status} {told}".encode()
    for command in (("secret", "ls"), ("--json", "secret", "ls"), ("doctor",), ("audit",)):
        done = stack.cli(*command)
        found[" ".join(command)] = (done.stdout + done.stderr).encode()
    return found


def containers(stack: RunningStack) -> dict[str, bytes]:
    """What Docker tells of the engines."""
    owner = f"label=flotilla.owner={owner_of(stack.folder.root)}"
    ids = run_docker("ps", "--all", "--quiet", "--filter", owner).split()
    return {f"container {one}": run_docker("inspect", one).encode() for one in ids}


def seen_in_docker(stack: RunningStack, inspected: dict[str, bytes]) -> bool:
    """Adds what there is now; true once the marked engine is among it."""
    inspected |= containers(stack)
    return any(MARK.encode() in text for text in inspected.values())


def run_docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def leaks(places: dict[str, bytes], canaries: list[str]) -> list[str]:
    return [place for place, text in places.items() for canary in canaries if canary.encode() in text]


async def everywhere(stack: RunningStack, fleet: Flotilla, names: list[str]) -> dict[str, dict[str, bytes]]:
    """All that could be read of what happened, by kind."""
    return {
        "files": files(stack.root, without="secrets.key"),
        "tables": await rows(stack),
        "streams": await messages(fleet),
        "answers": await answers(stack, names),
    }


async def test_a_secret_goes_to_the_address_it_is_bound_to_and_stands_nowhere(
    stack: RunningStack, fleet: Flotilla, venue: Venue, thief: Venue, tmp_path: Path
) -> None:
    first, second = keys(), keys()
    bound = ("--adapter", "binance", "--endpoint", venue.url)
    said = [stack.cli("secret", "set", "keys", *bound, stdin=json.dumps(first))]
    # Nobody can have it sent elsewhere, by another adapter, or before it is bound.
    refused = {
        "elsewhere": (config("elsewhere", thief.url), "data_clients.BINANCE.config.base_url_http"),
        "proxied": (
            config("proxied", venue.url, config={"proxy_url": thief.url}),
            "data_clients.BINANCE.config.proxy_url",
        ),
        "other": (config("other", venue.url, adapter="bybit", config={}), "data_clients.BINANCE.path"),
        "nobodys": (config("nobodys", venue.url, secret="none"), "is not in the secret store"),
    }
    for name, (text, field) in refused.items():
        said.append(start(stack, name, text))
        session = ended(stack, name)
        assert (session["reason"], field in session["detail"]) == ("config", True), session
    # It is used, under a key that changes meanwhile, and then replaced.
    said.append(start(stack, MARK, config(MARK, venue.url)))
    inspected: dict[str, bytes] = {}
    if stack.runtime == "docker":
        # From a container the venue is not to be reached, so that this one ends soon.
        until(lambda: seen_in_docker(stack, inspected), 60, "the container of the engine")
    if stack.runtime == "process":
        until(lambda: first["api_key"] in venue.seen, 60, "a request with the first key")
    # Until it is answered the engine is up, and connecting.
    watched = processes(stack)
    looked_at = b"".join(watched.values())
    assert b"FLOTILLA_SECRETS" in looked_at
    assert stack.runtime == "docker" or b"engine_sidecar" in looked_at
    # Whoever holds it is killed, and its engine crashes.
    with stack.without("supervisor", "orchestrator", "nats-server"):
        pass
    if stack.runtime == "process":
        await eventually(lambda: is_back(fleet), 60, "the fleet after its services were killed")
        crashed = (await engine_pids(fleet, [MARK]))[MARK]
        assert (
            b"Max core file size        0                    0"
            in Path(f"/proc/{crashed}/limits").read_bytes()
        )
        os.kill(crashed, signal.SIGSEGV)
        until(lambda: session_of(stack, MARK)["state"] == "failed", 60, "the end of the engine that crashed")
    said += [stack.cli("secret", "rotate-key"), stack.cli("secret", "set", "keys", stdin=json.dumps(second))]
    said.append(stack.cli("engine", "stop", MARK, "--force"))
    said.append(start(stack, MARK, config(MARK, venue.url)))
    if stack.runtime == "process":
        until(lambda: second["api_key"] in venue.seen, 60, "a request with the second key")
        # The refusal has the key in it.
        venue.may_answer.set()
        assert "Invalid API-key" in ended(stack, MARK)["detail"]
    # An engine that finds it and dies of telling.
    said.append(start(stack, "teller", config("teller", venue.url, "TellsSecrets")))
    told = ended(stack, "teller")
    assert "1 found: " in told["detail"], told
    assert "***" in told["detail"], told

    names = [*refused, MARK, "teller"]
    canaries = [*first.values(), *second.values()]
    places = await everywhere(stack, fleet, names)
    if stack.runtime == "docker":
        places["containers"] = inspected | containers(stack)
    for kind, found in places.items():
        assert any(MARK.encode() in text for text in found.values()), f"nothing was looked at of {kind}"
    found = {"processes": watched | processes(stack), **places}
    found["commands"] = {str(one.args): (one.stdout + one.stderr).encode() for one in said}
    assert {kind: leaks(each, canaries) for kind, each in found.items() if leaks(each, canaries)} == {}
    assert thief.seen == []
    # The key is apart from what it opens: a copy without it tells nothing, and cannot be used.
    shutil.copytree(stack.folder.secrets, tmp_path / "copy/secrets")
    shown = run_flotilla("--state", str(tmp_path / "copy"), "secret", "ls").stdout
    assert "not among the keys of this host" in shown
    assert stack.cli("engine", "stop", MARK, "--force").returncode in (
        Exit.OK,
        Exit.CONFLICT,
        Exit.ENGINE_FAILED,
    )
