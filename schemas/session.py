"""One life of an engine: what a supervisor is told to run, and what the sidecar reads at its start."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from flotilla.schemas.audit import Caller
from flotilla.schemas.backtest import WorkerPlan
from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.config import AccountName, EngineConfig, VenueName
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.fault import FieldError
from flotilla.schemas.ids import HostId, InstanceId, InstrumentId, Name, RequestId, SessionId
from flotilla.schemas.loss_limits import NOTHING_KEPT, KeptLosses, LossLimits
from flotilla.schemas.package import Digest, PackageRef, Wheel
from flotilla.schemas.states import EngineType, StopPolicy, TradingMode
from flotilla.schemas.telemetry import StateChange, StopFlag, StopReport
from flotilla.schemas.trading_hours import TradingHours


class EnginePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine process runs: plain configs that NautilusTrader's own classes parse, unknown keys refused.

    `node` is a TradingNodeConfig without its strategies; exec clients carry no factory (NautilusTrader cannot import one for
    them), so `exec_factories` gives its import path per client name. `instruments` are those that must be in the catalog.
    `secrets` gives, per client name, the entry of the secret store whose values are added to that client's data and exec config.
    `always_open` are the data clients of venues whose market never closes. `packages` are where strategies come from that are of no
    module of ours.
    """

    trader_id: Annotated[str, Meta(pattern=r"\A[A-Z0-9][A-Z0-9-]{0,62}-[A-Z0-9]{1,30}\Z")]
    node: dict[str, Any]
    strategies: tuple[dict[str, Any], ...] = ()
    exec_factories: dict[str, str] = {}
    instruments: tuple[InstrumentId, ...] = ()
    secrets: dict[str, Name] = {}
    always_open: tuple[str, ...] = ()
    packages: tuple[PackageRef, ...] = ()


class VenueAccount(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """An account at a venue: one engine at a time may trade it."""

    venue: VenueName
    account: AccountName


class AccountLease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to trade some accounts: it runs out `ttl_s` seconds after it was last renewed.

    `token` grows with each holder of an account, so that what an earlier holder says can be told from what the present one does.
    """

    token: Annotated[int, Meta(ge=1)]
    ttl_s: Annotated[float, Meta(gt=0, le=86_400)] = 120.0
    accounts: tuple[VenueAccount, ...] = ()


def reducing_s(ttl_s: float) -> float:
    """How long a sidecar whose lease of `ttl_s` ran out goes on reducing, before it stops its engine: half as long, at most 60 s."""
    return min(ttl_s / 2, 60.0)


class SessionSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a supervisor needs to run one session; the container's name and labels follow from it.

    `config` is what the operator chose, so that a fleet that lost its record can take the session up again. `has_egress`: the
    engine must reach venues outside. `worker`: it trades nothing but runs backtests from the queue; `plan` is not looked at. `brake` is
    the one that was on when the session was begun, `losses` what was kept of those before for its `loss_limits`.
    """

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
    config: EngineConfig | None = None
    uses_cache: bool = False
    has_egress: bool = False
    lease: AccountLease | None = None
    worker: WorkerPlan | None = None
    stale_feed_after_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    brake: EngineBrake = RELEASED
    loss_limits: LossLimits | None = None
    losses: KeptLosses = NOTHING_KEPT
    trading_hours: TradingHours | None = None
    dead_man: DeadMan = DeadMan()

    @property
    def container_name(self) -> str:
        """The container of this session; nothing else carries this name."""
        return container_name(self.session_id)


def container_name(session_id: str) -> str:
    """`nautilus-engine-{session_id}`, the name of the session's container."""
    return f"nautilus-engine-{session_id}"


class BusAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How a sidecar reaches the bus. `creds` is the text of a NATS credentials file, good for this session only.

    `fleet` is the public key of the account whose commands it obeys; empty on a bus without accounts. `renewal` is the text of a second
    file, with which it asks for renewals and can do nothing else; empty where credentials do not end. `life_s` is how long `creds` is good
    for, from when it was made. `ca` are the certificates (PEM) of whoever may sign the bus's, where `url` is `tls://…`.
    """

    url: str
    creds: str
    ca: str = ""
    fleet: str = ""
    renewal: str = ""
    life_s: int = 0


class SessionUsers(msgspec.Struct, frozen=True, kw_only=True):
    """The public keys of the two users that a session is on the bus, for its own subjects and for renewals. Nothing of it is secret."""

    engine: str
    renewal: str
    is_worker: bool = False


class Stranger(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody besides its sidecar who was on the bus with a session's credential, from `address` (IP address and port)."""

    host: HostId
    at: datetime
    instance_id: InstanceId
    session_id: SessionId
    address: str
    connected_at: datetime


class RenewCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sidecar asks for its credential anew. Which session it is, the credential says that it shows."""

    request_id: RequestId | None = None


class RenewedCredential(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a session's two users, good for `life_s` seconds from now; without the keys that the sidecar has they are of no use."""

    jwt: str
    renewal: str
    life_s: int


class CacheAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine reaches its part of Redis: a user that can touch the keys of its trader id only."""

    host: str
    port: int
    username: str
    password: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """The one line of JSON that a sidecar reads from stdin; it never stands in env, labels or files.

    `catalog_path` is where the data catalog is to be found by the engine process. `enforce_memory` asks the sidecar to keep
    the memory limit itself, where there is no container to do it. `secrets` are the entries of the secret store that the plan
    names, by name. `host` and `image` say where the session runs, for the manifests of a worker. `attached` are the paths of
    the catalogs that were attached when its container was made, which can be given no other; None where it sees them all.
    """

    bus: BusAccess
    spec: SessionSpec
    catalog_path: str
    enforce_memory: bool = False
    cache: CacheAccess | None = None
    secrets: dict[str, dict[str, Any]] = {}
    host: str = "local"
    image: str = ""
    attached: tuple[str, ...] | None = None


class ContainerStatus(StrEnum):
    """What the runtime says of a session's container; `gone` when there is none."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    GONE = "gone"


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A session's container as its runtime reports it. `exit_code` is negative for a signal where the runtime tells.

    `is_worker`: it runs backtests and trades nothing.
    """

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
    engine_type: EngineType | None = None
    trading_mode: TradingMode | None = None
    memory_limit_bytes: int | None = None
    cpus: float | None = None
    is_worker: bool = False


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
    """The containers of one host, or of the fleet. `not_listed` says which hosts' are not among them, and why."""

    containers: tuple[ContainerFacts, ...]
    not_listed: tuple[str, ...] = ()


class EngineCommand(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A command to a running engine through its sidecar. `session_id` fences: another session refuses it.

    `timeout_s` is what is left of the time for a stop, when that is less than the session's own.
    """

    session_id: SessionId | None = None
    policy: StopPolicy | None = None
    timeout_s: Annotated[float, Meta(ge=0, le=3600)] | None = None
    request_id: RequestId | None = None


class EmergencyStop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for one engine, or all of them, to be flat and gone within `deadline_s`; what is not by then is killed.

    A stop flag is set first and stays: nothing it names starts again until `lift_stop`.
    """

    instance_id: InstanceId | None = None
    deadline_s: Annotated[float, Meta(ge=1, le=120)] = 20.0
    reason: Annotated[str, Meta(max_length=200)] = ""
    request_id: RequestId | None = None


class StopOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop of the fleet, or its lifting, as it was asked for: kept for hosts that could not be asked themselves.

    `order_id` is the request id that each host was given with it. A stop is in force until a later lift of the same engine, or
    of all. `caller` is who asked, as far as whoever wrote it down knows.
    """

    order_id: RequestId
    at: datetime
    is_lift: bool = False
    instance_id: InstanceId | None = None
    reason: str = ""
    caller: Caller = Caller()


class EmergencyReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one session in an emergency stop. Times are milliseconds since the stop began there.

    `stop` is the engine's own account, null when it gave none; `is_flat` is true only when the engine confirmed it.
    `not_confirmed` says in words what is not known to be done. `is_killed`: it did not end by itself. `is_around_bus`: it was
    told to end by its runtime on its host, since nobody could be asked over the bus.
    """

    instance_id: InstanceId
    session_id: SessionId
    host: HostId
    is_flat: bool
    is_gone: bool
    is_killed: bool = False
    stop: StopReport | None = None
    not_confirmed: tuple[str, ...] = ()
    engine_ms: float | None = None
    gone_ms: float | None = None
    is_around_bus: bool = False


class HostStopped(msgspec.Struct, frozen=True, kw_only=True):
    """One host's answer to an emergency stop: a receipt per engine that ran there, and the flags now in force."""

    host: HostId
    receipts: tuple[EmergencyReceipt, ...]
    flags: tuple[StopFlag, ...]


class FleetStopped(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop of the fleet. `unreached` are hosts that did not answer: what runs there is not known.

    `untold` are hosts out of sight on which nothing runs on record. `is_kept`: it is kept on the bus, where each of them, and of
    the `unreached`, finds it before it starts anything again.
    """

    receipts: tuple[EmergencyReceipt, ...]
    flags: tuple[StopFlag, ...]
    unreached: tuple[HostId, ...] = ()
    milliseconds: float = 0.0
    untold: tuple[HostId, ...] = ()
    is_kept: bool = False


class OwnPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor leaves in its state folder: which host it owns and how, for whoever must stop its engines without it."""

    host: HostId
    owner: str
    runtime: str
    docker_url: str = ""


class SessionEnding(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was stopped by its runtime alone: its last facts, and `problem` when it may still run."""

    session: ContainerFacts
    problem: str = ""
    ms: float | None = None


class AroundStopped(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop of one host around its supervisor and the bus; a `problem` says why it is not known what runs there.

    `endings` are of what ran, `others` what the runtime has besides: what had ended before it was told to. `flags` were left for
    the supervisor, which takes them at its start at the latest.
    """

    host: HostId
    endings: tuple[SessionEnding, ...] = ()
    others: tuple[ContainerFacts, ...] = ()
    flags: tuple[StopFlag, ...] = ()
    problem: str = ""


class LiftStop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lifts the stop flag of one engine, or every flag when none is named."""

    instance_id: InstanceId | None = None
    request_id: RequestId | None = None


class StopFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The stop flags that are still in force; `unreached` are hosts that did not answer.

    `untold` are hosts out of sight on which nothing runs on record: they find a lift on the bus when they come back.
    """

    flags: tuple[StopFlag, ...]
    unreached: tuple[HostId, ...] = ()
    untold: tuple[HostId, ...] = ()


class EndNow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tells a sidecar to cancel, close and end within `deadline_s`, and to answer when that is done."""

    session_id: SessionId | None = None
    deadline_s: Annotated[float, Meta(gt=0, le=120)] = 15.0
    request_id: RequestId | None = None


class SessionEnded(msgspec.Struct, frozen=True, kw_only=True):
    """How the session ended, as its sidecar has it."""

    instance_id: InstanceId
    session_id: SessionId
    end: StateChange


class RenewLease(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Renews the lease of a session. A sidecar refuses another session's, and a token older than its own.

    `as_of_s` is `monotonic_s` of the heartbeat that was heard last: the lease lasts `ttl_s` from then on, so that a renewal which is
    delivered late gives no more time than it was meant to. Null: from its arrival on.
    """

    session_id: SessionId
    token: Annotated[int, Meta(ge=1)]
    ttl_s: Annotated[float, Meta(gt=0, le=86_400)]
    request_id: RequestId | None = None
    as_of_s: float | None = None


class Cleanup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for containers of ended sessions to be removed; with `force` those of active ones are stopped and removed too.

    `dry_run` says what would be removed and touches nothing.
    """

    force: bool = False
    dry_run: bool = False
    request_id: RequestId | None = None


class CleanupError(msgspec.Struct, frozen=True, kw_only=True):
    """A container that could not be cleaned up, and why."""

    name: str
    message: str


class CleanupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed (or would be, in a dry run), and what could not be."""

    cleaned: tuple[ContainerFacts, ...]
    errors: tuple[CleanupError, ...] = ()
    is_dry_run: bool = False


class PlanCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Asks NautilusTrader itself, in a process of its own, whether classes exist and a plan's configs are accepted.

    `strategies` are importable strategy configs; `plan` is built as a node would be, up to but not including a connection. `packages`
    are the digests of those that the classes come from.
    """

    strategies: tuple[dict[str, Any], ...] = ()
    plan: EnginePlan | None = None
    packages: Annotated[tuple[Digest, ...], Meta(max_length=4)] = ()


class CheckLine(PlanCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the checking process reads: the same with the archives of its packages. `is_package`: it is asked what the first of them holds,
    `is_python`: which Python it is. `wheels` are the bytes of each wheel that follow the line, in this order.
    """

    archives: tuple[bytes, ...] = ()
    is_package: bool = False
    is_python: bool = False
    wheels: tuple[Wheel, ...] = ()


class PlanProblems(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that NautilusTrader refuses, each by where it stands (`strategies[0]`, `plan.node`); none: it is sound."""

    problems: tuple[FieldError, ...]


class CommandAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The sidecar has the command; what comes of it is told on the engine's feeds.

    `is_taken` is there for a stop and a brake: true once the engine has taken it, so that nothing leaves it any more that must not;
    false when that is not known yet. `orders_cancelled`, `positions_closed` and `not_confirmed` are there for cancelling and flattening:
    what events of the engine confirmed since they were asked for, and what of it is not confirmed.
    """

    instance_id: InstanceId
    session_id: SessionId
    request_id: RequestId
    message: str
    is_taken: bool | None = None
    orders_cancelled: int | None = None
    positions_closed: int | None = None
    not_confirmed: tuple[str, ...] = ()
