"""The bodies of answers about containers, field for field as the REST contract has them."""

from datetime import datetime

import msgspec

from flotilla.schemas.session import CleanupError
from flotilla.services.gateway.web.failure import Failure


class ContainerView(msgspec.Struct, frozen=True, kw_only=True):
    """A container of ours as its runtime reports it. `is_active` means that it runs."""

    name: str
    status: str
    created: datetime | None
    image: str
    is_active: bool
    session_id: str
    instance_id: str
    host: str
    runtime: str
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    is_oom_killed: bool
    health: str


class ContainersReply(msgspec.Struct, frozen=True, kw_only=True):
    """The engine containers of every host in sight; `not_listed` says which hosts' are missing, and why."""

    success: bool = True
    containers: tuple[ContainerView, ...]
    total_count: int
    active_count: int
    not_listed: tuple[str, ...] = ()


class CleanupReply(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the containers that were removed, or in a dry run would be."""

    success: bool = True
    message: str
    cleaned_containers: tuple[str, ...]
    errors: tuple[CleanupError, ...] = ()
    total_cleaned: int
    dry_run: bool


class CleanupFailure(Failure, frozen=True, kw_only=True):
    """Some containers could not be removed: `errors` says which and why."""

    cleaned_containers: tuple[str, ...]
    errors: tuple[CleanupError, ...]  # type: ignore[assignment]  # the contract's name for something else
    total_cleaned: int
    dry_run: bool
