"""A private stream that is cut: what happened meanwhile is named soon, and nothing is invented, however often it happens.

FLOTILLA_RECONNECTS and FLOTILLA_RESTARTS say how often, for long runs: 50 and 20.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

import pytest

from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.states import RunState, StopPolicy
from tests.engine_processes import ZygoteProcess
from tests.integration.exchanges.engines import INSTRUMENT, Engine, run_on
from tests.integration.exchanges.ib_running import gateway_here
from tests.integration.exchanges.okx_running import exchange_here as okx_here
from tests.integration.exchanges.running import CHECKOUT, Venue, exchange_here

RECONNECTS: Final = int(os.environ.get("FLOTILLA_RECONNECTS", "3"))
RESTARTS: Final = int(os.environ.get("FLOTILLA_RESTARTS", "2"))
NAMED_S: Final = 10.0


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as made:
        yield made


async def test_what_others_did_while_the_private_stream_was_cut_is_named_within_10_s(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    engine = Engine(zygote, run_on(venue))
    await engine.net("0.030")
    await venue.control("stream", mute=True)
    began = time.monotonic()
    await venue.control("hand_position", symbol="BTCUSDT", qty="-0.010", price="50000")
    await venue.control("hand_position", symbol="ETHUSDT", qty="0.5", price="2000")
    await venue.control("cut", which="private")
    await venue.control("stream", mute=False)
    told = await engine.phase(RunState.MISMATCH, NAMED_S)
    by_hand = f"{INSTRUMENT} is 0.020, and by the engine's own orders it would be 0.030"
    elsewhere = "ETHUSDT-PERP.BINANCE is 0.5 at the venue, 0 in the engine"
    while by_hand not in told.detail or elsewhere not in told.detail:
        told = await engine.phase(RunState.MISMATCH, NAMED_S)
    assert time.monotonic() - began < NAMED_S
    await engine.until(lambda _: _reconnects(engine) == 1 or None)
    engine.process.send(Stop(StopPolicy.LEAVE, 10.0))
    await engine.ended()


async def test_no_reconnect_and_no_restart_invents_a_position(
    zygote: ZygoteProcess, venue: Venue, cache: CacheAccess
) -> None:
    engine = Engine(zygote, run_on(venue, cache=cache))
    await engine.net("0.030")
    # Binance's adapter asks for all that it has at each reconnect: so many in a minute are more than the venue takes.
    await venue.control("limits", weight=1_000_000)
    for number in range(1, RECONNECTS + 1):
        await venue.control("cut", which="private")
        await engine.until(lambda _, number=number: _reconnects(engine) == number or None)
    opened = _opened(engine)
    assert opened == [("0.030", "PositionOpened")]
    for number in range(RESTARTS):
        await _end(engine, is_killed=number % 2 == 0)
        assert RunState.MISMATCH not in engine.phases()
        engine = Engine(zygote, run_on(venue, cache=cache, session=f"session-{number + 2}"))
        await engine.phase(RunState.TRADING)
        await engine.net("0.030")
        assert _opened(engine) == [("0.030", "PositionRestored")], number
    asked = len(await venue.control("requests"))
    engine.process.send(Stop(StopPolicy.FLATTEN, 10.0))
    ended = await engine.ended()
    assert (ended.not_confirmed, ended.stop and ended.stop.is_flat) == ((), True)
    assert RunState.MISMATCH not in engine.phases()
    sent = await venue.control("requests", since=asked)
    orders = [each["status"] for each in sent if each["path"] == "/fapi/v1/order" and each["method"] != "GET"]
    assert orders == [200], "one order closes it, and none is refused"
    account = await venue.account()
    assert [each for each in account["positions"] if Decimal(each["amount"])] == []
    assert len(account["fills"]) == 2


async def _end(engine: Engine, *, is_killed: bool) -> None:
    if is_killed:
        os.kill(engine.process.pid, signal.SIGKILL)
        await asyncio.to_thread(engine.process.until_exited)
    else:
        engine.process.send(Stop(StopPolicy.LEAVE, 10.0))
        await engine.ended()


def _reconnects(engine: Engine) -> int | None:
    measured = engine.process.metrics()
    return measured[-1].reconnects.get("BINANCE") if measured else None


def _opened(engine: Engine) -> list[tuple[Any, Any]]:
    """What positions it said that it has, but for changes of size."""
    return [
        (each["signed_qty"], each["event"])
        for each in engine.positions()
        if each["event"] != "PositionChanged"
    ]


async def test_a_reconnect_of_okx_is_seen_though_its_adapter_says_nothing() -> None:
    async with okx_here() as okx, _watched("okx", okx.port) as next_count:
        assert await next_count() == 0
        for number in (1, 2):
            await okx.control("cut", which="private")
            assert await next_count() == number


async def test_a_gateway_that_lost_its_venue_for_a_moment_is_seen() -> None:
    async with gateway_here() as gateway, _watched("ib", gateway.port) as next_count:
        assert await next_count() == 0
        await gateway.control("lose", what="venue", code=1100)
        await gateway.control("restore", what="venue", data_lost=True)
        assert await next_count() == 1


@asynccontextmanager
async def _watched(venue: str, port: int) -> AsyncIterator[Callable[[], Coroutine[Any, Any, int]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.exchanges.watched", venue, str(port),
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    output = process.stdout
    assert output is not None

    async def next_count() -> int:
        while True:
            line = await asyncio.wait_for(output.readline(), 40.0)
            assert line, "the node has ended"
            if line.strip().isdigit():
                return int(line)

    try:
        yield next_count
    finally:
        process.kill()
        await process.wait()
