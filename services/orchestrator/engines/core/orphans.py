"""Orphans: containers of ours whose session no record knows. After a grace they are adopted, stopped or reported.

One that may trade live is never stopped here: it is adopted where that is the policy, else reported. What was only created has
never traded and is removed.
"""

from datetime import datetime, timedelta

import msgspec

from flotilla.schemas.alerts import ORPHAN_ADOPTED, ORPHAN_CONTAINER, ORPHAN_STOPPED
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionSpec
from flotilla.schemas.states import DesiredState, EngineType, OrphanPolicy, RunState, TradingMode
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.alerts import about_container, about_engine
from flotilla.services.orchestrator.engines.core.decision import Decision, recorded
from flotilla.services.orchestrator.engines.core.effects import Effect, RemoveContainer
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop, Session, new_engine
from flotilla.services.orchestrator.engines.core.placement import needs_docker
from flotilla.services.orchestrator.engines.core.stopping import stop_step


class AdoptContainer(msgspec.Struct, frozen=True):
    """Ask the sidecar what it runs, and put that on record."""

    container: ContainerFacts


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """An orphan since it was first seen.

    `stopping` is a stop under way, as a session that no record holds. `is_reported`: people were told, and nothing else is to
    be done. `refusal` says why it could not be adopted.
    """

    container: ContainerFacts
    seen_at: datetime
    stopping: Session | None = None
    is_reported: bool = False
    refusal: str = ""


type OrphanEffect = Effect | AdoptContainer
type Step = tuple[Orphan, tuple[OrphanEffect, ...]]


def may_trade_live(container: ContainerFacts) -> bool:
    """True unless its labels say that it trades no money."""
    is_on_paper = container.trading_mode == TradingMode.PAPER
    return not is_on_paper and container.engine_type in (None, EngineType.LIVE)


def step(orphan: Orphan, policy: OrphanPolicy, grace: timedelta, now: datetime) -> Step:
    """What is to be done about an orphan now."""
    container = orphan.container
    if orphan.is_reported or now - orphan.seen_at < grace or container.status == ContainerStatus.GONE:
        return orphan, ()
    is_running = container.status == ContainerStatus.RUNNING
    if policy == OrphanPolicy.ADOPT and is_running and not orphan.refusal and orphan.stopping is None:
        return orphan, (AdoptContainer(container),)
    name = (container.instance_id, container.session_id, container.host)
    if container.status == ContainerStatus.CREATED:
        return orphan, (RemoveContainer(*name),)
    if policy == OrphanPolicy.REPORT or may_trade_live(container):
        return _reported(orphan, now)
    if not is_running:
        return orphan, (RemoveContainer(*name),)
    return _stopped(orphan, now)


def adopt(engine: Engine | None, spec: SessionSpec, container: ContainerFacts, now: datetime) -> Decision:
    """The engine with a session that ran before it was on record. Where it is, its next heartbeat says.

    Raises FaultError `conflict` when it cannot be the engine's present session.
    """
    if spec.session_id != container.session_id or spec.instance_id != container.instance_id:
        raise fault(FaultCode.CONFLICT, f"its sidecar says that it runs session {spec.session_id}")
    if spec.config is None:
        raise fault(FaultCode.CONFLICT, "its sidecar does not know the configuration it was started with")
    if engine is not None and engine.is_active:
        raise fault(FaultCode.CONFLICT, f"engine {engine.instance_id} has another session that is active")
    if engine is not None and spec.generation <= engine.generation:
        raise fault(FaultCode.CONFLICT, f"engine {engine.instance_id} had later sessions than this one")
    before = engine or new_engine(spec.config, now)
    adopted = msgspec.structs.replace(
        before,
        desired=DesiredState.RUNNING,
        config=spec.config,
        configured=None,
        generation=spec.generation,
        session=_session(spec, container, now),
        restarts=(),
        restart_at=None,
        removed_at=None,
        brake=max(before.brake, spec.brake, key=lambda brake: brake.number),
        losses=spec.losses,
    )
    message = f"{_text(container)}; it is on record again"
    alert = about_engine(adopted, ORPHAN_ADOPTED, message, now)
    ended = before.session
    return recorded(engine, Decision(engine=adopted, spec=spec, ended=ended, effects=(alert,)), now)


def _session(spec: SessionSpec, container: ContainerFacts, now: datetime) -> Session:
    return Session(
        session_id=spec.session_id,
        instance_id=spec.instance_id,
        generation=spec.generation,
        state=RunState.UNKNOWN,
        created_at=container.created_at or wall(now),
        changed_at=now,
        stop_policy=spec.stop_policy,
        stop_timeout_s=spec.stop_timeout_s,
        host=container.host,
        started_at=container.started_at or wall(now),
        needs_docker=needs_docker(spec),
        needs_cache=spec.uses_cache,
    )


def _reported(orphan: Orphan, now: datetime) -> Step:
    is_live = may_trade_live(orphan.container)
    is_running = orphan.container.status == ContainerStatus.RUNNING
    trades = "; it may trade live, so it is left alone until somebody stops it" if is_live else ""
    if is_live and not is_running:
        trades = "; it may have traded live, so what is left of it is kept until somebody removes it"
    refusal = f"; it could not be adopted: {orphan.refusal}" if orphan.refusal else ""
    message = f"{_text(orphan.container)}{trades}{refusal}"
    alert = about_container(orphan.container, ORPHAN_CONTAINER, message, now, is_critical=is_live)
    return msgspec.structs.replace(orphan, is_reported=True), (alert,)


def _stopped(orphan: Orphan, now: datetime) -> Step:
    if orphan.stopping is not None:
        return orphan, stop_step(orphan.stopping, now)
    container = orphan.container
    stopping = Session(
        session_id=container.session_id,
        instance_id=container.instance_id,
        generation=max(1, container.generation),
        state=RunState.STOPPING,
        created_at=wall(now),
        changed_at=now,
        host=container.host,
        started_at=container.started_at or wall(now),
        stop=OrderedStop(asked_at=now, policy=None),
    )
    refusal = f"; it could not be adopted: {orphan.refusal}" if orphan.refusal else ""
    message = f"{_text(container)}; it is being stopped{refusal}"
    alert = about_container(container, ORPHAN_STOPPED, message, now)
    changed = msgspec.structs.replace(orphan, stopping=stopping)
    return changed, (alert, *stop_step(stopping, now))


def _text(container: ContainerFacts) -> str:
    does = "runs" if container.status == ContainerStatus.RUNNING else "is what is left of"
    return (
        f"container {container.name} on host {container.host} {does} session {container.session_id} of engine"
        f" {container.instance_id}, which is on no record"
    )
