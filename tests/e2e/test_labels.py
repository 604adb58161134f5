"""Labels on a whole stack: engines and hosts are found by them over REST, command line, client and bus, also after restarts."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla import Flotilla, SyncFlotilla
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import RunState
from flotilla.state.exits import Exit
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import PACED, eventually, paced, stopped
from tests.e2e.rest import API, ENGINES, Rest
from tests.e2e.stacks import RunningStack

HOST_LABELS = "zone=b, disk=ssd"
CHOICES = (
    ({}, {"rates", "fx"}),
    ({"desk": "rates"}, {"rates"}),
    ({"floor": "1"}, {"rates", "fx"}),
    ({"floor": "1", "desk": "fx"}, {"fx"}),
    ({"floor": "2"}, set()),
)
"""What is asked for, and which engines that is."""


@pytest.fixture(scope="module")
def runtime() -> str:
    return best_runtime()


@pytest.fixture(scope="module")
def stack(runtime: str) -> Iterator[RunningStack]:
    """A stack whose host has labels."""
    made = RunningStack(runtime, env={"FLOTILLA_HOST_LABELS": HOST_LABELS})
    made.start()
    yield made
    made.remove()


def written(labels: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in labels.items()]


def options(labels: dict[str, str]) -> list[str]:
    return [word for label in written(labels) for word in ("--label", label)]


async def everybody_finds(stack: RunningStack, fleet: Flotilla, rest: Rest) -> None:
    """The same engines by label, whichever way they are asked for."""
    with SyncFlotilla(stack.folder.root) as blocking:
        for labels, names in CHOICES:
            query = f"?label={','.join(written(labels))}" if labels else ""
            body = json.dumps({"labels": labels}).encode()
            answers: dict[str, Any] = {
                "REST": await rest.done("GET", ENGINES + query),
                "CLI": stack.json("engine", "ls", *options(labels)),
                "bus": json.loads((await fleet.bus.client.request("fleet.engine.list", body)).data),
            }
            for way, told in answers.items():
                assert {one["instance_id"] for one in told["engines"]} == names, (way, labels)
                assert told["total_count"] == len(names), (way, labels)
            for found in (await fleet.engines(labels=labels), blocking.engines(labels=labels)):
                assert {one.instance_id for one in found.engines} == names, labels
                assert all(one.config.labels.items() >= labels.items() for one in found.engines)


async def test_engines_are_found_by_their_labels_whichever_way_and_after_restarts(
    stack: RunningStack, fleet: Flotilla
) -> None:
    chosen = ["--strategy", "ema_cross", "--param", f"speed={PACED}"]
    stack.json("engine", "start", "rates", *chosen, *options({"desk": "rates", "floor": "1"}))
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        labels = {"desk": "fx", "floor": "1"}
        config = msgspec.to_builtins(msgspec.structs.replace(paced("fx"), labels=labels))
        accepted = await rest.done("POST", f"{ENGINES}/fx/start?wait=true", {"config": config})
        assert accepted["data"]["config"]["labels"] == labels
        await everybody_finds(stack, fleet, rest)
        table = stack.cli("engine", "ls").stdout
        assert "desk=rates, floor=1" in table
        assert "desk=fx, floor=1" in stack.cli("engine", "inspect", "fx").stdout
        if stack.runtime == "docker":
            assert in_docker("flotilla.label.desk=fx") == [accepted["data"]["container_name"]]

        assert stack.json("engine", "restart", "fx")["engine"]["config"]["labels"] == labels
        with stack.without("orchestrator", "supervisor"):
            pass
        await eventually(lambda: heard_again(fleet), 30, "the fleet after its services were killed")
        await everybody_finds(stack, fleet, rest)

        stack.json("engine", "configure", "fx", "--label", "floor=3")
        await stopped(fleet, "fx")
        status = await rest.done("GET", f"{API}/engine/status?instance_id=fx")
        assert status["status"]["config"]["labels"] == {"desk": "fx", "floor": "3"}
        await stopped(fleet, "rates")


async def heard_again(fleet: Flotilla) -> bool:
    """True when both engines trade, as the services tell once they are there again."""
    try:
        found = (await fleet.engines()).engines
    except FaultError:
        return False
    return all(one.session is not None and one.session.state == RunState.TRADING for one in found)


def in_docker(label: str) -> list[str]:
    """The running containers with a label, as Docker itself tells."""
    shown = subprocess.run(
        ["docker", "ps", "--format", "{{.Names}}", "--filter", f"label={label}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.split()


async def test_the_host_is_found_by_its_labels_whichever_way(stack: RunningStack, fleet: Flotilla) -> None:
    labels = {"zone": "b", "disk": "ssd"}
    with SyncFlotilla(stack.folder.root) as blocking:
        (host,) = blocking.hosts(labels={"zone": "b"}).hosts
        assert blocking.hosts(labels={"zone": "c"}).hosts == ()
    assert (host.labels, host.is_in_sight, host.runtime) == (labels, True, stack.runtime)
    assert host.heartbeat_age_s < 6
    assert [one.host for one in (await fleet.hosts()).hosts] == [host.host]
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        for query, count in (("", 1), ("?label=zone=b,disk=ssd", 1), ("?label=zone=a", 0)):
            told = (await rest.done("GET", f"{API}/hosts{query}"))["hosts"]
            assert [one["labels"] for one in told] == [labels] * count
    assert [one["host"] for one in stack.json("host", "ls", "--label", "zone=b")["hosts"]] == [host.host]
    assert stack.json("host", "ls", "--label", "zone=a")["hosts"] == []
    assert "disk=ssd, zone=b" in stack.cli("host", "ls").stdout


async def test_what_is_no_label_is_refused_by_name_and_leaves_no_engine(
    stack: RunningStack, fleet: Flotilla
) -> None:
    before = (await fleet.engines()).total_count
    for command, bad in (
        (("engine", "start", "never"), "desk"),
        (("engine", "ls"), "desk=f x"),
        (("host", "ls"), "é=a"),
    ):
        done = stack.cli(*command, "--label", bad)
        assert done.returncode == Exit.REFUSED, done.stderr
        assert "--label" in done.stderr
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        body = {"config": {"labels": {"desk": "f x"}}}
        status, told = await rest.call("POST", f"{ENGINES}/never/start", body)
        assert (status, [error["field"] for error in told["errors"]]) == (422, ["config.labels.desk"])
        status, told = await rest.call("GET", f"{ENGINES}?label=desk=f%20x")
        assert (status, [error["field"] for error in told["errors"]]) == (422, ["label"])
    assert (await fleet.engines()).total_count == before
