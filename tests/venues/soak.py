"""Four engines on two exchanges, with a fault every so often and a kill every so often: in the end the ledgers equal the events."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Final

from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import RunState
from tests.integration.exchanges.running import Venue
from tests.venues.arena import Arena, Engine, kill
from tests.venues.judge import of_start
from tests.venues.places import Place, running
from tests.venues.tally import Tally, say

ACCOUNTS: Final = ("one", "two")
KINDS: Final = ("engine", "sidecar", "container")


async def run(
    arena: Arena,
    places: Sequence[Place],
    seed: int,
    seconds: float,
    *,
    fault_every_s: float = 20.0,
    kill_every_s: float = 60.0,
) -> Tally:
    """Lets them trade for so long. Each row of the tally is an engine."""
    # Two, so that what one draws does not hang on when the other does.
    faults, kills = Random(seed), Random(seed + 1)
    async with AsyncExitStack() as exchanges:
        engines = []
        for number, place in enumerate(places):
            venue = await exchanges.enter_async_context(running(place, seed + number, ACCOUNTS))
            engines += [
                Engine(arena, f"soak-{number}-{account}", place, venue, account) for account in ACCOUNTS
            ]
        tally = Tally("soak", seed, len(engines))
        for engine in engines:
            await engine.start(warm=True)
        await asyncio.gather(*(engine.trades() for engine in engines))
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(_faults(engines, faults, fault_every_s), name="faults"),
                tasks.create_task(_kills(engines, kills, kill_every_s), name="kills"),
                *(tasks.create_task(_person(each), name=f"person of {each.name}") for each in engines),
            ]
            await asyncio.sleep(seconds)
            for task in beside:
                task.cancel()
        await _judge(engines, tally)
        await asyncio.gather(*(engine.end() for engine in engines))
    return tally


async def _faults(engines: Sequence[Engine], random: Random, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        engine = random.choice(engines)
        # A fault that lasts does so until the next one at that exchange.
        await engine.venue.control("clear")
        fault = random.choice(engine.place.chaos)
        say(f"  fault at {engine.place.name} of {engine.name}: {fault.do} {fault.body}")
        await engine.venue.control(fault.do, **fault.body)


async def _kills(engines: Sequence[Engine], random: Random, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        engine, kind = random.choice(engines), random.choice(KINDS)
        with suppress(FaultError, AssertionError, StopIteration, OSError):  # it is not up just now
            async with asyncio.timeout(5):
                processes = await engine.processes()
            chosen = {
                "engine": [processes.engine],
                "sidecar": [processes.sidecar],
                "container": processes.all,
            }
            kill(chosen[kind])
            say(f"  kill -9 of the {kind} of {engine.name}")


async def _person(engine: Engine) -> None:
    """Notes each session, and accepts what does not agree once it is said."""
    shown: set[tuple[str, str]] = set()
    while True:
        await asyncio.sleep(0.5)
        with suppress(FaultError):
            session = (await engine.view()).session
            if session is None or session.state != RunState.MISMATCH:
                continue
            key = session.session_id, session.detail or ""
            if key not in shown:
                shown.add(key)
                say(f"  {engine.name} said mismatch: {session.detail}")
                await engine.arena.fleet.accept_difference(engine.name)


async def _judge(engines: Sequence[Engine], tally: Tally) -> None:
    venues: list[Venue] = []
    for engine in engines:
        if engine.venue not in venues:
            venues.append(engine.venue)
            await engine.venue.control("up")
            await engine.venue.control("clear")
    for engine in engines:
        await tally.take(engine.name, engine.name, _verify(engine))


async def _verify(engine: Engine) -> tuple[list[str], str]:
    await engine.trades()
    ledger, sessions, wrong = await engine.settled(60.0)
    # One that was killed before it traded is answerable until the next began, which may trade.
    ends = [*(each.began_ns for each in sessions[1:]), time.time_ns()]
    for each, end_ns in zip(sessions, ends, strict=True):
        wrong += of_start(ledger, each, until_ns=end_ns)
    note = f"{len(ledger.trades)} trades, {len(ledger.orders)} orders, {len(sessions)} sessions"
    return [f"{engine.name}: {each}" for each in wrong], note
