"""Engines of ours on exchanges of ours, as docs/venues.md tells a user to: their records have what the exchanges' ledgers have."""

import asyncio
import json
import random
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

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
    await fleet.wait_for(name, (RunState.TRADING,), session_id=session, timeout_s=60)

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
    recorded = [each.data async for each in fleet.all_events(name, session_id=session, kind="fill")]
    assert len(recorded) >= 4
    assert trades_in(recorded) == await ledger()


async def on_binance(stack: RunningStack, fleet: Flotilla) -> None:
    async with exchange("--interval", "0.05", host=host_of(stack.runtime)) as venue:
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
    async with exchange("--interval", "0.05", module="exchanges.okx", venue=OkxVenue) as venue:
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
    """Paper trading is at its own ports there, so that the gateway has an address of its own."""
    host = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.2"
    async with gateway_process("--interval", "0.05", host=host, port=4002) as gateway:
        await gateway.control("conduct", parts=3)
        chosen = f"IB=interactive_brokers,account=DU1234567,ibg_host={host}"
        bars = "AAPL.NASDAQ-5-SECOND-LAST-EXTERNAL"
        session = await started(stack, "on-ib", chosen, bars, "--set", "trade_size=30")
        await trades_and_stops(stack, fleet, "on-ib", session, gateway.trades)
        assert await gateway.held() == 0


async def test_an_engine_trades_on_the_binance_exchange(stack: RunningStack, fleet: Flotilla) -> None:
    await on_binance(stack, fleet)


@pytest.mark.parametrize("runtime", ["process"], indirect=True)
async def test_engines_trade_on_okx_and_at_interactive_brokers(stack: RunningStack, fleet: Flotilla) -> None:
    """Live trading in Docker differs from this in what the test before shows: how an engine reaches an exchange."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(on_okx(stack, fleet))
        tasks.create_task(on_interactive_brokers(stack, fleet))
