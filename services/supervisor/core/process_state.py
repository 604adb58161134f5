"""From what a session's folder and the process table say to the session's facts, for the process runtime. Pure."""

from datetime import datetime

import msgspec

from flotilla.schemas.ids import HostId
from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionSpec, container_name
from flotilla.services.supervisor.core.adopt import Existing
from flotilla.services.supervisor.core.facts import exit_code_of

SIGKILL_STATUS = 137
LOST = "its exit code was lost: shim and sidecar were killed from outside"
RESTARTED = "its exit code was lost: the host was restarted"


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down of a session before it starts. A specification names secrets and holds none."""

    owner: str
    host: HostId
    spec: SessionSpec
    spec_hash: str
    boot_id: str
    created_at: datetime


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a session. `exit_status` is the shell's; `was_killed` says that a supervisor meant to."""

    is_this_boot: bool
    is_shim_alive: bool
    is_sidecar_alive: bool
    pid: int | None = None
    started_at: datetime | None = None
    exit_status: int | None = None
    finished_at: datetime | None = None
    was_killed: bool = False


def status_of(seen: Observed) -> ContainerStatus:
    """A shim without a sidecar is just starting one; neither of them, ever, means that the start was broken off."""
    if seen.exit_status is not None:
        return ContainerStatus.EXITED
    if seen.is_this_boot and (seen.is_shim_alive or seen.is_sidecar_alive):
        return ContainerStatus.RUNNING
    return ContainerStatus.CREATED if seen.pid is None else ContainerStatus.EXITED


def facts_of(record: SessionRecord, seen: Observed) -> ContainerFacts:
    """The session as the fleet sees it."""
    status = status_of(seen)
    has_ended = status == ContainerStatus.EXITED
    exit_status = SIGKILL_STATUS if seen.exit_status is None and seen.was_killed else seen.exit_status
    error = (LOST if seen.is_this_boot else RESTARTED) if has_ended and exit_status is None else ""
    return ContainerFacts(
        session_id=record.spec.session_id,
        instance_id=record.spec.instance_id,
        generation=record.spec.generation,
        host=record.host,
        name=container_name(record.spec.session_id),
        status=status,
        runtime="process",
        container_id=f"pid-{seen.pid}" if seen.pid else "",
        created_at=record.created_at,
        started_at=seen.started_at,
        finished_at=seen.finished_at if has_ended else None,
        exit_code=exit_code_of(exit_status) if has_ended and exit_status is not None else None,
        error=error,
        engine_type=record.spec.engine_type,
        trading_mode=record.spec.trading_mode,
        # The sidecar keeps it; nothing keeps CPUs here, so none are told.
        memory_limit_bytes=record.spec.memory_bytes,
        is_worker=record.spec.worker is not None,
    )


def existing_of(record: SessionRecord, seen: Observed) -> Existing:
    """The session as a decision needs it."""
    return Existing(
        name=container_name(record.spec.session_id),
        owner=record.owner,
        session_id=record.spec.session_id,
        spec_hash=record.spec_hash,
        status=status_of(seen),
    )
