"""Hosts as people see them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import HostId
from flotilla.schemas.labels import Labels
from flotilla.schemas.telemetry import StopFlag


class ListHosts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the hosts that carry all of `labels`; for all hosts without any."""

    labels: Labels = {}


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """What a host said of itself with its last heartbeat, `heartbeat_age_s` seconds ago; see HostHeartbeat.

    `is_in_sight`: that was just now; engines are started on no other.
    """

    host: HostId
    is_in_sight: bool
    heartbeat_age_s: Annotated[float, Meta(ge=0)]
    labels: Labels
    runtime: str
    is_runtime_up: bool
    cpus: int
    memory_bytes: int
    sessions: int
    version: str
    has_cache: bool
    stop_flags: tuple[StopFlag, ...]


class HostList(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts by name: those that the orchestrator has heard since it started.

    `heard_for_s` is how many seconds ago it began to listen; 0 where there are more hosts than fit into an answer.
    """

    hosts: tuple[HostView, ...]
    heard_for_s: Annotated[float, Meta(ge=0)] = 0.0
