"""One life of an engine: what a supervisor is told to run, and what the sidecar reads at its start."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.ids import HostId, InstanceId, InstrumentId, RequestId, SessionId
from schemas.states import EngineType, StopPolicy, TradingMode


class EnginePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine process runs: plain configs that NautilusTrader's own classes parse, unknown keys refused.

    `node` is a TradingNodeConfig without its strategies; exec clients carry no factory (NautilusTrader cannot import one for
    them), so `exec_factories` gives its import path per client name. `instruments` are those that must be in the catalog.
    """

    trader_id: Annotated[str, Meta(pattern=r"\A[A-Z0-9][A-Z0-9-]{0,62}-[A-Z0-9]{1,30}\Z")]
    node: dict[str, Any]
    strategies: tuple[dict[str, Any], ...] = ()
    exec_factories: dict[str, str] = {}
    instruments: tuple[InstrumentId, ...] = ()


class SessionSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a supervisor needs to run one session; the container's name and labels follow from it."""

    instance_id: InstanceId
    session_id: SessionId
    generation: Annotated[int, Meta(ge=1)]
    engine_type: EngineType
    trading_mode: TradingMode
    plan: EnginePlan
    memory_bytes: Annotated[int, Meta(ge=512 << 20, le=64 << 30)] = 2 << 30
    cpus: Annotated[float, Meta(ge=0.1, le=1024)] = 2.0
    log_level: str = "INFO"
    stop_policy: StopPolicy = StopPolicy.CANCEL
    stop_timeout_s: Annotated[float, Meta(gt=0, le=300)] = 30.0
    frozen_after_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    kill_frozen_after_s: Annotated[float, Meta(gt=0, le=86400)] = 30.0
    boot_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    confirm_live_trading: bool = False

    @property
    def container_name(self) -> str:
        """The container of this session; nothing else carries this name."""
        return container_name(self.session_id)


def container_name(session_id: str) -> str:
    """`nautilus-engine-{session_id}`, the name of the session's container."""
    return f"nautilus-engine-{session_id}"


class BusAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How a sidecar reaches the bus. `creds` is the text of a NATS credentials file, good for this engine only."""

    url: str
    creds: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """The one line of JSON that a sidecar reads from stdin; it never stands in env, labels or files.

    `catalog_path` is where the data catalog is to be found by the engine process. `enforce_memory` asks the sidecar to keep
    the memory limit itself, where there is no container to do it.
    """

    bus: BusAccess
    spec: SessionSpec
    catalog_path: str
    enforce_memory: bool = False


class ContainerStatus(StrEnum):
    """What the runtime says of a session's container; `gone` when there is none."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    GONE = "gone"


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A session's container as its runtime reports it. `exit_code` is negative for a signal where the runtime tells."""

    session_id: SessionId
    instance_id: InstanceId
    generation: int
    host: HostId
    name: str
    status: ContainerStatus
    runtime: str
    image: str = ""
    container_id: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    is_oom_killed: bool = False
    health: str = ""
    error: str = ""


class StartSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tells a supervisor to make this session run; asking again adopts what is there."""

    spec: SessionSpec
    request_id: RequestId | None = None


class StopSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SIGTERM, then SIGKILL after `timeout_s`; answers at once, the end is reported on the host's container feed."""

    session_id: SessionId
    timeout_s: Annotated[float, Meta(ge=0, le=300)] = 30.0
    request_id: RequestId | None = None


class WhichSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a session: to inspect it, to kill it, or to remove what is left of it."""

    session_id: SessionId
    request_id: RequestId | None = None


class ListContainers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for all containers of ours, whatever their state."""


class ContainerList(msgspec.Struct, frozen=True, kw_only=True):
    """The containers of one host, or of the fleet."""

    containers: tuple[ContainerFacts, ...]


class EngineCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command to a running engine through its sidecar. `session_id` fences: another session refuses it."""

    session_id: SessionId | None = None
    policy: StopPolicy | None = None
    request_id: RequestId | None = None


class CommandAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The sidecar has the command; what comes of it is told on the engine's feeds."""

    instance_id: InstanceId
    session_id: SessionId
    request_id: RequestId
    message: str
