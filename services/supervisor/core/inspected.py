"""What Docker's inspect says of a container, typed, and as facts. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from flotilla.schemas.ids import is_id
from flotilla.schemas.session import ContainerFacts, ContainerStatus, container_name
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.adopt import Existing
from flotilla.services.supervisor.core.facts import exit_code_of

_STATUS: Final = {
    "created": ContainerStatus.CREATED,
    "running": ContainerStatus.RUNNING,
    "paused": ContainerStatus.RUNNING,
    "restarting": ContainerStatus.RUNNING,
    "removing": ContainerStatus.EXITED,
    "exited": ContainerStatus.EXITED,
    "dead": ContainerStatus.EXITED,
}

_NANO: Final = 1_000_000_000


class Health(msgspec.Struct, frozen=True, rename="pascal"):
    """The healthcheck's last verdict."""

    status: str = ""


class State(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of inspect that moves. Times that have not come are in the year 1."""

    status: str
    exit_code: int
    started_at: datetime
    finished_at: datetime
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    error: str = ""
    health: Health | None = None


class Config(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of inspect that was given at creation."""

    image: str
    labels: dict[str, str] | None = None


class HostConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The limits in force; 0 is none."""

    memory: int = 0
    nano_cpus: int = 0


class Inspected(msgspec.Struct, frozen=True, rename="pascal"):
    """`GET /containers/{id}/json`, as far as it matters here."""

    id: str
    name: str
    created: datetime
    state: State
    config: Config
    host_config: HostConfig = HostConfig()

    @property
    def labels(self) -> dict[str, str]:
        """Never null."""
        return self.config.labels or {}


def inspected(answer: dict[str, Any]) -> Inspected:
    """Reads Docker's answer. Raises msgspec.ValidationError when it is not what Docker documents."""
    return msgspec.convert(answer, Inspected)


def existing_of(container: Inspected) -> Existing:
    """The container as a decision needs it."""
    return Existing(
        name=container.name.removeprefix("/"),
        owner=container.labels.get(names.OWNER, ""),
        session_id=container.labels.get(names.SESSION, ""),
        spec_hash=container.labels.get(names.SPEC, ""),
        status=_STATUS[container.state.status],
        is_being_removed=container.state.status == "removing",
    )


def is_engine(container: Inspected, owner: str) -> bool:
    """True for an engine's container of this owner: our label alone, or our name alone, does not make one."""
    labels = container.labels
    return (
        labels.get(names.OWNER) == owner
        and container.name == f"/{container_name(labels.get(names.SESSION, ''))}"
        and is_id(labels.get(names.INSTANCE, ""))
        and labels.get(names.GENERATION, "").isdecimal()
    )


def facts_of(container: Inspected, *, host: str) -> ContainerFacts:
    """The container, which must be an engine's, as the fleet sees it."""
    state, labels = container.state, container.labels
    status = _STATUS[state.status]
    has_ended = status == ContainerStatus.EXITED
    return ContainerFacts(
        session_id=labels[names.SESSION],
        instance_id=labels[names.INSTANCE],
        generation=int(labels[names.GENERATION]),
        host=host,
        name=container.name.removeprefix("/"),
        status=status,
        runtime="docker",
        image=container.config.image,
        container_id=container.id,
        created_at=container.created,
        started_at=_moment(state.started_at),
        # Docker notes a start after it happened, and the end of a short life before that.
        finished_at=_moment(max(state.finished_at, state.started_at)) if has_ended else None,
        exit_code=exit_code_of(state.exit_code) if has_ended else None,
        # Docker sets the flag for any process of the container; a clean end in spite of one is no OOM.
        is_oom_killed=has_ended and state.oom_killed and state.exit_code != 0,
        # Docker calls one that has ended unhealthy, however well it went.
        health=state.health.status if state.health and status == ContainerStatus.RUNNING else "",
        error=state.error,
        engine_type=_word(EngineType, labels.get(names.ENGINE_TYPE)),
        trading_mode=_word(TradingMode, labels.get(names.TRADING_MODE)),
        memory_limit_bytes=container.host_config.memory or None,
        cpus=container.host_config.nano_cpus / _NANO or None,
        is_worker=names.WORKER in labels,
    )


def _word[E: StrEnum](kind: type[E], label: str | None) -> E | None:
    """A label that is not there, as on containers of an earlier version, or is no word of ours, tells nothing."""
    return next((word for word in kind if word == label), None)


def _moment(time: datetime) -> datetime | None:
    return time if time.year > 1 else None
