"""An emergency stop of the whole fleet, asked of every supervisor in sight: it needs neither gateway, orchestrator nor database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from nats import errors
from nats.aio.msg import Msg

from bus.bus import Bus
from bus.logs import get_logger
from bus.tasks import Tasks
from schemas.contract import HOST_EMERGENCY_STOP, HOST_HEARTBEAT, HOST_LIFT_STOP, Actor
from schemas.fault import FaultCode, FaultError, fault
from schemas.ids import is_id
from schemas.session import (
    EmergencyReceipt,
    EmergencyStop,
    FleetStopped,
    HostStopped,
    LiftStop,
    StopFlags,
)
from schemas.telemetry import HostHeartbeat, StopFlag

log = get_logger(__name__)

SEARCH_S: Final = 1.2
"""How long hosts are looked for: every supervisor beats once a second."""
ANSWER_S: Final = 30.0
"""What killing and answering may take a host after the deadline of a stop."""


class _Ping(msgspec.Struct, frozen=True):
    """A supervisor's answer to $SRV.PING."""

    metadata: dict[str, str] = {}


async def stop_fleet(bus: Bus, request: EmergencyStop, *, known_hosts: Iterable[str] = ()) -> FleetStopped:
    """Asks each host to set its stop flag and to make what it names flat and gone; each begins as soon as it is found.

    `known_hosts` are asked too, whether in sight or not. A host that does not answer as it should is `unreached`. Raises
    FaultError `unavailable` without a bus, and for nothing else.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def ask(host: str) -> HostStopped:
        timeout_s = request.deadline_s + ANSWER_S
        return await bus.call(HOST_EMERGENCY_STOP, request, timeout_s=timeout_s, host=host)

    answers, unreached = await _ask_every_host(bus, ask, known_hosts)
    return FleetStopped(
        receipts=_by_engine(receipt for answer in answers for receipt in answer.receipts),
        flags=_merged(answer.flags for answer in answers),
        unreached=unreached,
        milliseconds=round((loop.time() - began) * 1000, 3),
    )


async def lift_stops(bus: Bus, request: LiftStop, *, known_hosts: Iterable[str] = ()) -> StopFlags:
    """Lifts flags on each host; answers with those that are still in force anywhere. See stop_fleet for `unreached`."""

    async def ask(host: str) -> StopFlags:
        return await bus.call(HOST_LIFT_STOP, request, host=host)

    answers, unreached = await _ask_every_host(bus, ask, known_hosts)
    return StopFlags(flags=_merged(answer.flags for answer in answers), unreached=unreached)


async def _ask_every_host[R](
    bus: Bus, ask: Callable[[str], Awaitable[R]], known_hosts: Iterable[str]
) -> tuple[list[R], tuple[str, ...]]:
    answers: list[R] = []
    unreached: set[str] = set()
    seen: set[str] = set()
    asking = Tasks()

    async def ask_one(host: str) -> None:
        try:
            answers.append(await ask(host))
        except (FaultError, msgspec.DecodeError) as error:
            log.warning("host did not do what all were asked", host=host, error=str(error))
            unreached.add(host)

    def found(host: str) -> None:
        if is_id(host) and host not in seen:
            seen.add(host)
            asking.start(ask_one(host), name=f"ask:{host}")

    try:
        for host in known_hosts:
            found(host)
        async with _looking_for_hosts(bus, found):
            await asyncio.sleep(SEARCH_S)
        await asking.join()
    finally:
        await asking.close()
    return answers, tuple(sorted(unreached))


@asynccontextmanager
async def _looking_for_hosts(bus: Bus, found: Callable[[str], None]) -> AsyncIterator[None]:
    """Tells of every host that answers a ping or beats, possibly more than once. Raises FaultError `unavailable`."""

    async def beat(_: HostHeartbeat, ids: Mapping[str, str]) -> None:
        found(ids.get("host", ""))

    async def answered(message: Msg) -> None:
        try:
            found(msgspec.json.decode(message.data, type=_Ping).metadata.get("host", ""))
        except msgspec.DecodeError as error:
            log.warning("unreadable answer to a ping", error=str(error))

    try:
        listener = await bus.listen(HOST_HEARTBEAT, beat)
        inbox = bus.client.new_inbox()
        pings = await bus.client.subscribe(inbox, cb=answered)
        await bus.client.publish(f"$SRV.PING.{Actor.SUPERVISOR}", reply=inbox)
    except (errors.Error, TimeoutError) as error:
        raise fault(FaultCode.UNAVAILABLE, f"the bus is away: {error!r}", retry_after_s=1.0) from error
    try:
        yield
    finally:
        await listener.close()
        if bus.is_connected:
            await pings.unsubscribe()


def _by_engine(receipts: Iterable[EmergencyReceipt]) -> tuple[EmergencyReceipt, ...]:
    return tuple(sorted(receipts, key=lambda receipt: (receipt.instance_id, receipt.session_id)))


def _merged(flags: Iterable[tuple[StopFlag, ...]]) -> tuple[StopFlag, ...]:
    """One per engine, the oldest of each: the hosts of a fleet set the same flag a moment apart."""
    oldest: dict[str | None, StopFlag] = {}
    for flag in (flag for each in flags for flag in each):
        if flag.instance_id not in oldest or flag.since < oldest[flag.instance_id].since:
            oldest[flag.instance_id] = flag
    return tuple(sorted(oldest.values(), key=lambda flag: flag.instance_id or ""))
