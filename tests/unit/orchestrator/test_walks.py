"""Whatever is asked, seen and told in whatever order: what must never happen does not."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import StopEngine
from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.engines.core import lifecycle, outcomes
from flotilla.services.orchestrator.engines.core.again import start_again
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    ContainerEffect,
    PublishState,
    StartContainer,
)
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.restarts import is_owed
from flotilla.services.orchestrator.engines.core.session import MOVES
from flotilla.services.orchestrator.engines.core.sightings import Sight
from tests.unit.orchestrator.makers import HOSTS, after, beat, config, facts, spec, state_event

type Turn = Callable[[Engine | None, float], Decision | None]

POLICY = RestartPolicy(max_restarts=2, window_s=30, backoff_s=1)
FLAG = StopFlag(since=after(0))
MAYBE_HOSTS = st.sampled_from([HOSTS, ()])
ENDINGS = {ContainerStatus.EXITED: st.sampled_from([0, 1, 137, None])}


def _started(data: st.DataObject, present: Engine | None, now: float) -> Decision | None:
    hosts = data.draw(MAYBE_HOSTS)
    new = spec(f"s{now:.0f}")
    if present is not None and data.draw(st.booleans()):
        return lifecycle.restart(present, new, request_id="r", hosts=hosts, now=after(now))
    return lifecycle.start(present, config(), new, request_id="r", hosts=hosts, now=after(now), policy=POLICY)


def _started_again(data: st.DataObject, present: Engine | None, now: float) -> Decision | None:
    if present is None or present.session is None:
        return None
    failed = spec(present.session.session_id)
    return start_again(present, failed, f"s{now:.0f}", data.draw(MAYBE_HOSTS), after(now))


def _stopped(data: st.DataObject, present: Engine | None, now: float) -> Decision | None:
    if present is None:
        return None
    return lifecycle.stop(present, StopEngine(force=data.draw(st.booleans())), request_id="r", now=after(now))


def _seen(data: st.DataObject, present: Engine | None, now: float) -> Decision | None:
    if present is None or present.session is None:
        return None
    status = data.draw(st.none() | st.sampled_from(list(ContainerStatus)))
    name = {"session_id": present.session.session_id, "generation": present.generation}
    code = data.draw(ENDINGS.get(status, st.none())) if status else None
    state = data.draw(st.none() | st.sampled_from(list(RunState)))
    sight = Sight(
        is_host_in_sight=data.draw(st.booleans()),
        is_listed=data.draw(st.booleans()),
        container=facts(status, exit_code=code, **name) if status else None,
        heartbeat=beat(state, **name) if state else None,
        is_unheard=data.draw(st.booleans()),
        stop_flag=data.draw(st.none() | st.none() | st.just(FLAG)),
        is_host_flagged=data.draw(st.booleans()),
    )
    return reconcile(present, sight, data.draw(MAYBE_HOSTS), after(now))


def _told(data: st.DataObject, present: Engine | None, now: float) -> Decision | None:
    if present is None or present.session is None:
        return None
    event = state_event(
        data.draw(st.integers(1, 12)),
        data.draw(st.sampled_from(list(RunState))),
        generation=data.draw(st.integers(1, present.generation + 1)),
    )
    event = msgspec.structs.replace(event, session_id=present.session.session_id)
    return apply_states(present, [event], data.draw(MAYBE_HOSTS), after(now))


def _came_back(data: st.DataObject, present: Engine | None, now: float) -> Decision | None:
    if present is None or present.session is None:
        return None
    host = present.session.host or "h1"
    effects: list[ContainerEffect] = [
        StartContainer("e1", present.session.session_id, host),
        CommandStop("e1", present.session.session_id, present.session.stop_policy, after(now)),
        CallOff("e1", present.session.session_id, host),
    ]
    effect = data.draw(st.sampled_from(effects))
    if data.draw(st.booleans()):
        return outcomes.done(present, effect, after(now))
    problem = Fault(code=data.draw(st.sampled_from(list(FaultCode))), message="no")
    return outcomes.failed(present, effect, problem, data.draw(MAYBE_HOSTS), after(now))


TURNS: list[Any] = [_started, _started_again, _stopped, _seen, _seen, _told, _told, _came_back]


def _check(before: Engine | None, decision: Decision) -> None:
    engine = decision.engine
    old, new = before.session if before else None, engine.session
    if not decision.is_change:
        assert engine == before
        return
    assert engine.version == (before.version + 1 if before else 1)
    assert PublishState(engine) in decision.effects
    if old is not None and new is not None and old.session_id == new.session_id:
        _check_move(old, new)
    elif old is not None:
        assert decision.ended is not None
        _check_move(old, decision.ended)
        assert decision.ended.is_over
        assert new is not None
        assert new.generation == old.generation + 1
    for effect in decision.effects:
        if isinstance(effect, StartContainer):
            assert new is not None
            assert (effect.session_id, effect.host) == (new.session_id, new.host)
            assert new.stop is None
    if engine.restart_at is not None:
        assert is_owed(engine)
    if isinstance(before, Engine) and len(engine.restarts) > len(before.restarts):
        assert is_owed(before)
        assert len(engine.restarts) <= POLICY.max_restarts


def _check_move(old: Session, new: Session) -> None:
    assert new.state == old.state or new.state in MOVES[old.state]
    assert new.host == old.host or old.host is None
    assert not (old.is_over and new.state != old.state)
    assert (new.ended_at is not None) == new.is_over


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_on_any_walk_an_engine_keeps_its_promises(data: st.DataObject) -> None:
    present: Engine | None = None
    for number in range(data.draw(st.integers(1, 30))):
        turn = data.draw(st.sampled_from(TURNS))
        try:
            decision = turn(data, present, number * 3.0)
        except FaultError as error:
            if error.fault.code != FaultCode.CONFLICT:
                raise
            continue
        if decision is not None:
            _check(present, decision)
            present = decision.engine


def _until_over(engine: Engine, status: ContainerStatus | None, seconds: float) -> Engine:
    """Reconciles every two seconds while its host reports the same."""
    now = 0.0
    while engine.is_active and now < seconds:
        now += 2
        container = facts(status, exit_code=1) if status else None
        sight = Sight(is_host_in_sight=True, is_listed=True, container=container)
        decision = reconcile(engine, sight, HOSTS, after(now))
        engine = decision.engine if decision else engine
    return engine


@given(st.sampled_from([ContainerStatus.EXITED, ContainerStatus.GONE, None]), st.booleans())
def test_a_session_always_ends_once_its_container_has(
    status: ContainerStatus | None, is_stopped: bool
) -> None:
    started = lifecycle.start(None, config(), spec(), request_id="r", hosts=HOSTS, now=after(0)).engine
    trading = apply_states(started, [state_event(1, RunState.TRADING)], (), after(0)).engine
    if is_stopped:
        trading = lifecycle.stop(trading, StopEngine(), request_id="r2", now=after(0)).engine
    ended = _until_over(trading, status, 10)
    assert ended.session is not None
    assert ended.session.state == (RunState.STOPPED if is_stopped else RunState.FAILED)
