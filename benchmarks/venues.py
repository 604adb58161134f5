"""Exchanges and bare nodes as processes, for figures about venues."""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from flotilla.state.settings import Connection

INSTRUMENT = "BTCUSDT-PERP.BINANCE"
KEYS = {"api_key": "test-key", "api_secret": "test-secret"}


class ExchangeProcess:
    """`python -m exchanges.binance` on free ports, as its control tells of it."""

    def __init__(self, port: int, control_port: int) -> None:
        self.port = port
        self._control = f"http://127.0.0.1:{control_port}"

    def control(self, verb: str, **body: object) -> Any:
        """What a verb of the control finds."""
        asked = urllib.request.Request(f"{self._control}/{verb}", data=json.dumps(body).encode())  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def account(self) -> Any:
        """Orders, fills and positions of the account."""
        return self.control("ledger")["accounts"]["main"]

    def keep_secret(self, connection: Connection, name: str) -> None:
        """Stores where it is, with its keys, in the stack's secrets."""
        ws = f"ws://127.0.0.1:{self.port}"
        fields = KEYS | {
            "base_url_http": f"http://127.0.0.1:{self.port}",
            "base_url_ws": ws,
            "base_url_ws_stream": ws,
        }
        state = str(Path(connection.token_file).parent)
        arguments = ("--state", state, "secret", "set", name, "--adapter", "binance", "--test-exchange")
        subprocess.run(
            [sys.executable, "-m", "flotilla", *arguments],
            input=json.dumps(fields).encode(),
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextmanager
def exchange() -> Iterator[ExchangeProcess]:
    """One that is ready, and ends with this."""
    command = [sys.executable, "-m", "exchanges.binance", "--port", "0", "--control-port", "0", "--quiet"]
    # A session of its own has its own share of a busy machine, as engines of ours and bare nodes do: exchanges are elsewhere.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            ports = re.findall(r"port (\d+)", _given(process.stdout).readline())
            yield ExchangeProcess(int(ports[0]), int(ports[1]))
        finally:
            process.terminate()


class BareNode:
    """A bare node's process: what it tells, line by line."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def next(self, kind: str) -> dict[str, Any]:
        """The next line of a kind. Raises RuntimeError when it ended."""
        while line := await _given(self._process.stdout).readline():
            said: dict[str, Any] = json.loads(line)
            if said["kind"] == kind:
                return said
        raise RuntimeError(f"the bare node ended before its next {kind}")

    def flatten(self) -> None:
        """Tells it to, and to end then."""
        _given(self._process.stdin).write(b"\n")

    async def ended(self) -> None:
        """Its process has ended."""
        await self._process.wait()


@asynccontextmanager
async def bare_node(port: int, orders: int) -> AsyncIterator[BareNode]:
    """One that trades so many orders, and ends with this."""
    command = (sys.executable, "-m", "benchmarks.bare_node", str(port), str(orders))
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
    try:
        yield BareNode(process)
    finally:
        _given(process.stdin).close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


def engine_on(
    secret: str, strategy: str, instance_id: str, orders: int, *, keeps_state: bool | None = None
) -> EngineConfig:
    """An engine of ours with the same strategy on the exchange of that secret."""
    return EngineConfig(
        engine_type="live",
        trading_mode="paper",
        template="live_engine",
        instance_id=instance_id,
        use_cache_database=keeps_state,
        venues=(
            VenueChoice(
                name="BINANCE", adapter="binance", secret=secret, config={"account_type": "USDT_FUTURES"}
            ),
        ),
        strategies=(
            StrategyChoice(template=strategy, parameters={"instrument_id": INSTRUMENT, "orders": orders}),
        ),
    )


def _given[T](pipe: T | None) -> T:
    if pipe is None:
        raise RuntimeError("the process has no pipe")
    return pipe
