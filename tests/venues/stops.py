"""Stops by each policy at an exchange in each mood: what is said of them is compared with what the exchange has."""

import asyncio
from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Final

from flotilla.client.client import ENDED
from flotilla.schemas.states import StopPolicy
from tests.venues.arena import Arena, Engine
from tests.venues.judge import Ended, of_stop
from tests.venues.places import Place, until
from tests.venues.tally import Tally

MOODS: Final = ("acknowledges", "rejects", "silent", "down")
ALL: Final = tuple(product(StopPolicy, MOODS))
_BOUND_S: Final = 60.0

type Cell = tuple[StopPolicy, str]


async def count(arena: Arena, place: Place, seed: int, cells: Sequence[Cell], at_once: int = 2) -> Tally:
    """A stop of each policy in each mood that `cells` has, so many at once, each of an engine and an exchange of its own."""
    random = Random(seed)
    tally = Tally(f"stops on {place.name}", seed, len(cells))
    numbered = iter(enumerate(cells))

    async def work() -> None:
        for number, (policy, mood) in numbered:
            name = f"stop-{number}"
            await tally.take(f"{policy}, {mood}", name, _one(arena, place, name, policy, mood, random))

    async with asyncio.TaskGroup() as tasks:
        for number in range(at_once):
            tasks.create_task(work(), name=f"stops {number}")
    return tally


async def _one(
    arena: Arena, place: Place, name: str, policy: StopPolicy, mood: str, random: Random
) -> tuple[list[str], str]:
    async with arena.engine(name, place, random.randrange(1_000), warm=random.random() < 0.5) as engine:
        await until(lambda: _is_in(engine), f"{name} holds something")
        await make(engine, mood, random)
        try:
            return await stop(engine, policy, mood)
        finally:
            await make(engine, "acknowledges", random)


async def stop(engine: Engine, policy: StopPolicy, mood: str) -> tuple[list[str], str]:
    """Stops it and judges what was said of it, with a word on what that was."""
    accepted = await engine.arena.fleet.stop_engine(engine.name, policy=policy)
    view = await engine.arena.fleet.wait_for(
        engine.name, ENDED, session_id=accepted.session_id, timeout_s=_BOUND_S
    )
    session = view.session
    assert session is not None
    is_flat = session.stop is not None and session.stop.is_flat
    ended = Ended(str(policy), str(session.state), is_flat, session.not_confirmed)
    wrong = of_stop(await engine.ledger(), ended)
    if mood == "acknowledges" and not ended.is_success:
        wrong.append(f"no success, though the exchange did all it was asked: {ended}, {session.detail}")
    wrong = [f"{engine.name} ({policy}, {mood}): {each}" for each in wrong]
    return wrong, "said to be done" if ended.is_success else "said to be unconfirmed"


async def make(engine: Engine, mood: str, random: Random) -> None:
    """Puts an exchange into a mood."""
    control, place = engine.venue.control, engine.place
    match mood:
        case "rejects":
            for on in place.orders:
                await control("fault", on=on, kind="reject", **random.choice(place.refusals))
        case "silent":
            for on in place.orders:
                await control("fault", on=on, kind=random.choice(("hang", "silent")))
        case "down":
            await control("down")
        case _:
            await control("up")
            await control("clear")


async def _is_in(engine: Engine) -> bool:
    ledger = await engine.ledger()
    return bool(ledger.position.qty) and any(each.is_open for each in ledger.orders)
