"""A decision: what goes on record, and what is to be done once it is there."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import DesiredState, RunState
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core import restarts
from flotilla.services.orchestrator.engines.core.effects import Effect, PublishState
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.placement import HostLoad, needs_docker, place


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The engine as it shall be recorded, the effects to perform then, and the answer to whoever asked.

    `ended` is the session that a new one takes the place of; `spec` is that of the new one. `is_change` is false when there is
    nothing to record.
    """

    engine: Engine
    effects: tuple[Effect, ...] = ()
    reply: EngineAccepted | None = None
    ended: Session | None = None
    spec: SessionSpec | None = None
    is_change: bool = True


def begin(engine: Engine, spec: SessionSpec, hosts: Sequence[HostLoad], now: datetime) -> Decision:
    """A new session in place of the present one, which has ended; on a host at once if there is one."""
    spec = msgspec.structs.replace(spec, brake=engine.brake, losses=engine.losses)
    scheduled = Session(
        session_id=spec.session_id,
        instance_id=spec.instance_id,
        generation=spec.generation,
        state=RunState.SCHEDULED,
        created_at=wall(now),
        changed_at=now,
        stop_policy=spec.stop_policy,
        stop_timeout_s=spec.stop_timeout_s,
        needs_docker=needs_docker(spec),
        needs_cache=spec.uses_cache,
    )
    session, effects = place(scheduled, hosts, now)
    changed = msgspec.structs.replace(
        engine,
        generation=spec.generation,
        session=session,
        pending=None,
        config=spec.config or engine.config,
        configured=None if engine.configured == spec.config else engine.configured,
        restart_at=None,
        removed_at=None,
    )
    return Decision(engine=changed, effects=effects, ended=engine.session, spec=spec)


def conclude(
    before: Engine,
    session: Session,
    effects: tuple[Effect, ...],
    hosts: Sequence[HostLoad],
    now: datetime,
) -> Decision:
    """The engine with its session changed, and the fleet told: begins a pending restart if that ended it, or plans one."""
    if session == before.session:
        return Decision(engine=before, effects=effects, is_change=False)
    engine = msgspec.structs.replace(before, session=session)
    if session.is_over and engine.pending is not None:
        begun = begin(engine, engine.pending, hosts, now)
        return recorded(before, msgspec.structs.replace(begun, effects=(*effects, *begun.effects)), now)
    if session.state == RunState.COMPLETED:
        # Its data is through: there is nothing left that it could be wanted for.
        engine = msgspec.structs.replace(engine, desired=DesiredState.STOPPED)
    if session.is_over:
        engine, planned = restarts.plan(engine, before.session, now)
        effects = (*effects, *planned)
    return recorded(before, Decision(engine=engine, effects=effects), now)


def recorded(before: Engine | None, decision: Decision, now: datetime) -> Decision:
    """The decision as a change of `before`: its version counted up, its publication added."""
    engine = msgspec.structs.replace(
        decision.engine, version=before.version + 1 if before else 1, updated_at=now
    )
    return msgspec.structs.replace(decision, engine=engine, effects=(*decision.effects, PublishState(engine)))
