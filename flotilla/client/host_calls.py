"""What an operator can ask of hosts: which there are, emergency stops, which need nothing but bus and supervisors, and containers."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from flotilla.bus import fleet_stop
from flotilla.bus.bus import Bus
from flotilla.bus.receipts import are_confirmed
from flotilla.bus.sightings import Sighted
from flotilla.client.audit_chain import AuditVerdict, chain_pages, verify_chain
from flotilla.schemas import contract
from flotilla.schemas.audit import AuditChain, AuditHead, AuditList, ReadAudit
from flotilla.schemas.config import WORKER_TEMPLATE
from flotilla.schemas.contract import ENGINE_LIST, HEALTH, Actor
from flotilla.schemas.engine import EngineView, ListEngines, SessionView
from flotilla.schemas.fault import FaultError
from flotilla.schemas.health import Health, ReadHealth
from flotilla.schemas.heartbeats import HOST_AWAY_S
from flotilla.schemas.host import HostList, ListHosts
from flotilla.schemas.session import (
    Cleanup,
    CleanupReport,
    ContainerList,
    EmergencyReceipt,
    EmergencyStop,
    FleetStopped,
    LiftStop,
    ListContainers,
    StopFlags,
)
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


async def hosts_heard(bus: Bus) -> dict[str, float]:
    """How long ago the orchestrator heard each host; none when it does not say so in time, or has not listened for long."""
    try:
        known = await bus.call(contract.HOST_LIST, ListHosts(), timeout_s=_TIMEOUT_S)
    except FaultError:
        return {}
    has_listened = known.heard_for_s > HOST_AWAY_S
    return {one.host: one.heartbeat_age_s for one in known.hosts} if has_listened else {}


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


class HostCalls:
    """What runs where, and how to end it."""

    bus: Bus

    async def emergency_stop(
        self,
        instance_id: str | None = None,
        *,
        deadline_s: float = 20.0,
        reason: str = "",
        request_id: str | None = None,
        own: fleet_stop.OwnHost | None = None,
    ) -> FleetStopped:
        """Makes an engine, or all of them, flat and gone by the deadline; nothing it names starts again until `lift_stop`.

        Every supervisor is asked until the deadline: it works without orchestrator, gateway and database. While one is away its
        engines are asked directly, and those of `own` are stopped without the bus. Believe the receipts only: `is_flat` is true
        when the engine confirmed it and ended by itself, and what runs on a host in `unreached` is not known: one that did not
        answer, or that is out of sight while the record, if there is one, says that an engine runs there.
        """
        request = EmergencyStop(
            instance_id=instance_id, deadline_s=deadline_s, reason=reason, request_id=request_id
        )
        stop = fleet_stop.FleetStop(self.bus, request, own=own)

        async def on_record() -> tuple[EngineView, ...]:
            engines = await active_engines(self.bus)
            stop.know(hosts_of(engines, instance_id))
            stop.know_sessions(sessions_of(engines, instance_id))
            stop.know_quiet(await known_hosts(self.bus))
            if beats := await hosts_heard(self.bus):
                stop.know_all(beats)
            return engines

        before, done = await asyncio.gather(on_record(), stop.run())
        after = await active_engines(self.bus) if before and not are_confirmed(done) else ()
        return with_unseen(done, before, after, instance_id)

    async def lift_stop(self, instance_id: str | None = None, *, request_id: str | None = None) -> StopFlags:
        """Lifts the stop flag of an engine, or all of them; the answer has those still in force.

        Every host is asked that is in sight, or where the record has an engine that runs; all others that it knows find the lift
        when they come back, and are `untold`. Raises FaultError `unavailable` while there is no host to ask, or the bus does not
        keep the lift: nothing was lifted then.
        """
        request = LiftStop(instance_id=instance_id, request_id=request_id)
        running, known = await asyncio.gather(active_engines(self.bus), known_hosts(self.bus))
        return await fleet_stop.lift_stops(
            self.bus, request, known_hosts=hosts_of(running, None), quiet_hosts=known
        )

    async def audit(
        self, about: str | None = None, *, limit: int = 100, before: int | None = None
    ) -> AuditList:
        """Every change that was asked for, newest first: of one engine, backtest or study, or of all.

        `before` is the number of the last entry that was seen.
        """
        question = ReadAudit(about=about, limit=limit, before=before)
        return await self.bus.call(contract.AUDIT_LIST, question)

    async def verify_audit(self, heads: Iterable[AuditHead] = ()) -> AuditVerdict:
        """Whether every entry is what was recorded: all are hashed anew here, and compared with the heads on the bus, and with `heads`."""
        return await verify_chain(self.bus, heads)

    def audit_chain(self) -> AsyncIterator[AuditChain]:
        """The audit as it is hashed, oldest first, page by page, up to what is its head now."""
        return chain_pages(self.bus)

    async def hosts(self, *, labels: Mapping[str, str] | None = None) -> HostList:
        """The hosts that the orchestrator has heard since it started, by name; `labels` keeps those that carry all of them."""
        return await self.bus.call(contract.HOST_LIST, ListHosts(labels=dict(labels or {})))

    async def containers(self) -> ContainerList:
        """The engine containers of every host in sight."""
        return await self.bus.call(contract.CONTAINER_LIST, ListContainers())

    async def cleanup_containers(
        self, *, force: bool = False, dry_run: bool = False, request_id: str | None = None
    ) -> CleanupReport:
        """Removes the containers of ended sessions; `force` stops and removes active ones too, `dry_run` only says which."""
        request = Cleanup(force=force, dry_run=dry_run, request_id=request_id)
        return await self.bus.call(contract.CONTAINER_CLEANUP, request)

    async def health(self, service: Actor) -> Health:
        """How the orchestrator, a supervisor or the gateway is."""
        return await self.bus.call(HEALTH[service], ReadHealth())
