"""REST request → trading, against the same container created, started, imported and built by hand.

By hand means: `docker create` with the very configuration that `docker inspect` shows for our engine, `docker start`, and in it a
script of a dozen lines that imports NautilusTrader and runs a TradingNode with the same configuration; the time is taken when
its trader runs.
"""

import asyncio
import json
import statistics
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import msgspec

from benchmarks.rounds import report
from benchmarks.stack import running_stack
from flotilla.client.client import Flotilla
from flotilla.schemas import contract
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.ids import new_session_id
from flotilla.schemas.session import EnginePlan
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineEvent, StateChange
from flotilla.services.orchestrator.adapters.catalog import CatalogFolder
from flotilla.services.orchestrator.adapters.template_files import TemplateFiles
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.state.settings import Connection

ROUNDS = 7
LIMIT = 1.15
HAND_LIMIT_S = 30.0
CURRENCY = "USD"
"""What the sample data's instrument is settled in."""
CONFIG: dict[str, Any] = {"engine_type": "sandbox", "parameters": {"speed": 86_400}}

BY_HAND = """
import asyncio, json, os, sys
from nautilus_trader.common.config import resolve_path
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from flotilla.engine_sidecar.replay.wiring import wire_replay

async def main():
    node_json, factories = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    node = TradingNode(config=TradingNodeConfig.parse(json.dumps(node_json)), loop=asyncio.get_running_loop())
    for name, path in factories.items():
        node.add_exec_client_factory(name, resolve_path(path))
    node.build()
    wire_replay(node)
    task = asyncio.create_task(node.run_async())
    while not node.trader.is_running:
        await asyncio.sleep(0.001)
    os.write(1, b"NOW-TRADING\\n")
    await task

asyncio.run(main())
"""


class Ours:
    """Starts engines over REST and hears when they trade."""

    def __init__(self, connection: Connection, fleet: Flotilla) -> None:
        self._connection = connection
        self._fleet = fleet
        self._token = Path(connection.token_file).read_text().strip()

    async def start(self, instance_id: str) -> float:
        """Seconds from the request to trading; the engine is left running."""
        trading = asyncio.Event()

        async def hear(event: EngineEvent[StateChange], _: object) -> None:
            if event.data.state == RunState.TRADING:
                trading.set()

        listener = await self._fleet.bus.listen(contract.STATE, hear, instance_id=instance_id)
        started = time.perf_counter()
        await asyncio.to_thread(self._post, instance_id)
        async with asyncio.timeout(60):
            await trading.wait()
        took = time.perf_counter() - started
        await listener.close()
        return took

    def _post(self, instance_id: str) -> None:
        request = urllib.request.Request(  # noqa: S310
            f"{self._connection.http_url}/api/v1/nautilus/engine/start",
            data=json.dumps({"config": {**CONFIG, "instance_id": instance_id}}).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()


def by_hand(client: Any, config: dict[str, Any], host_config: dict[str, Any], plan: EnginePlan) -> float:
    """Seconds from `docker create` to a running trader in the same container."""
    node = {**plan.node, "trader_id": plan.trader_id, "strategies": list(plan.strategies)}
    for data_client in node["data_clients"].values():
        data_client["config"] = {**data_client["config"], "catalog_path": "/app/data"}
    # The sidecar finds out which currency an account counts in; by hand it is written down.
    for exec_client in node["exec_clients"].values():
        amounts = [
            f"{each.partition(' ')[0]} {CURRENCY}" for each in exec_client["config"]["starting_balances"]
        ]
        exec_client["config"] |= {"starting_balances": amounts, "base_currency": CURRENCY}
    command = ["/venv/bin/python", "-c", BY_HAND, json.dumps(node), json.dumps(plan.exec_factories)]
    body = {
        **config,
        "Entrypoint": command,
        "Cmd": None,
        "OpenStdin": False,
        "AttachStdin": False,
        "StdinOnce": False,
    }
    body["Labels"] = {}
    started = time.perf_counter()
    made = client.create_container_from_config(
        {**body, "HostConfig": host_config}, name=f"by-hand-{time.monotonic_ns()}"
    )
    try:
        lines = client.attach(made, stream=True, stdout=True, stderr=True, logs=True)
        client.start(made)
        heard = b""
        for line in lines:
            heard += line
            if b"NOW-TRADING" in heard:
                return time.perf_counter() - started
            if time.perf_counter() - started > HAND_LIMIT_S:
                break
        raise RuntimeError(f"it ended without trading:\n{heard.decode()}")
    finally:
        client.remove_container(made, force=True)


async def plan_of(connection: Connection) -> EnginePlan:
    """What our engine runs, rendered by the orchestrator's own code."""
    template_set = await TemplateFiles([Path("templates")]).template_set()
    known = Known.of((await CatalogFolder(Path(connection.catalog)).view()).entries)
    config = msgspec.convert({**CONFIG, "instance_id": "by-hand"}, EngineConfig)
    return render(config, template_set, known, session_id=new_session_id(datetime.now(UTC))).plan


async def measure(connection: Connection) -> int:
    """Interleaved rounds; the first of each is not counted."""
    client = docker.APIClient(timeout=60)
    plan = await plan_of(connection)
    mine: list[float] = []
    theirs: list[float] = []
    async with Flotilla.connect(connection) as fleet:
        ours = Ours(connection, fleet)
        for number in range(ROUNDS + 1):
            instance_id = f"bench-{number}"
            mine.append(await ours.start(instance_id))
            container = (await fleet.containers()).containers[0]
            seen = client.inspect_container(container.name)
            await fleet.stop_engine(instance_id, force=True)
            await fleet.wait_for(instance_id, {RunState.STOPPED, RunState.FAILED}, timeout_s=30)
            theirs.append(await asyncio.to_thread(by_hand, client, seen["Config"], seen["HostConfig"], plan))
            sys.stderr.write(f"round {number}: ours {mine[-1]:.2f} s, by hand {theirs[-1]:.2f} s\n")
    client.close()
    return report("cold start", statistics.median(mine[1:]), statistics.median(theirs[1:]), "s", LIMIT)


def main() -> int:
    """Needs a Docker engine and the engine image; 1 when the ratio is over the limit."""
    with running_stack("docker") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
