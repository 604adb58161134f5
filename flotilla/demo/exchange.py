"""The Binance exchange of this repository as a process of its own, and its ledger."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from flotilla.stack.servers.child import Child
from flotilla.state.errors import StackError
from flotilla.state.programs import python

KEY: Final = "test-key"
SECRET: Final = "test-secret"  # noqa: S105 - what everybody knows, of an exchange without money
_MODULE: Final = "exchanges.binance"
_PORTS: Final = re.compile(r"on port (\d+), control on port (\d+)")
_START_S: Final = 20.0
_ANSWER_S: Final = 10.0


class LedgerFill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade as the exchange has it; figures as it writes them."""

    trade_id: str
    side: str
    quantity: str
    price: str
    fee: str


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The account at the exchange: its trades, in order, what is open, and its money (USDT)."""

    fills: tuple[LedgerFill, ...]
    positions: int
    open_orders: int
    wallet: str


class Exchange:
    """One that runs; `port` is the venue's, `control` that of its ledger and faults."""

    def __init__(self, port: int, control: int) -> None:
        self.port, self._control = port, control

    @property
    def secret(self) -> dict[str, str]:
        """What an engine needs to trade on it: a key, and where."""
        http, ws = f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}"
        keys = {"api_key": KEY, "api_secret": SECRET}
        return {**keys, "base_url_http": http, "base_url_ws": ws, "base_url_ws_stream": ws}

    async def ledger(self) -> Ledger:
        """Its own account of all that was traded. Raises StackError."""
        return _ledger((await self._ask("ledger"))["accounts"]["main"])

    async def close_bars(self, symbol: str, every_s: float) -> None:
        """Has it close a bar of a minute every so often, so that nobody waits for minutes; until cancelled. Raises StackError."""
        while True:
            await asyncio.sleep(every_s)
            await self._ask("bar", symbol=symbol)

    async def _ask(self, verb: str, **body: str) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(self._answer, verb, body)
        except OSError as error:
            raise StackError(f"the exchange does not answer to {verb}: {error}") from None

    def _answer(self, verb: str, body: dict[str, str]) -> dict[str, Any]:
        request = Request(
            f"http://127.0.0.1:{self._control}/{verb}",
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        )
        # A proxy of the user's knows nothing of this machine's ports.
        with build_opener(ProxyHandler({})).open(request, timeout=_ANSWER_S) as response:
            found: dict[str, Any] = msgspec.json.decode(response.read())
        return found


def _ledger(account: dict[str, Any]) -> Ledger:
    working = ("NEW", "PARTIALLY_FILLED")
    return Ledger(
        fills=tuple(
            LedgerFill(
                trade_id=str(each["id"]),
                side=each["side"],
                quantity=each["qty"],
                price=each["price"],
                fee=each["commission"],
            )
            for each in account["fills"]
        ),
        positions=len(account["positions"]),
        open_orders=sum(order["status"] in working for order in account["orders"]),
        wallet=account["wallet"],
    )


def require_exchange() -> None:
    """Raises StackError where this is no checkout: the exchanges are not part of what is installed."""
    if find_spec("exchanges") is None:
        raise StackError(
            "the exchanges are not here: they are part of the repository, not of the package",
            'clone the repository, and run `make demo ARGS="--venue"` in it',
        )


@asynccontextmanager
async def running_exchange(folder: Path) -> AsyncIterator[Exchange]:
    """Runs it on free ports of this machine until the block ends; its log is in `folder`. Raises StackError."""
    argv = python("-m", _MODULE, "--port", "0", "--control-port", "0", "--interval", "0.1")
    child = Child("exchange", argv, folder / "exchange.log")
    child.start()
    try:
        yield Exchange(*await _ports(child))
    finally:
        await asyncio.to_thread(child.stop)


async def _ports(child: Child) -> tuple[int, int]:
    deadline = asyncio.get_running_loop().time() + _START_S
    while asyncio.get_running_loop().time() < deadline and child.exit_code is None:
        if found := _PORTS.search(child.log_tail()):
            return int(found[1]), int(found[2])
        await asyncio.sleep(0.05)
    raise StackError(f"the exchange did not start:\n{child.log_tail()}")
