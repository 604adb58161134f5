"""What the record says still runs after an emergency stop: engines on hosts that no longer answer, which no receipt can tell of."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.sightings import Sighted
from flotilla.schemas.config import WORKER_TEMPLATE
from flotilla.schemas.contract import ENGINE_LIST
from flotilla.schemas.engine import EngineView, ListEngines, SessionView
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import EmergencyReceipt, FleetStopped
from flotilla.schemas.telemetry import is_meant

_TIMEOUT_S: Final = 1.0
"""Less than hosts are looked for, so that a dead orchestrator delays nothing."""


async def active_engines(bus: Bus) -> tuple[EngineView, ...]:
    """The engines whose session has not ended, as far as the orchestrator says so in time; none when it does not."""
    request = ListEngines(active=True, limit=1000)
    try:
        return (await bus.call(ENGINE_LIST, request, timeout_s=_TIMEOUT_S)).engines
    except FaultError:
        # It is not needed for a stop; what it would add is said by nobody then.
        return ()


async def known_hosts(bus: Bus) -> set[str]:
    """Every host on which the record has the last session of an engine, ended or not; none when it does not say so in time."""
    try:
        known = await bus.call(ENGINE_LIST, ListEngines(limit=1000), timeout_s=_TIMEOUT_S)
    except FaultError:
        return set()
    return {one.session.host for one in known.engines if one.session and one.session.host}


def hosts_of(engines: Iterable[EngineView], instance_id: str | None) -> set[str]:
    """The hosts on which the record has a session of an engine that is meant."""
    return {session.host for session in _meant(engines, instance_id) if session.host}


def sessions_of(engines: Iterable[EngineView], instance_id: str | None) -> Iterator[Sighted]:
    """The sessions that the record has running, of the engines that are meant."""
    for session in _meant(engines, instance_id):
        if session.host is None:
            continue
        yield Sighted(session.instance_id, session.session_id, session.generation)


def with_unseen(
    done: FleetStopped,
    before: tuple[EngineView, ...],
    after: tuple[EngineView, ...],
    instance_id: str | None,
) -> FleetStopped:
    """The stop, with a receipt for each session that the record has running before and after it, and that nobody told of.

    Nothing is confirmed of such a session, and its host is among the `unreached`.
    """
    told = {one.session_id for one in done.receipts}
    left = {one.session.session_id for one in after if one.session}
    unseen = [
        session
        for session in _meant(before, instance_id)
        if session.host and session.session_id in left - told
    ]
    hosts = {session.host for session in unseen if session.host}
    return msgspec.structs.replace(
        done,
        receipts=(*done.receipts, *map(_untold, unseen)),
        unreached=tuple(sorted(hosts | set(done.unreached))),
    )


def _meant(engines: Iterable[EngineView], instance_id: str | None) -> Iterator[SessionView]:
    for one in engines:
        is_worker = one.config.template == WORKER_TEMPLATE
        if one.session and not is_worker and is_meant(instance_id, one.instance_id):
            yield one.session


def _untold(session: SessionView) -> EmergencyReceipt:
    return EmergencyReceipt(
        instance_id=session.instance_id,
        session_id=session.session_id,
        host=session.host or "unknown",
        is_flat=False,
        is_gone=False,
        not_confirmed=("on record it runs, and neither its host nor its sidecar was heard",),
    )
