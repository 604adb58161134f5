"""What the record holds: engines, their present session, and what was asked of both."""

from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.config import WORKER_TEMPLATE, EngineConfig, RestartPolicy
from flotilla.schemas.loss_limits import NOTHING_KEPT, KeptLosses
from flotilla.schemas.session import SessionSpec, container_name
from flotilla.schemas.states import DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import StopReport
from flotilla.services.orchestrator.core.record_time import wall

STARTING: Final = (
    RunState.SCHEDULED,
    RunState.CREATING,
    RunState.BOOTING,
    RunState.CONNECTING,
    RunState.RECONCILING,
)


class OrderedStop(msgspec.Struct, frozen=True, kw_only=True):
    """A stop that was asked for, and how far it got. Without a `policy` the sidecar takes its own.

    `in_reach_at`: when the session could be told at last, if that was later; `until`: when it is to have ended then.
    `acknowledged_at`: the sidecar took the command; `taken_at`: its engine did, so that no order that opens or adds leaves it any
    more; `terminated_at`, `killed_at`: the supervisor took the order to end the
    container. `is_for_silence`: nobody asked, but a policy about engines that are not heard, or for which others speak.
    """

    asked_at: datetime
    policy: StopPolicy | None
    is_forced: bool = False
    in_reach_at: datetime | None = None
    until: datetime | None = None
    acknowledged_at: datetime | None = None
    taken_at: datetime | None = None
    terminated_at: datetime | None = None
    killed_at: datetime | None = None
    is_for_silence: bool = False


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """How often a session fell silent, each time soon after the last, and what people were told of it.

    `heard_at` is when it was heard again, of the record's time; null while it is silent. `is_open`: they were told that it is
    silent, and not yet that it is not.
    """

    times: int = 1
    is_open: bool = True
    heard_at: datetime | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One life of an engine. `changed_at`, `exit_seen_at` and those of the stop order are of the record's time, all others of
    the wall clock: of ours for `created_at`, of the engine's for what it did.

    `exit_seen_at`: the container was first seen to be over, and the sidecar's own account is being waited for. `state_seq` is the
    number of the last state event that was applied. `is_provisional`: it ended by the container's facts alone, so that the
    sidecar's account may still replace the reason. `not_confirmed` and `stop_report` are what the sidecar told of its stop.
    `last_seq` is the number of its last event on record, `told_seq` the highest that its heartbeats named, noted at its end: what
    lies between is lost. `is_given_up`: nobody saw it end. `needs_docker`, `needs_cache`: what a host must have to run it.
    """

    session_id: str
    instance_id: str
    generation: int
    state: RunState
    created_at: datetime
    changed_at: datetime
    stop_policy: StopPolicy = StopPolicy.CANCEL
    stop_timeout_s: float = 30.0
    host: str | None = None
    reason: FailureReason | None = None
    detail: str | None = None
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()
    started_at: datetime | None = None
    trading_at: datetime | None = None
    ended_at: datetime | None = None
    exit_seen_at: datetime | None = None
    stop: OrderedStop | None = None
    state_seq: int = 0
    is_provisional: bool = False
    last_seq: int = 0
    told_seq: int = 0
    silence: Silence | None = None
    not_confirmed: tuple[str, ...] = ()
    stop_report: StopReport | None = None
    is_given_up: bool = False
    needs_docker: bool = False
    needs_cache: bool = False

    @property
    def known_seq(self) -> int:
        """The number of the last event that it is known to have made, on record or not."""
        return max(self.last_seq, self.told_seq)

    @property
    def is_over(self) -> bool:
        """True when the session has ended."""
        return self.state.is_terminal

    @property
    def container_name(self) -> str:
        """The container of this session."""
        return container_name(self.session_id)


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine and its present session. `version` counts its changes on record.

    `pending` is the session of a restart: it begins in the same transaction that ends the present one. `config` is what the
    present or last session runs, `configured` what was stored since for the next one. `restarts` are those made without being
    asked within the window of `restart_policy`; the next one is due at `restart_at`. These two and `updated_at` are of the record's
    time. A removed engine is hidden until it is started again. `brake` is handed to every session that begins, until it is lifted,
    and so is what `losses` keeps for its loss limits.
    """

    instance_id: str
    desired: DesiredState
    config: EngineConfig
    generation: int
    created_at: datetime
    updated_at: datetime
    version: int = 0
    session: Session | None = None
    pending: SessionSpec | None = None
    configured: EngineConfig | None = None
    removed_at: datetime | None = None
    restart_policy: RestartPolicy | None = None
    restarts: tuple[datetime, ...] = ()
    restart_at: datetime | None = None
    brake: EngineBrake = RELEASED
    losses: KeptLosses = NOTHING_KEPT

    @property
    def is_active(self) -> bool:
        """True while a session has not ended."""
        return self.session is not None and not self.session.is_over

    @property
    def is_worker(self) -> bool:
        """True for an engine that runs backtests: nobody means it who names none."""
        return self.config.template == WORKER_TEMPLATE

    @property
    def is_removed(self) -> bool:
        """True while people see nothing of it."""
        return self.removed_at is not None

    @property
    def next_config(self) -> EngineConfig:
        """The configuration of the next session."""
        return self.configured or self.config

    @property
    def shown_config(self) -> EngineConfig:
        """The configuration that people see: that of the session that runs or is due, else the next one."""
        return self.config if self.is_active or self.restart_at else self.next_config


def new_engine(config: EngineConfig, now: datetime) -> Engine:
    """An engine that never ran and is not wanted to."""
    return Engine(
        instance_id=config.instance_id,
        desired=DesiredState.STOPPED,
        config=config,
        generation=0,
        created_at=wall(now),
        updated_at=now,
    )
