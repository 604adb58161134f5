"""The orchestrator's cores and a host act on each other in virtual time: one seed is one run with faults of its own.

FLOTILLA_LOOP_SEEDS says how many runs there are, FLOTILLA_LOOP_FIRST the first of them.
"""

import os
from typing import Any

import msgspec
import pytest

from flotilla.schemas.engine import StopEngine
from flotilla.schemas.fault import Fault
from flotilla.schemas.session import ContainerFacts
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.services.orchestrator.engines.core import lifecycle, outcomes
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandStop,
    ContainerEffect,
    Effect,
    KillContainer,
    LookAgain,
    PublishState,
    RaiseAlert,
    RemoveContainer,
    StartAgain,
    StartContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.reconcile import leftovers, reconcile
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from tests.unit.orchestrator.host_model import RUNNING, Clock, Container, HostModel
from tests.unit.orchestrator.makers import HOSTS, after, beat, config, host_beat, spec, state_event

RUNS = int(os.environ.get("FLOTILLA_LOOP_SEEDS", "600"))
FIRST = int(os.environ.get("FLOTILLA_LOOP_FIRST", "0"))
PARTS = 10
LASTS_S = 600.0
BOUND_S = 35.0
ROUND_S = 2.0


class Run:
    """One engine from its start to its stop."""

    def __init__(self, seed: int, *, is_faulty: bool = True) -> None:
        self.clock = Clock(seed)
        self.host = HostModel(self.clock, self._saw, self._said)
        self.host.is_faulty = is_faulty
        self.sightings = FleetSightings(after(0))
        self.engine: Engine | None = None
        self.ended: dict[str, tuple[float, Session]] = {}
        self.asked: set[str] = set()
        self.stopped_at = 0.0
        self.is_forced = False
        self.wrong: list[str] = []
        self._under_way: set[ContainerEffect] = set()
        self._life = 0

    def run(self) -> list[str]:
        """What went wrong."""
        clock = self.clock
        self._take(lifecycle.start(None, config(), spec(), request_id="r", hosts=HOSTS, now=after(0)))
        self._beat()
        self._round()
        self.is_forced = clock.chance(0.1)
        stop_at = clock.between(0, 25)
        if clock.chance(0.2):
            clock.at(clock.between(0, stop_at), self._restart)
        if self.host.is_faulty and clock.chance(0.1):
            clock.at(clock.between(0, 40), self._restart_orchestrator)
        if self.host.is_faulty and clock.chance(0.2):
            clock.at(clock.between(0, 40), self.host.die)
        clock.at(stop_at, self._stop)
        clock.run(LASTS_S)
        return [*self.wrong, *self._left()]

    # -- what people ask

    def _stop(self) -> None:
        assert self.engine is not None
        self.stopped_at = self.clock.now
        request = StopEngine(force=self.is_forced, policy=StopPolicy.FLATTEN)
        self._take(lifecycle.stop(self.engine, request, request_id="r2", now=after(self.clock.now)))

    def _restart(self) -> None:
        assert self.engine is not None
        now = after(self.clock.now)
        self._take(lifecycle.restart(self.engine, spec("s2", 2), request_id="r3", hosts=HOSTS, now=now))

    def _restart_orchestrator(self) -> None:
        """What is on record stays, what was heard and what was under way is lost."""
        self._life += 1
        self._under_way.clear()
        self.sightings = FleetSightings(after(self.clock.now))

    # -- conductor, actions and watch

    def _take(self, decision: Decision | None) -> None:
        if decision is None:
            return
        before, self.engine = self.engine, decision.engine
        for session in (decision.ended, self.engine.session):
            if session is not None and session.is_over and session.session_id not in self.ended:
                self._over(session)
        if before is not None and decision.is_change:
            assert decision.engine.version == before.version + 1
        for effect in decision.effects:
            self._begin(effect)

    def _begin(self, effect: Effect) -> None:
        match effect:
            case PublishState() | RaiseAlert() | StartAgain():
                return
            case LookAgain(at=at):
                self.clock.at(max(0.0, (at - after(self.clock.now)).total_seconds()), self._look)
            case _ if effect not in self._under_way:
                self._under_way.add(effect)
                self.clock.at(self.clock.between(0, 0.05), self._send, effect, self._life)

    def _send(self, effect: ContainerEffect, life: int) -> None:
        def answer(seen: ContainerFacts | None, problem: Fault | None) -> None:
            self.clock.at(0.01, self._back, effect, seen, problem, life)

        host, session_id = self.host, effect.session_id
        match effect:
            case StartContainer() if self._is_wanted(session_id):
                generation = self.engine.generation if self.engine else 1
                # Now and then a request is late, as after a long garbage collection or a busy bus.
                is_late = host.is_faulty and self.clock.chance(0.1)
                delay = self.clock.between(0, 8) if is_late else 0.0
                self.clock.at(delay, host.start, session_id, generation, answer)
            case StartContainer():
                answer(None, None)
            case CallOff():
                host.call_off(session_id, answer)
            case CommandStop(until=until):
                self._ask(session_id)
                host.command_stop(session_id, (until - after(self.clock.now)).total_seconds(), answer)
            case StopContainer(timeout_s=timeout_s):
                self._check_asked(session_id, "SIGTERM")
                host.stop(session_id, timeout_s, answer)
            case KillContainer():
                self._check_asked(session_id, "SIGKILL")
                host.kill(session_id, answer)
            case RemoveContainer():
                host.remove(session_id, answer)

    def _back(
        self, effect: ContainerEffect, seen: ContainerFacts | None, problem: Fault | None, life: int
    ) -> None:
        if life != self._life:
            return
        self._under_way.discard(effect)
        now = after(self.clock.now)
        if seen is not None:
            self.sightings.saw_container(seen, now, is_new=isinstance(effect, StartContainer))
        if isinstance(effect, RemoveContainer):
            if problem is None:
                self.sightings.forget_container(effect.session_id)
            return
        if isinstance(effect, CallOff) and seen is not None and seen.status != "gone":
            problem = Fault(code="conflict", message="it has begun")  # type: ignore[arg-type]
        assert self.engine is not None
        if problem is None:
            self._take(outcomes.done(self.engine, effect, now))
        else:
            self._take(outcomes.failed(self.engine, effect, problem, HOSTS, now))
        self._look()

    def _look(self) -> None:
        if self.engine is not None and self.engine.session is not None:
            now = after(self.clock.now)
            sight = self.sightings.sight(self.engine.session, now)
            self._take(reconcile(self.engine, sight, HOSTS, now))

    def _beat(self) -> None:
        now = after(self.clock.now)
        if self.host.is_up:
            self.sightings.heard_host(host_beat(), now)
        for container in self.host.beats():
            named = {"session_id": container.session_id, "generation": container.generation}
            self.sightings.heard_engine(beat(container.state, **named), now)
        running = [each for each in self.host.containers.values() if each.status == RUNNING]
        if sum(not _told_its_end(each) for each in running) > 1:
            self.wrong.append("two containers of one engine run")
        self.clock.at(1, self._beat)

    def _round(self) -> None:
        now = after(self.clock.now)
        if self.host.is_up:
            listed = [self.host.facts_of(each) for each in self.host.containers.values()]
            self.sightings.listed("h1", listed, now)
        self._look()
        present = self.engine.session.session_id if self.engine and self.engine.session else ""
        others = [each for each in self.sightings.containers() if each.session_id != present]
        for effect in leftovers(others, {name: session for name, (_, session) in self.ended.items()}, now):
            self._begin(effect)
        self.clock.at(ROUND_S, self._round)

    def _saw(self, seen: ContainerFacts) -> None:
        if self.sightings.saw_container(seen, after(self.clock.now)):
            self._look()

    def _said(self, container: Container, state: RunState) -> None:
        event = state_event(container.seq, state)
        named = {"session_id": container.session_id, "generation": container.generation}
        self.clock.at(self.clock.between(0, 0.2), self._heard, msgspec.structs.replace(event, **named))

    def _heard(self, event: Any) -> None:
        assert self.engine is not None
        self._take(apply_states(self.engine, [event], HOSTS, after(self.clock.now)))

    def _is_wanted(self, session_id: str) -> bool:
        """As services/orchestrator/engines/actions.py asks before it sends a start."""
        session = self.engine.session if self.engine else None
        is_present = session is not None and session.session_id == session_id
        return session is not None and is_present and session.stop is None and not session.is_over

    # -- what must never happen

    def _ask(self, session_id: str) -> None:
        container = self.host.containers.get(session_id)
        if container is not None and container.status == RUNNING:
            self.asked.add(session_id)

    def _check_asked(self, session_id: str, signal: str) -> None:
        container = self.host.containers.get(session_id)
        runs = container is not None and container.status == RUNNING
        if runs and not self.is_forced and session_id not in self.asked and session_id not in self.ended:
            self.wrong.append(f"{signal} before the policy was asked")

    def _over(self, session: Session) -> None:
        self.ended[session.session_id] = (self.clock.now, session)
        container = self.host.containers.get(session.session_id)
        if container is not None and container.status == RUNNING and not _told_its_end(container):
            self.wrong.append("it runs on after its end")

    def _left(self) -> list[str]:
        """What is wrong once all should be over."""
        wrong = []
        if self.engine is not None and self.engine.is_active:
            wrong.append("a session never ends")
        if self.host.containers:
            wrong.append("a container is left")
        for session_id, at in self.host.began:
            if session_id in self.ended and at > self.ended[session_id][0]:
                wrong.append("it began to run after its end")
        for session_id, signal, _ in self.host.signals:
            session = self._final(session_id)
            if signal == "SIGKILL" and session is not None and not session.not_confirmed:
                wrong.append("killed, and nothing is said to be unknown")
        return wrong

    def _final(self, session_id: str) -> Session | None:
        present = self.engine.session if self.engine else None
        if present is not None and present.session_id == session_id:
            return present
        return self.ended[session_id][1] if session_id in self.ended else None


def _told_its_end(container: Container) -> bool:
    """True when the sidecar has told the end of its engine itself; its container ends a moment later."""
    return container.state.is_terminal


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_goes_wrong_a_stop_ends_and_says_what_it_does_not_know(part: int) -> None:
    wrong = {seed: found for seed in range(FIRST + part, FIRST + RUNS, PARTS) if (found := Run(seed).run())}
    assert not wrong


@pytest.mark.parametrize("part", range(PARTS))
def test_where_nothing_goes_wrong_a_stop_ends_within_its_bound(part: int) -> None:
    late = {}
    for seed in range(FIRST + part, FIRST + RUNS // 4, PARTS):
        run = Run(seed, is_faulty=False)
        assert run.run() == []
        took = max(at for at, _ in run.ended.values()) - run.stopped_at
        if took > BOUND_S:
            late[seed] = took
    assert not late
