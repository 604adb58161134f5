"""What was heard last of every engine, host and container, and how long ago. Kept in memory only: it is heard again soon."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.heartbeats import ENGINE_SILENT_AFTER, HEARTBEAT_STALE, HOST_OUT_OF_SIGHT
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.telemetry import EngineMetrics, Heartbeat, HostHeartbeat, StopFlag
from flotilla.services.orchestrator.engines.core.model import Session

_ORDER: Final = (
    ContainerStatus.CREATED,
    ContainerStatus.RUNNING,
    ContainerStatus.EXITED,
    ContainerStatus.GONE,
)


class Seen[T](msgspec.Struct, frozen=True):
    """What was heard, and when by our clock."""

    value: T
    at: datetime


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one session's whereabouts.

    `is_listed`: its host has listed its containers since the session last changed, so that no container means there is none.
    `heartbeat` is null when it is stale; `is_unheard` when there was time enough to hear one, and none came; `is_silent` when none
    came for ENGINE_SILENT_AFTER in which its host was in sight. `last_seq` is the highest number that a heartbeat of the session named,
    however long ago. `stop_flag` is an emergency stop in force that names the engine, anywhere; `is_host_flagged` when its own host has one.
    """

    is_host_in_sight: bool = False
    is_listed: bool = False
    container: ContainerFacts | None = None
    heartbeat: Heartbeat | None = None
    is_unheard: bool = False
    is_silent: bool = False
    last_seq: int = 0
    stop_flag: StopFlag | None = None
    is_host_flagged: bool = False


class FleetSightings:
    """The latest of everything. Ages count from `since` at the earliest: what we could not hear is not missing."""

    def __init__(self, since: datetime) -> None:
        self.since = since
        self._beats: dict[str, Seen[Heartbeat]] = {}
        self._metrics: dict[str, Seen[EngineMetrics]] = {}
        self._hosts: dict[str, Seen[HostHeartbeat]] = {}
        self._sighted: dict[str, datetime] = {}
        self._containers: dict[str, Seen[ContainerFacts]] = {}
        self._listed: dict[str, datetime] = {}

    def heard_engine(self, beat: Heartbeat, now: datetime, *, newest: int | None = None) -> bool:
        """Takes a heartbeat, unless a newer session of the engine was heard already; False when there can be no such session.

        `newest` is the generation of the engine's last session on record, None for an engine that is not on record. A session is on
        record before it begins, so one beyond it is made up: taken, it would hide every session to come.
        """
        if newest is not None and beat.generation > newest:
            return False
        known = self._beats.get(beat.instance_id)
        is_made_up = known is not None and newest is not None and known.value.generation > newest
        if known is None or is_made_up or beat.generation >= known.value.generation:
            self._beats[beat.instance_id] = Seen(beat, now)
        return True

    def heard_of(self, session_id: str, instance_id: str) -> Heartbeat | None:
        """The last heartbeat of a session, however long ago."""
        seen = self._beats.get(instance_id)
        return seen.value if seen and seen.value.session_id == session_id else None

    def heard_metrics(self, metrics: EngineMetrics, now: datetime) -> None:
        """Takes an engine's figures."""
        self._metrics[metrics.instance_id] = Seen(metrics, now)

    def heard_host(self, beat: HostHeartbeat, now: datetime) -> bool:
        """Takes a supervisor's heartbeat; True when its stop flags are others than before."""
        known = self._hosts.get(beat.host)
        if not self.is_in_sight(beat.host, now):
            self._sighted[beat.host] = now
        self._hosts[beat.host] = Seen(beat, now)
        return (known.value.stop_flags if known else ()) != beat.stop_flags

    def saw_container(self, facts: ContainerFacts, now: datetime, *, is_new: bool = False) -> bool:
        """Takes what a host says of a container; True when that is news.

        A container never goes back from `exited` to `running`, so an older report is passed over; `is_new` is the answer to
        a start, which may have made the container anew.
        """
        known = self._containers.get(facts.session_id)
        if known and not is_new and _ORDER.index(facts.status) < _ORDER.index(known.value.status):
            return False
        self._containers[facts.session_id] = Seen(facts, now)
        return known is None or known.value.status != facts.status

    def listed(self, host: str, containers: Iterable[ContainerFacts], asked_at: datetime) -> None:
        """Takes the whole list of a host; what it was asked for at `asked_at` and does not name is not there."""
        named = {facts.session_id: facts for facts in containers}
        for session_id, seen in list(self._containers.items()):
            if seen.value.host == host and session_id not in named and seen.at < asked_at:
                del self._containers[session_id]
        for facts in named.values():
            # Docker may finish a create after its name was free for a while: what is listed since is there again.
            known = self._containers.get(facts.session_id)
            is_back = known is not None and known.value.status == ContainerStatus.GONE and known.at < asked_at
            self.saw_container(facts, asked_at, is_new=is_back)
        self._listed[host] = asked_at

    def forget_container(self, session_id: str) -> None:
        """Its removal is done."""
        self._containers.pop(session_id, None)

    def sight(self, session: Session, now: datetime, *, is_worker: bool = False) -> Sight:
        """What is known of the session's whereabouts. A stop of all engines is none of a worker."""
        host = session.host or ""
        flags = self._flags(session.instance_id, now, is_worker=is_worker)
        container = self._containers.get(session.session_id)
        heartbeat = self._heartbeat(session)
        heard_at = max(self.since, session.changed_at, heartbeat.at if heartbeat else self.since)
        audible_at = max(heard_at, self._sighted.get(host, now))
        listed_at = self._listed.get(host)
        return Sight(
            is_host_in_sight=self.is_in_sight(host, now),
            is_listed=listed_at is not None and listed_at >= session.changed_at,
            container=container.value if container else None,
            heartbeat=heartbeat.value if heartbeat and now - heartbeat.at < HEARTBEAT_STALE else None,
            is_unheard=now - heard_at >= HEARTBEAT_STALE,
            is_silent=now - audible_at >= ENGINE_SILENT_AFTER,
            last_seq=heartbeat.value.last_seq if heartbeat else 0,
            stop_flag=_oldest(flags),
            is_host_flagged=host in flags,
        )

    def stop_flag(self, instance_id: str, now: datetime, *, is_worker: bool = False) -> StopFlag | None:
        """The emergency stop that names an engine and has been in force longest on any host in sight."""
        return _oldest(self._flags(instance_id, now, is_worker=is_worker))

    def lifted(self, instance_id: str | None) -> None:
        """Stop flags were lifted: of one engine, or all; the next heartbeats say what is left."""
        for host, seen in self._hosts.items():
            left = tuple(
                flag
                for flag in seen.value.stop_flags
                if instance_id is not None and flag.instance_id != instance_id
            )
            self._hosts[host] = Seen(msgspec.structs.replace(seen.value, stop_flags=left), seen.at)

    def is_in_sight(self, host: str, now: datetime) -> bool:
        """True when the host was heard just now."""
        seen = self._hosts.get(host)
        return seen is not None and now - seen.at < HOST_OUT_OF_SIGHT

    def hosts(self, now: datetime) -> tuple[HostHeartbeat, ...]:
        """The hosts in sight."""
        return tuple(seen.value for host, seen in self._hosts.items() if self.is_in_sight(host, now))

    def known_hosts(self) -> tuple[Seen[HostHeartbeat], ...]:
        """The last heartbeat of every host that was heard, by name."""
        return tuple(self._hosts[host] for host in sorted(self._hosts))

    def lost_hosts(self, now: datetime) -> tuple[str, ...]:
        """The hosts that were heard once and are out of sight."""
        return tuple(host for host in self._hosts if not self.is_in_sight(host, now))

    def containers(self) -> tuple[ContainerFacts, ...]:
        """Every container that was seen and not removed since."""
        return tuple(seen.value for seen in self._containers.values())

    def telemetry(
        self, session: Session, now: datetime
    ) -> tuple[float, Heartbeat, EngineMetrics | None] | None:
        """The age in seconds of the session's last heartbeat, that heartbeat, and its figures; None when none was heard."""
        seen = self._heartbeat(session)
        if seen is None:
            return None
        metrics = self._metrics.get(session.instance_id)
        is_own = metrics is not None and metrics.value.session_id == session.session_id
        return (now - seen.at).total_seconds(), seen.value, metrics.value if metrics and is_own else None

    def _flags(self, instance_id: str, now: datetime, *, is_worker: bool) -> dict[str, StopFlag]:
        """The oldest flag that names the engine, by host."""
        found: dict[str, StopFlag] = {}
        for beat in self.hosts(now):
            flags = [flag for flag in beat.stop_flags if flag.names(instance_id, is_worker=is_worker)]
            if flags:
                found[beat.host] = min(flags, key=lambda flag: flag.since)
        return found

    def _heartbeat(self, session: Session) -> Seen[Heartbeat] | None:
        seen = self._beats.get(session.instance_id)
        return seen if seen and seen.value.session_id == session.session_id else None


def _oldest(flags: Mapping[str, StopFlag]) -> StopFlag | None:
    return min(flags.values(), key=lambda flag: flag.since, default=None)
