"""On which host a session begins."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.states import FailureReason, RunState
from services.orchestrator.core.effects import Effect, StartContainer
from services.orchestrator.core.model import Session
from services.orchestrator.core.session import move

NO_HOST_AFTER: Final = timedelta(seconds=30)


class HostLoad(msgspec.Struct, frozen=True):
    """A host that can take sessions, and how many it has."""

    host: str
    cpus: int
    sessions: int


def choose(hosts: Sequence[HostLoad]) -> str | None:
    """The host with the fewest sessions per CPU; by name where that is equal, so that the choice can be repeated."""
    ranked = sorted(hosts, key=lambda host: (host.sessions / max(1, host.cpus), host.host))
    return ranked[0].host if ranked else None


def place(session: Session, hosts: Sequence[HostLoad], now: datetime) -> tuple[Session, tuple[Effect, ...]]:
    """A scheduled session on its host, which is recorded before the host hears of it, so that a retry goes there too.

    Without a host it stays scheduled, and fails when none came in sight in time.
    """
    if host := choose(hosts):
        session = move(session, RunState.CREATING, now, host=host)
        return session, (StartContainer(session.instance_id, session.session_id, host),)
    if now - session.changed_at < NO_HOST_AFTER:
        return session, ()
    detail = f"no host that runs engines came in sight within {NO_HOST_AFTER.total_seconds():.0f} s"
    return move(session, RunState.FAILED, now, reason=FailureReason.HOST, detail=detail), ()
