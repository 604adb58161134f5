"""Engines of ours on exchanges of ours, as docs/venues.md tells a user to: their records have what the exchanges' ledgers have."""

import asyncio
import json
import random
import socket
import subprocess
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final

from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.states import RunState
from tests.e2e.engines import eventually, record_is_complete
from tests.e2e.stacks import RunningStack
from tests.integration.exchanges.desks import okx_secret
from tests.integration.exchanges.engines import trades_in
from tests.integration.exchanges.ib_running import gateway_process
from tests.integration.exchanges.okx_running import OkxVenue
from tests.integration.exchanges.running import Trade, exchange

type Ledger = Callable[[], Awaitable[list[Trade]]]
STARTED_S: Final = 90.0
"""Three engines start at once, on a machine that may have other work."""
EMA = ("--strategy", "ema_cross", "--set", "fast_ema_period=1", "--set", "slow_ema_period=2")


def host_of(runtime: str) -> str:
    """Where an engine of that runtime finds this machine, and nobody outside of it does."""
    if runtime == "process":
        return "127.0.0.1"
    shown = subprocess.run(
        ["ip", "-j", "-4", "addr", "show", "docker0"], capture_output=True, text=True, check=True
    ).stdout
    address: str = json.loads(shown)[0]["addr_info"][0]["local"]
    return address


def paper_port(host: str) -> int:
    """The one of both ports of paper trading that nobody has there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, 4002))
        except OSError:
            return 7497
    return 4002


async def started(stack: RunningStack, name: str, venue: str, bars: str, *more: str) -> str:
    """Starts an engine by the command of the page; the id of its session."""
    instrument = bars.rsplit("-", 4)[0]
    arguments = (
        "engine", "start", name, "--template", "live_engine", "--type", "live", "--mode", "paper", "--venue", venue,
        *EMA, "--set", f"instrument_id={instrument}", "--set", f"bar_type={bars}", *more,
    )  # fmt: skip
    told = await asyncio.to_thread(stack.json, *arguments)
    session: str = told["accepted"]["session_id"]
    return session


async def stores(stack: RunningStack, name: str, adapter: str, fields: dict[str, Any]) -> None:
    """Stores the secret of an exchange of ours."""
    options = ("secret", "set", name, "--adapter", adapter, "--test-exchange")
    done = await asyncio.to_thread(stack.cli, *options, stdin=json.dumps(fields))
    assert done.returncode == 0, done.stderr


async def trades_and_stops(
    stack: RunningStack,
    fleet: Flotilla,
    name: str,
    session: str,
    ledger: Ledger,
    bar: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Waits until it holds something, has it flattened, and compares its record with the ledger, trade by trade."""
    await fleet.wait_for(name, (RunState.TRADING,), session_id=session, timeout_s=STARTED_S)

    async def holds() -> bool:
        if bar is not None:
            await bar()
        view = await fleet.engine(name)
        return view.metrics is not None and view.metrics.fills_total >= 3

    await eventually(holds, 60, f"{name} fills")
    done = await asyncio.to_thread(stack.cli, "engine", "stop", name, "--policy", "flatten")
    assert done.returncode == 0, done.stderr
    view = await fleet.wait_for(name, ENDED, session_id=session, timeout_s=60)
    assert view.session is not None
    assert view.session.state == RunState.STOPPED, view.session
    assert view.session.last_seq is not None
    await record_is_complete(fleet, name, session, view.session.last_seq)
    recorded = {
        kind: [each.data async for each in fleet.all_events(name, session_id=session, kind=kind)]
        for kind in ("fill", "order", "position")
    }
    assert trades_in(recorded["fill"]) == await ledger()
    assert any(each["status"] == "PARTIALLY_FILLED" for each in recorded["order"])
    assert_positions_follow(recorded["fill"], recorded["position"])


def assert_positions_follow(fills: list[dict[str, Any]], positions: list[dict[str, Any]]) -> None:
    """Each fill made the position what all fills until then add up to, and the last one left nothing."""
    signed = [Decimal(each["last_qty"]) * (1 if each["side"] == "BUY" else -1) for each in fills]
    held = [Decimal(each["signed_qty"]) for each in positions]
    assert held == list(accumulate(signed))
    assert len(held) >= 4
    assert held[-1] == 0


async def on_binance(stack: RunningStack, fleet: Flotilla) -> None:
    async with exchange(host=host_of(stack.runtime)) as venue:
        await venue.control("conduct", parts=3)
        addresses = {"base_url_http": venue.http, "base_url_ws": venue.ws, "base_url_ws_stream": venue.ws}
        await stores(
            stack, "on_binance", "binance", {"api_key": "test-key", "api_secret": "test-secret", **addresses}
        )
        chosen = "BINANCE=binance,secret=on_binance,account_type=USDT_FUTURES"
        bars = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
        session = await started(stack, "on-binance", chosen, bars, "--set", "trade_size=0.03")

        async def bar() -> None:
            await venue.control("bar", symbol="BTCUSDT", interval="1m")

        await trades_and_stops(stack, fleet, "on-binance", session, venue.trades, bar)
        assert (await venue.account())["positions"] == []


async def on_okx(stack: RunningStack, fleet: Flotilla) -> None:
    host = host_of(stack.runtime)
    async with exchange(module="exchanges.okx", venue=OkxVenue, host=host) as venue:
        await venue.control("conduct", parts=3)
        await stores(stack, "on_okx", "okx", okx_secret(venue.http, venue.ws))
        chosen = 'OKX=okx,secret=on_okx,instrument_types=["SWAP"],execution={"margin_mode":"CROSS"}'
        bars = "BTC-USDT-SWAP.OKX-1-MINUTE-LAST-EXTERNAL"
        session = await started(stack, "on-okx", chosen, bars, "--set", "trade_size=3")

        async def bar() -> None:
            await venue.control("bar", instrument="BTC-USDT-SWAP", interval="1m")

        await trades_and_stops(stack, fleet, "on-okx", session, venue.trades, bar)
        assert (await venue.account())["positions"] == []


async def on_interactive_brokers(stack: RunningStack, fleet: Flotilla) -> None:
    """Paper trading is at ports of its own there, so that the gateway has an address of its own where it can have one."""
    host = host_of(stack.runtime)
    if host == "127.0.0.1":
        host = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.2"
    async with gateway_process(host=host, port=paper_port(host)) as gateway:
        await gateway.control("conduct", parts=3)
        chosen = f"IB=interactive_brokers,account=DU1234567,ibg_host={host},ibg_port={gateway.port}"
        bars = "AAPL.NASDAQ-5-SECOND-LAST-EXTERNAL"
        session = await started(stack, "on-ib", chosen, bars, "--set", "trade_size=30")
        await trades_and_stops(stack, fleet, "on-ib", session, gateway.trades)
        assert await gateway.held() == 0


async def test_engines_trade_on_each_exchange(stack: RunningStack, fleet: Flotilla) -> None:
    """Side by side, since each of them mostly waits."""
    async with asyncio.TaskGroup() as tasks:
        for trades_on in (on_binance, on_okx, on_interactive_brokers):
            tasks.create_task(trades_on(stack, fleet), name=trades_on.__name__)
