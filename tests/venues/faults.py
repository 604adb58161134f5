"""Each fault of an exchange against an engine that trades: what was lost or doubled, and whether what it said meanwhile was true."""

import asyncio
import time
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any, Final

import msgspec

from flotilla.schemas.fault import FaultError
from tests.venues.arena import Arena, Engine
from tests.venues.judge import Sample, of_states
from tests.venues.places import Place
from tests.venues.tally import Tally

_SAMPLE_S: Final = 0.25
_RECOVERS_S: Final = 90.0
"""By when an engine trades again once a fault is over."""


class Fault(msgspec.Struct, frozen=True):
    """One of the exchange's list: verbs of its control. `is_foreign`: it changes the account, and a person has to know (`mismatch`).
    `is_end`: the engine cannot trade there any more afterwards.
    """

    name: str
    verbs: tuple[tuple[str, dict[str, Any]], ...]
    is_foreign: bool = False
    is_end: bool = False


def _requests(on: str, *kinds: str, **more: Any) -> list[Fault]:
    return [Fault(f"{kind} {on}", (("fault", {"on": on, "kind": kind, **more}),)) for kind in kinds]


_ORDER: Final = "POST /fapi/v1/order"
_HAND: Final = {"symbol": "BTCUSDT", "qty": "0.03", "price": "50000"}
_BY_HAND: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.02",
    "price": "40000",
}
BINANCE: Final = (
    *_requests(_ORDER, "refuse", "lost", "unknown"),
    *_requests(_ORDER, "reject", status=400, code=-2019, msg="Margin is insufficient."),
    *_requests(_ORDER, "hang", "late", "slow", "silent", seconds=2),
    *_requests("GET /fapi/v1/openOrders", "reject"),
    *_requests("GET /fapi/v3/positionRisk", "reject"),
    *_requests("*", "slow", seconds=1),
    *_requests("*", "refuse", "unknown", times=20),
    *(Fault(f"stream {name}", (("stream", {name: True}),)) for name in ("mute", "duplicate", "swap")),
    *(Fault(f"cut {which}", (("cut", {"which": which}),)) for which in ("private", "market", "all")),
    *(Fault(f"half open {which}", (("half_open", {"which": which}),)) for which in ("private", "market")),
    Fault("expired listen key", (("expire_listen_key", {}),)),
    Fault("stream cut while muted", (("stream", {"mute": True}), ("cut", {"which": "private"}))),
    Fault("down", (("down", {"seconds": 0}),)),
    Fault("maintenance", (("maintenance", {"seconds": 10}),)),
    Fault("ban", (("ban", {"seconds": 10}),)),
    Fault("limits", (("limits", {"weight": 100, "orders_minute": 20}),)),
    Fault("clock ahead", (("skew", {"ms": 3_000}),)),
    Fault("clock behind", (("skew", {"ms": -20_000}),)),
    Fault("held fills", (("conduct", {"hold_fills": True}),)),
    Fault("fills in parts", (("conduct", {"parts": 5}),)),
    Fault("fill after cancel", (("conduct", {"fill_after_cancel": 5}),)),
    Fault("halt", (("status", {"symbol": "BTCUSDT", "status": "TRADING_HALT"}),)),
    Fault("no permission", (("permission", {"can_trade": False}),)),
    Fault("deposit", (("transfer", {"amount": "1000"}),)),
    Fault("changed tick", (("tick", {"symbol": "BTCUSDT", "tick": "0.5", "step": "0.001"}),)),
    Fault("order by hand", (("place", {"order": _BY_HAND}),)),
    Fault("position by hand", (("hand_position", _HAND),), is_foreign=True),
    Fault("old position by hand", (("hand_position", {**_HAND, "age_days": 9}),), is_foreign=True),
    Fault("liquidation", (("liquidate", {}),), is_foreign=True),
    Fault("delisting", (("delist", {"symbol": "BTCUSDT"}),), is_foreign=True, is_end=True),
)
MENDING: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("up", {}),
    ("clear", {}),
    ("status", {"symbol": "BTCUSDT", "status": "TRADING"}),
    ("permission", {"can_trade": True}),
    ("tick", {"symbol": "BTCUSDT", "tick": "0.1", "step": "0.001"}),
)


async def count(
    arena: Arena,
    place: Place,
    seed: int,
    seconds: float,
    faults: tuple[Fault, ...] = BINANCE,
    at_once: int = 2,
) -> Tally:
    """Each fault for so many seconds, so many at once, each on an engine and an exchange of its own."""
    random = Random(seed)
    tally = Tally("faults", seed, len(faults))
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
    """Lets one fault last, mends it, and judges: fills, orders, position, and what was said meanwhile."""
    await engine.venue.control("conduct", parts=3)
    for verb, body in fault.verbs:
        await engine.venue.control(verb, **body)
    samples = await _watched(engine, seconds)
    if not fault.is_end:
        for verb, body in MENDING:
            await engine.venue.control(verb, **body)
    wrong = of_states(samples)
    if fault.is_end:
        samples += await _watched(engine, 10.0)
    elif fault.is_foreign:
        samples += await _watched(engine, 12.0)
        await engine.trades(_RECOVERS_S)
    else:
        await engine.trades(_RECOVERS_S, accepts=False)
    _, sessions, differing = await engine.settled(by_hand=("web_", "autoclose-", "settlement_"))
    wrong += differing
    said = {data["state"] for each in sessions for _, data in each.of("state")}
    if fault.is_foreign and "mismatch" not in said:
        wrong.append(f"somebody else changed the account, and it never said mismatch but {sorted(said)}")
    states = sorted({each.state for each in samples})
    return [f"{engine.name} ({fault.name}): {each}" for each in wrong], "said " + ", ".join(states)


async def _watched(engine: Engine, seconds: float) -> list[Sample]:
    """What it said, and what was, for so long."""
    began, found = time.monotonic(), list[Sample]()
    while (at := time.monotonic() - began) < seconds:
        with suppress(FaultError):
            view = await engine.view()
            state = str(view.session.state) if view.session else "none"
            told = view.metrics.net_positions.get(engine.place.instrument, "0") if view.metrics else "0"
            there = (await engine.ledger()).position.qty
            found.append(Sample(at, state, view.problems, there, Decimal(told)))
        await asyncio.sleep(_SAMPLE_S)
    return found
