"""Kill points in the middle of fills: afterwards quantity, average price, orders and fills are compared with the ledger."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Final

from tests.venues.arena import Arena, Engine, kill
from tests.venues.judge import Session, of_start
from tests.venues.places import Place, until
from tests.venues.tally import Tally

KINDS: Final = ("engine", "sidecar", "container", "stack")
_MOST_FILL_MS: Final = 60


async def count(arena: Arena, place: Place, seed: int, each: int, kinds: Sequence[str] = KINDS) -> Tally:
    """`each` kill points of every kind, warm and cold side by side; one killed stack is one of each."""
    random = Random(seed)
    tally = Tally(f"kill points on {place.name}", seed, each * len(kinds) * 2)
    rounds = [kind for _ in range(each) for kind in kinds]
    number = 0
    while rounds:
        number += 1
        async with AsyncExitStack() as engines:
            pair = [
                await engines.enter_async_context(
                    arena.engine(f"{name}-{number}", place, random.randrange(1_000), warm=name == "warm")
                )
                for name in ("warm", "cold")
            ]
            # What went wrong stays wrong for that engine: the next point has new ones.
            while rounds and await _round(arena, pair, rounds.pop(0), random, tally):
                pass
    return tally


async def _round(arena: Arena, pair: Sequence[Engine], kind: str, random: Random, tally: Tally) -> bool:
    before = [list(each.sessions) for each in pair]
    pieces = [(random.randint(1, 3), random.randint(0, 3), random.uniform(0, _MOST_FILL_MS)) for _ in pair]
    if kind == "stack":
        orders = [await _filling(each, first, ms) for each, (first, _, ms) in zip(pair, pieces, strict=True)]
        arena.kill_everything()
        for each, order, (_, down, _) in zip(pair, orders, pieces, strict=True):
            await _fill(each, order, down)
        await arena.revive()
        points = [_verify(each, sessions) for each, sessions in zip(pair, before, strict=True)]
    else:
        points = [
            _point(each, kind, sessions, *some)
            for each, sessions, some in zip(pair, before, pieces, strict=True)
        ]
    are_right = await asyncio.gather(
        *(
            tally.take(f"{kind}, {each.name.partition('-')[0]}", each.name, point)
            for each, point in zip(pair, points, strict=True)
        )
    )
    return all(are_right)


async def _point(
    engine: Engine, kind: str, before: Sequence[str], first: int, down: int, ms: float
) -> tuple[list[str], str]:
    await _strike(engine, kind, first, down, ms)
    return await _verify(engine, before)


async def _strike(engine: Engine, kind: str, first: int, down: int, ms: float) -> None:
    processes = await engine.processes()
    order = await _filling(engine, first, ms)
    match kind:
        case "engine":
            kill([processes.engine])
        case "sidecar":
            kill([processes.sidecar])
        case _:
            kill(processes.all)
    await _fill(engine, order, down)


async def _filling(engine: Engine, pieces: int, ms: float) -> str:
    """Fills some of the order that rests, and waits for a moment that no step of the engine's is tied to."""

    async def resting() -> str | None:
        return next((each.id for each in (await engine.ledger()).orders if each.is_open), None)

    await engine.venue.control("conduct", parts=3)
    order = str(await until(resting, f"a resting order of {engine.name}"))
    await _fill(engine, order, pieces)
    await asyncio.sleep(ms / 1000)
    return order


async def _fill(engine: Engine, order: str, pieces: int) -> None:
    for _ in range(pieces):
        with suppress(AssertionError):  # the market came to it, and there is less left
            await engine.venue.control("fill", client_id=order, qty=engine.place.piece)


async def _verify(engine: Engine, before: Sequence[str]) -> tuple[list[str], str]:
    await engine.trades(after=before)
    ledger, sessions, wrong = await engine.settled()
    new = [each for each in sessions if each.id not in before]
    named = [said for each in new for said in _named(each)]
    wrong = [*wrong, *(blind for each in new for blind in of_start(ledger, each, until_ns=time.time_ns()))]
    wrong += [f"a mismatch without a name: {said!r}" for said in named if engine.place.instrument not in said]
    await engine.arena.fleet.resume_engine(engine.name)
    await engine.trades()
    return [f"{engine.name}: {each}" for each in wrong], "mismatch, named" if named else "agreed"


def _named(session: Session) -> list[str]:
    return [data["detail"] for _, data in session.of("state") if data["state"] == "mismatch"]
