"""Every engine as the record had it last, and which one is meant when nobody says."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import msgspec

from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.placement import HostLoad
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings


class Fleet:
    """The engines by id. Reads that need only live state are answered from here, also while the record is away."""

    def __init__(self, engines: Iterable[Engine] = ()) -> None:
        self._engines = {engine.instance_id: engine for engine in engines}

    def put(self, engine: Engine) -> None:
        """Takes what was saved, unless something newer is here already."""
        known = self._engines.get(engine.instance_id)
        if known is None or known.version <= engine.version:
            self._engines[engine.instance_id] = engine

    def get(self, instance_id: str) -> Engine | None:
        """One engine, if it is on record; also one that was removed."""
        return self._engines.get(instance_id)

    def ids(self) -> tuple[str, ...]:
        """The ids of all engines."""
        return tuple(self._engines)

    def session_ids(self) -> set[str]:
        """The present sessions of all engines."""
        return {engine.session.session_id for engine in self._engines.values() if engine.session}

    def saw_event(self, instance_id: str, session_id: str, seq: int) -> None:
        """Notes the number of an event that is on record."""
        engine = self._engines.get(instance_id)
        session = engine.session if engine else None
        if engine and session and session.session_id == session_id and seq > session.last_seq:
            session = msgspec.structs.replace(session, last_seq=seq)
            self._engines[instance_id] = msgspec.structs.replace(engine, session=session)

    def recent(self) -> list[Engine]:
        """All engines that are not removed, the one that started last first."""
        shown = (engine for engine in self._engines.values() if not engine.is_removed)
        return sorted(shown, key=_started_at, reverse=True)

    def active(self) -> list[Engine]:
        """The engines whose session has not ended, the one that started last first."""
        return [engine for engine in self.recent() if engine.is_active]

    def all_hosts(self) -> set[str]:
        """Every host on which the last session of an engine is, or was."""
        sessions = (engine.session for engine in self._engines.values() if engine.session)
        return {session.host for session in sessions if session.host}

    def hosts(
        self, sightings: FleetSightings, now: datetime, *, is_worker: bool = False
    ) -> tuple[HostLoad, ...]:
        """The hosts that can take a session now, with what is placed on them, whether they have begun it or not.

        For a worker (`is_worker`) without the stop flags that are none of its own.
        """
        placed = Counter(
            engine.session.host
            for engine in self._engines.values()
            if engine.session and not engine.session.is_over
        )
        return tuple(
            HostLoad(
                beat.host,
                beat.cpus,
                max(beat.sessions, placed[beat.host]),
                runtime=beat.runtime,
                has_cache=beat.has_cache,
                stop_flags=tuple(flag for flag in beat.stop_flags if flag.instance_id or not is_worker),
            )
            for beat in sightings.hosts(now)
            if beat.is_runtime_up
        )

    def known(self, instance_id: str) -> Engine:
        """One engine whose past is asked for, removed or not. Raises FaultError `not_found`."""
        if (engine := self._engines.get(instance_id)) is None:
            raise unknown_engine(instance_id)
        return engine

    def which(self, instance_id: str | None) -> Engine | None:
        """The engine meant: the one named; else the one that is active; else the one that ran last; None when none ever ran.

        Raises FaultError: `not_found` for a name that never ran, `ambiguous_engine` when several are active.
        """
        if instance_id is not None:
            named = self._engines.get(instance_id)
            if named is None or named.is_removed:
                raise unknown_engine(instance_id)
            return named
        active = [engine for engine in self.active() if not engine.is_worker]
        if len(active) > 1:
            raise _ambiguous(sorted(engine.instance_id for engine in active))
        return next(iter(active or (each for each in self.recent() if not each.is_worker)), None)


def shown(engine: Engine | None, instance_id: str) -> Engine:
    """The engine. Raises FaultError `not_found` for one that never ran or was removed."""
    if engine is None or engine.is_removed:
        raise unknown_engine(instance_id)
    return engine


def unknown_engine(instance_id: str) -> FaultError:
    """The fault for an engine that never ran."""
    return fault(FaultCode.NOT_FOUND, f"no engine {instance_id} is known")


def _ambiguous(ids: list[str]) -> FaultError:
    return fault(
        FaultCode.AMBIGUOUS_ENGINE,
        f"{len(ids)} engines are active, name one with instance_id: {', '.join(ids)}",
        *(FieldError("instance_id", instance_id) for instance_id in ids),
    )


def _started_at(engine: Engine) -> tuple[object, str]:
    return (engine.session.created_at if engine.session else engine.created_at, engine.instance_id)
