"""Each fault of an exchange against an engine that trades: what was lost or doubled, and whether what it said meanwhile was true."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Final

from flotilla.schemas.fault import FaultError
from tests.venues.arena import UP_S, Arena, Engine
from tests.venues.judge import UNNAMED_S, Sample, Session, of_mismatch, of_named, of_states
from tests.venues.menus import MENUS, Fault
from tests.venues.places import Place, until
from tests.venues.tally import Tally

_SAMPLE_S: Final = 0.25
_RECOVERS_S: Final = 90.0
"""By when an engine trades again once a fault is over."""
_TOLD_S: Final = 60.0
"""By when all that happened is on record: a loaded machine is behind by more than half of that."""
_READS_S: Final = 5.0
"""How long the same has to differ before a person accepts it: what goes away by itself needs nobody."""


async def count(
    arena: Arena,
    place: Place,
    seed: int,
    seconds: float,
    faults: tuple[Fault, ...],
    at_once: int = 2,
) -> Tally:
    """Each fault for so many seconds, so many at once, each on an engine and an exchange of its own."""
    random = Random(seed)
    tally = Tally(f"faults of {place.name}", seed, len(faults))
    numbered = iter(enumerate(faults))

    async def work() -> None:
        for number, fault in numbered:
            name = f"fault-{number}"
            await tally.take(fault.name, name, _one(arena, place, name, fault, seconds, random))

    async with asyncio.TaskGroup() as tasks:
        for number in range(at_once):
            tasks.create_task(work(), name=f"faults {number}")
    return tally


async def _one(
    arena: Arena, place: Place, name: str, fault: Fault, seconds: float, random: Random
) -> tuple[list[str], str]:
    async with arena.engine(name, place, random.randrange(1_000)) as engine:
        return await endure(engine, fault, seconds)


async def endure(engine: Engine, fault: Fault, seconds: float) -> tuple[list[str], str]:
    """Lets one fault last, mends it, has a person decide, and judges: fills, orders, position, and what was said meanwhile."""
    menu = MENUS[engine.place.name]
    # A liquidation of nothing, for one, is none.
    await until(lambda: _holds(engine), f"{engine.name} holds something", UP_S)
    await engine.venue.control("conduct", parts=3)
    for verb, body in fault.verbs:
        await engine.venue.control(verb, **body)
    began_ns, watch = time.time_ns(), _Watch(engine)
    await watch.during(seconds / 3)
    await _take_what_rests(engine, menu.others)
    await watch.during(seconds * 2 / 3)
    wrong = of_states(watch.samples)
    if fault.is_end:
        await watch.during(10.0)
    else:
        for verb, body in menu.mending:
            await engine.venue.control(verb, **body)
        await watch.during(UNNAMED_S if fault.is_for_a_person else 0.0, until="mismatch")
        await engine.trades(_RECOVERS_S, reads_s=_READS_S)
    ledger, sessions, differing = await engine.settled(_TOLD_S, by_hand=menu.others, accepted=engine.accepted)
    wrong += [*differing, *of_named(ledger, engine.place.instrument, _named(sessions))]
    if fault.is_foreign:
        wrong += of_mismatch(sessions, began_ns)
    if engine.accepted and not fault.is_for_a_person:
        wrong.append(f"it could not go on without a person, who read {engine.accepted}")
    states = sorted({each.state for each in watch.samples})
    note = "said " + ", ".join(states) + (", accepted" if engine.accepted else "")
    return [f"{engine.name} ({fault.name}): {each}" for each in wrong], note


async def _holds(engine: Engine) -> bool:
    ledger = await engine.ledger()
    return bool(ledger.position.qty) and any(order.is_open for order in ledger.orders)


def _named(sessions: Sequence[Session]) -> list[str]:
    return [
        data["detail"] for each in sessions for _, data in each.of("state") if data["state"] == "mismatch"
    ]


async def _take_what_rests(engine: Engine, others: tuple[str, ...]) -> None:
    """The market takes the engine's resting orders whole, so that it has to learn of that too, and sends new ones."""
    for order in (await engine.ledger()).orders:
        if order.is_open and not order.id.startswith(others):
            with suppress(AssertionError):  # it has ended meanwhile
                await engine.venue.control("fill", client_id=order.id)


class _Watch:
    """Looks at what an engine says, and at what is there."""

    def __init__(self, engine: Engine) -> None:
        self.samples: list[Sample] = []
        self._engine, self._began, self._known = engine, time.monotonic(), 0

    async def during(self, seconds: float, until: str = "") -> None:
        """Looks for so long, or until it says that state."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and (not self.samples or self.samples[-1].state != until):
            with suppress(FaultError):
                await self._look()
            await asyncio.sleep(_SAMPLE_S)

    async def _look(self) -> None:
        view, instrument = await self._engine.view(), self._engine.place.instrument
        state = str(view.session.state) if view.session else "none"
        told = view.metrics.net_positions.get(instrument, "0") if view.metrics else "0"
        held = (await self._engine.ledger()).held
        at_s = time.monotonic() - self._began
        self.samples.append(Sample(at_s, state, view.problems, held[self._known :], Decimal(told)))
        self._known = len(held)
