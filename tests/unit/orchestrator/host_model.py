"""A model of one host in virtual time: Docker's life of containers, the supervisor's verbs, sidecars with their engines.

The verbs answer as services/supervisor/handlers.py does, which tests/unit/supervisor/test_handlers.py holds to the same table.
"""

import heapq
import math
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from flotilla.schemas.fault import Fault, FaultCode
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import RunState
from tests.unit.orchestrator.makers import after, facts

CREATED, RUNNING, EXITED = ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.EXITED
UNREACHED = Fault(code=FaultCode.UNAVAILABLE, message="nobody answers", retry_after_s=1.0)
LOST = Fault(code=FaultCode.OUTCOME_UNKNOWN, message="no answer")
BUSY = Fault(code=FaultCode.UNAVAILABLE, message="its start is under way", retry_after_s=1.0)
REFUSED = Fault(code=FaultCode.CONFLICT, message="called off")

type Answer = Callable[[ContainerFacts | None, Fault | None], None]


class Clock:
    """What is to happen, in order of time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()

    def at(self, delay: float, do: Callable[..., None], *arguments: Any) -> None:
        """Has it done in `delay` seconds."""
        heapq.heappush(self._due, (self.now + delay, next(self._numbers), do, arguments))

    def run(self, until: float) -> None:
        """Lets time pass."""
        while self._due and self._due[0][0] <= until:
            self.now, _, do, arguments = heapq.heappop(self._due)
            do(*arguments)

    def chance(self, share: float) -> bool:
        """True in that share of all cases."""
        return self.random.random() < share

    def between(self, low: float, high: float) -> float:
        """Any number of seconds in there."""
        return self.random.uniform(low, high)


class Container(msgspec.Struct):
    """One container, its sidecar and its engine. `told_at`: the sidecar knows that it is to stop."""

    session_id: str
    generation: int
    status: ContainerStatus = CREATED
    up_at: float = math.inf
    state: RunState = RunState.BOOTING
    is_frozen: bool = False
    is_slow: bool = False
    told_at: float | None = None
    kill_at: float = math.inf
    exit_code: int | None = None
    seq: int = 0

    @property
    def hears(self) -> bool:
        return self.status == RUNNING and not self.is_frozen


class HostModel:
    """Docker, supervisor and sidecars. `said` gets each state event, `saw` each change of a container."""

    def __init__(
        self, clock: Clock, saw: Callable[[ContainerFacts], None], said: Callable[[Container, RunState], None]
    ) -> None:
        self.clock, self.saw, self.said = clock, saw, said
        self.containers: dict[str, Container] = {}
        self.signals: list[tuple[str, str, float]] = []
        self.began: list[tuple[str, float]] = []
        self.is_faulty = True
        self._called_off: set[str] = set()
        self._starting: dict[str, list[Answer]] = {}
        self._life = 0
        self._down_until = 0.0

    @property
    def is_up(self) -> bool:
        """True while there is a supervisor."""
        return self.clock.now >= self._down_until

    def facts_of(self, container: Container) -> ContainerFacts:
        """As the supervisor tells it."""
        return facts(
            container.status,
            session_id=container.session_id,
            generation=container.generation,
            exit_code=container.exit_code,
            started_at=None if container.status == CREATED else after(self.clock.now),
        )

    def die(self) -> None:
        """SIGKILL to the supervisor: Docker goes on, the answers that it owed are lost."""
        self._life += 1
        self._down_until = self.clock.now + self.clock.between(1, 4)
        for answers in self._starting.values():
            for answer in answers:
                self.clock.at(5, answer, None, LOST)
        self._starting.clear()

    # -- the supervisor's verbs

    def start(self, session_id: str, generation: int, answer: Answer) -> None:
        """`engine.start`: what is there is adopted, what was called off is refused."""
        if not self.is_up:
            return self.clock.at(2, answer, None, UNREACHED)
        if session_id in self._called_off:
            return answer(None, REFUSED)
        known = self.containers.get(session_id)
        if known is not None and known.status != CREATED:
            return answer(self.facts_of(known), None)
        if session_id in self._starting:
            self._starting[session_id].append(answer)
            return None
        self._starting[session_id] = [answer]
        self.containers.pop(session_id, None)
        slow = self.clock.random.choice([0.1, 0.5, 3, 8])
        return self.clock.at(slow, self._created, Container(session_id, generation), self._life)

    def call_off(self, session_id: str, answer: Answer) -> None:
        """`engine.call_off`."""
        if not self.is_up:
            return self.clock.at(2, answer, None, UNREACHED)
        known = self.containers.get(session_id)
        if known is None or known.status == CREATED:
            self._called_off.add(session_id)
            return self._clear(session_id, answer, 2.0, self._life)
        return answer(self.facts_of(known), None)

    def stop(self, session_id: str, timeout_s: float, answer: Answer) -> None:
        """`engine.stop` of a session that was seen to run."""
        if not self.is_up:
            return self.clock.at(2, answer, None, UNREACHED)
        known = self.containers.get(session_id)
        if known is None:
            return answer(None, Fault(code=FaultCode.NOT_FOUND, message="not here"))
        if known.status == RUNNING:
            self._terminate(known, timeout_s)
        return answer(self.facts_of(known), None)

    def kill(self, session_id: str, answer: Answer) -> None:
        """`engine.kill` of a session that was seen to run."""
        if not self.is_up:
            return self.clock.at(2, answer, None, UNREACHED)
        if (known := self.containers.get(session_id)) is None:
            return answer(None, Fault(code=FaultCode.NOT_FOUND, message="not here"))
        self._sigkill(known)
        return answer(self.facts_of(known), None)

    def remove(self, session_id: str, answer: Answer) -> None:
        """`engine.remove`."""
        if not self.is_up:
            return self.clock.at(2, answer, None, UNREACHED)
        known = self.containers.get(session_id)
        if known is not None and known.status == RUNNING:
            return answer(None, Fault(code=FaultCode.CONFLICT, message="it runs"))
        self._called_off.add(session_id)
        self.containers.pop(session_id, None)
        return answer(None, None)

    # -- sidecars

    def command_stop(self, session_id: str, left_s: float, answer: Answer) -> None:
        """The command to the sidecar, which is there once it has found the bus; until then it is asked for two seconds."""
        known = self.containers.get(session_id)
        if known is not None and known.hears and known.up_at <= self.clock.now + 2:
            return self.clock.at(max(0.0, known.up_at - self.clock.now), self._obey, known, left_s, answer)
        frozen = known is not None and known.status == RUNNING and known.is_frozen
        return self.clock.at(5 if frozen else 2, answer, None, LOST if frozen else UNREACHED)

    def beats(self) -> list[Container]:
        """Those that are heard now."""
        return [each for each in self.containers.values() if each.hears and each.up_at <= self.clock.now]

    def _obey(self, container: Container, left_s: float, answer: Answer) -> None:
        if not container.hears:
            return self.clock.at(2, answer, None, UNREACHED)
        self._tell(container, left_s)
        return answer(None, None)

    def _tell(self, container: Container, left_s: float) -> None:
        if container.told_at is not None:
            return
        container.told_at = self.clock.now
        if container.up_at > self.clock.now:
            # SIGTERM itself ends a sidecar that has not looked for the bus.
            self._exit(container, -15)
            return
        self._say(container, RunState.STOPPING)
        needed = math.inf if container.is_slow else self.clock.between(0.5, 20)
        self.clock.at(min(needed, left_s + 1), self._ended, container)

    def _ended(self, container: Container) -> None:
        if container.hears:
            self._say(container, RunState.STOPPED)
            self.clock.at(0.3, self._exit, container, 0)

    def _say(self, container: Container, state: RunState) -> None:
        if container.hears:
            container.state = state
            container.seq += 1
            self.said(container, state)

    # -- containers

    def _created(self, container: Container, life: int) -> None:
        if life != self._life:
            # The daemon finishes what a supervisor that died had asked for, unless another one was quicker.
            if container.session_id not in self.containers and container.session_id not in self._starting:
                self.containers[container.session_id] = container
                self._report(container)
            return None
        self.containers[container.session_id] = container
        self._report(container)
        if self.is_faulty and self.clock.chance(0.1):
            return self.die()
        if container.session_id in self._called_off:
            del self.containers[container.session_id]
            return self._answer_start(container.session_id, None, REFUSED)
        slow = self.clock.random.choice([0.05, 0.3, 2, 6])
        self.clock.at(slow, self._started, container, life)
        if self.is_faulty and self.clock.chance(0.05):
            self.clock.at(self.clock.between(0, slow), self.die)
        return None

    def _started(self, container: Container, life: int) -> None:
        if self.containers.get(container.session_id) is not container:
            return  # It was removed meanwhile.
        container.status = RUNNING
        container.up_at = self.clock.now + self.clock.between(0.2, 3)
        container.is_slow = self.clock.chance(0.1)
        self.began.append((container.session_id, self.clock.now))
        self._report(container)
        for delay, state in ((0.01, RunState.BOOTING), (0.5, RunState.TRADING)):
            self.clock.at(container.up_at - self.clock.now + delay, self._arrive, container, state)
        if self.is_faulty and self.clock.chance(0.1):
            self.clock.at(self.clock.between(0, 30), self._freeze, container)
        if life == self._life:
            self._answer_start(container.session_id, self.facts_of(container), None)

    def _answer_start(self, session_id: str, answered: ContainerFacts | None, problem: Fault | None) -> None:
        for answer in self._starting.pop(session_id, ()):
            answer(answered, problem)

    def _arrive(self, container: Container, state: RunState) -> None:
        if container.told_at is None:
            self._say(container, state)

    def _freeze(self, container: Container) -> None:
        container.is_frozen = True

    def _clear(self, session_id: str, answer: Answer, patience_s: float, life: int) -> None:
        if life != self._life:
            return self.clock.at(5, answer, None, LOST)
        if session_id in self._starting:
            if patience_s <= 0:
                return answer(None, BUSY)
            return self.clock.at(0.1, self._clear, session_id, answer, patience_s - 0.1, life)
        known = self.containers.get(session_id)
        if known is not None and known.status != CREATED:
            return answer(self.facts_of(known), None)
        self.containers.pop(session_id, None)
        return answer(facts(ContainerStatus.GONE, session_id=session_id), None)

    def _terminate(self, container: Container, timeout_s: float) -> None:
        if container.kill_at < math.inf:
            return
        container.kill_at = self.clock.now + timeout_s
        self.clock.at(timeout_s, self._sigkill, container)
        was_silent = container.is_frozen
        self.clock.at(12, self._kill_silent, container, was_silent)
        # The first process of a container may lose the first signal.
        for again in range(1 if self.clock.chance(0.1) else 0, 6):
            self.clock.at(again, self._sigterm, container)

    def _sigterm(self, container: Container) -> None:
        if container.status == RUNNING:
            self.signals.append((container.session_id, "SIGTERM", self.clock.now))
        if container.hears:
            self._tell(container, 30.0)

    def _kill_silent(self, container: Container, was_silent: bool) -> None:
        if was_silent and container.is_frozen:
            self._sigkill(container)

    def _sigkill(self, container: Container) -> None:
        if container.status == RUNNING:
            # One that has told its end was killed in the last moment of its life: its account is whole.
            signal = "late SIGKILL" if container.state.is_terminal else "SIGKILL"
            self.signals.append((container.session_id, signal, self.clock.now))
            self._exit(container, -9)

    def _exit(self, container: Container, code: int) -> None:
        if container.status == RUNNING:
            container.status, container.exit_code = EXITED, code
            self._report(container)

    def _report(self, container: Container) -> None:
        if self.is_up:
            self.saw(self.facts_of(container))
