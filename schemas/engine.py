"""Engines as people see them: the calls that start, stop and describe them."""

from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.ids import HostId, InstanceId, Name, RequestId, SessionId
from flotilla.schemas.labels import Labels
from flotilla.schemas.loss_limits import LossesView
from flotilla.schemas.package import Digest, PackageRef, ReviewedPackage
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EngineMetrics, Resources, StopFlag, StopReport
from flotilla.schemas.trading_hours import HoursView

ExpectedDigests: TypeAlias = Annotated[dict[Name, Digest], Meta(max_length=64)]


class StartEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a new session of the engine `config.instance_id`; without `config`, of `instance_id` with what is stored for it.

    `expected_digests` are the packages that it is to run, by name: a start that would run any other content, or another package, is
    refused (`conflict`). Null asks for no such comparison.
    """

    config: EngineConfig | None = None
    instance_id: InstanceId | None = None
    confirm_live_trading: bool = False
    expected_digests: ExpectedDigests | None = None
    request_id: RequestId | None = None


class StopEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks an engine to stop. `force` kills it without waiting; `policy` overrides the template's."""

    instance_id: InstanceId | None = None
    force: bool = False
    policy: StopPolicy | None = None
    request_id: RequestId | None = None


class RestartEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a new session with the last configuration, after stopping the present one if there is one. `expected_digests`: see StartEngine."""

    instance_id: InstanceId | None = None
    confirm_live_trading: bool = False
    expected_digests: ExpectedDigests | None = None
    request_id: RequestId | None = None


class ReviewStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what a start, or without `config` a restart of `instance_id`, would run now, and what of it the engine has not run live yet."""

    config: EngineConfig | None = None
    instance_id: InstanceId | None = None


class StartReview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be run. `ran_live` is the session that last traded money with this engine, null for none; `gone` are its packages that would
    not be run any more. `is_as_before`: the packages have the content that they had then, or there are none.
    """

    instance_id: InstanceId
    trades_money: bool
    packages: tuple[ReviewedPackage, ...] = ()
    gone: tuple[PackageRef, ...] = ()
    ran_live: SessionId | None = None
    is_as_before: bool = False


class ConfigureEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stores a configuration, checked as a start checks it; the engine's next start or restart uses it."""

    config: EngineConfig
    request_id: RequestId | None = None


class RemoveEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an engine that is not active to be forgotten; its sessions and events stay on record."""

    instance_id: InstanceId
    request_id: RequestId | None = None


class EngineAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command is on record and will be carried out; results arrive on the feeds.

    `is_taken` is there for a stop: true when no order that opens or adds leaves the engine any more; false when that was not known
    within two seconds: the stop holds and goes on, and orders may leave until it is taken. It is there for brakes too: true when the
    engine has done what was asked, false when that is not known; `brake` is the one that is on record now. Where orders were to be
    cancelled or positions closed, `orders_cancelled` and `positions_closed` count what the engine's events confirmed (null: it did not
    answer), and `not_confirmed` lists what is not known to be done.
    """

    request_id: RequestId
    instance_id: InstanceId
    message: str
    state: ClientState
    session_id: SessionId | None = None
    container_name: str | None = None
    started_at: datetime | None = None
    config: EngineConfig | None = None
    is_taken: bool | None = None
    brake: EngineBrake | None = None
    orders_cancelled: int | None = None
    positions_closed: int | None = None
    not_confirmed: tuple[str, ...] = ()


class WhichEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names an engine; without an id the one that is active is meant."""

    instance_id: InstanceId | None = None


class ListEngines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for engines, most recent first.

    `active` keeps those whose session has not ended, `labels` those whose configuration, as it is shown, has all of them. `cursor` is
    the `next` of the page before.
    """

    active: bool = False
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    labels: Labels = {}
    cursor: InstanceId | None = None


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """One life of an engine, as the record has it."""

    session_id: SessionId
    instance_id: InstanceId
    generation: int
    state: RunState
    container_name: str
    created_at: datetime
    host: HostId | None = None
    reason: FailureReason | None = None
    detail: str | None = None
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()
    not_confirmed: tuple[str, ...] = ()
    stop: StopReport | None = None
    started_at: datetime | None = None
    trading_at: datetime | None = None
    ended_at: datetime | None = None
    last_seq: int = 0


class EngineView(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one engine. `heartbeat_age_s` and what follows is null while no session is in sight.

    `restarts` are those made by itself within the window of its policy, `restart_at` is when the next one is due. `problems`
    says why an engine is impaired, `notes` what may be one and may not; see Heartbeat. `brake` is on until somebody lifts it;
    `is_brake_taken` when the session that runs was heard to obey it, null while none is in sight. `losses` is what its loss
    limits know, of a session that is heard else from the record; `trading_hours` what its schedule lets pass, null while none is in sight.
    `dead_man` is what that session does by itself when no orchestrator is heard any more; null: nothing, or none is in sight.
    `is_removed`: it is in no list any more, which its last view tells. `version` counts the changes of the engine on record: of two
    views the one with the higher number is newer (0: from an orchestrator that does not tell). `created_at` is when it came on record,
    `restarts_until` when each of `restarts` will no longer count.
    """

    instance_id: InstanceId
    state: ClientState
    desired: DesiredState
    config: EngineConfig
    session: SessionView | None = None
    restarts: int = 0
    restart_at: datetime | None = None
    stop_flag: StopFlag | None = None
    heartbeat_age_s: float | None = None
    is_frozen: bool = False
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    event_age_s: float | None = None
    resources: Resources | None = None
    metrics: EngineMetrics | None = None
    brake: EngineBrake = RELEASED
    is_brake_taken: bool | None = None
    losses: LossesView | None = None
    trading_hours: HoursView | None = None
    dead_man: DeadMan | None = None
    is_removed: bool = False
    version: int = 0
    created_at: datetime | None = None
    restarts_until: tuple[datetime, ...] = ()


class FleetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `status`: the engine meant (null when none ever ran), and every active engine."""

    engine: EngineView | None
    active: tuple[EngineView, ...]


class EngineList(msgspec.Struct, frozen=True, kw_only=True):
    """Engines, most recent first; `total_count` counts all that were asked for, whatever the limit. `next` is null on the last page.

    An engine that starts while pages are read goes to the top: it may come twice, or, where the page before ended with it, all come anew.
    """

    engines: tuple[EngineView, ...]
    total_count: int
    next: InstanceId | None = None


class ListSessions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the sessions of an engine, newest first."""

    instance_id: InstanceId
    limit: Annotated[int, Meta(ge=1, le=1000)] = 20


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions, newest first."""

    sessions: tuple[SessionView, ...]


class ReadLogs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the last lines of an engine's log, also after its container is gone."""

    instance_id: InstanceId | None = None
    lines: Annotated[int, Meta(ge=1, le=1000)] = 100
    level: Annotated[str, Meta(pattern=r"\A(?i:debug|info|warning|error)\Z")] | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None


class EngineLogs(msgspec.Struct, frozen=True, kw_only=True):
    """The lines asked for, oldest first; `total_lines` counts those kept that match."""

    instance_id: InstanceId | None
    lines: tuple[str, ...]
    total_lines: int


class ReadEvents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for durable events of an engine, oldest first, after (`session_id`, `after_seq`)."""

    instance_id: InstanceId
    session_id: SessionId | None = None
    after_seq: Annotated[int, Meta(ge=0)] = 0
    kind: Annotated[str, Meta(pattern=r"\A(?:state|order|fill|position|account|alert)\Z")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class ReadHoldings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what sessions held when they were last heard, by their events on record."""

    session_ids: Annotated[tuple[SessionId, ...], Meta(max_length=1000)]


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """Open positions and orders in words, a line for each, at most 50 of each kind; a session that held nothing is not named."""

    held: dict[SessionId, tuple[str, ...]]


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Events as they were published, oldest first. `missing` lists the gaps in the session's sequence.

    Of the numbers up to `pruned_to` only those are on record that are still needed: the others were deleted because of their age.
    """

    session_id: SessionId | None
    events: tuple[msgspec.Raw, ...]
    missing: tuple[tuple[int, int], ...] = ()
    pruned_to: int = 0
