"""The zygote and the engine of one simulated container: what they say to the sidecar, and what they do when they are told."""

import asyncio
import math
import signal
from collections.abc import Callable
from random import Random
from typing import Any, Final, Protocol

import msgspec

from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    Ended,
    EndNow,
    Exited,
    Forked,
    GateShut,
    GoOn,
    Phase,
    PutBrake,
    Reduce,
    Run,
    Stop,
    Tick,
    ToEngine,
    ZygoteReady,
)
from flotilla.engine_sidecar.link.messages import LinkClosed, ZygoteGone
from flotilla.engine_sidecar.process.ports import Heard
from flotilla.engine_sidecar.process.usage import Usage
from flotilla.schemas.brakes import RELEASED
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import StopReport
from tests.simulation.loop import Process

TICK_S: Final = 1.0
ZYGOTE_PID, ENGINE_PID = 1, 2


class Script(msgspec.Struct):
    """How this one behaves. Times are seconds since the fork."""

    import_s: float
    steps_s: tuple[float, float, float]
    stop_s: float
    crash_at: float = math.inf
    crash_code: int = 1
    freeze_at: float = math.inf
    freeze_s: float = 0.0


def script_of(random: Random, *, is_faulty: bool) -> Script:
    """Most are well-behaved; the others crash, freeze, never connect, or do not stop."""
    script = Script(
        import_s=random.uniform(0.1, 1.5),
        steps_s=(random.uniform(0.05, 0.5), random.uniform(0.05, 0.5), random.uniform(0.05, 1.0)),
        stop_s=random.choice((0.1, 0.5, 2.0, 6.0)),
    )
    if not is_faulty:
        return script
    chance = random.random()
    if chance < 0.10:
        script.crash_at, script.crash_code = random.uniform(0.0, 15.0), random.choice((1, -9, -11, 0))
    elif chance < 0.16:
        script.freeze_at, script.freeze_s = random.uniform(0.0, 12.0), random.choice((3.0, 12.0, math.inf))
    elif chance < 0.19:
        script.steps_s = (0.1, math.inf, math.inf)
    elif chance < 0.23:
        script.stop_s = math.inf
    return script


class Witness(Protocol):
    """Who watches an engine."""

    def forked(self) -> None:
        """It begins to run."""

    def trades(self, is_free: bool) -> None:
        """It begins to trade freely, or does no more."""

    def stops(self) -> None:
        """It does as it was told, and begins to end."""


class SimProcesses:
    """An EngineProcesses."""

    def __init__(self, process: Process, script: Script, witness: Witness) -> None:
        self._process, self._script, self._witness = process, script, witness
        self._forked_at: float | None = None
        self._is_reduced = False
        self._brake = RELEASED
        self._is_stopping = False
        self._is_up = False
        self._ahead = [RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING]
        self.has_ended = False
        process.at_end.append(self._die)

    # -- what the sidecar calls

    async def run(self, on_message: Callable[[Heard], None], on_line: Callable[[str], None]) -> None:
        self._on_message = on_message
        self._process.soon(on_message, ZygoteReady(self._script.import_s), after_s=self._script.import_s)
        await asyncio.Event().wait()

    async def drain(self, timeout_s: float) -> None:
        await asyncio.sleep(0.01)

    @property
    def pids(self) -> tuple[int, ...]:
        return (ZYGOTE_PID, ENGINE_PID) if self._runs else (ZYGOTE_PID,)

    def fork(self, run: Run, _: tuple[int, ...] | None) -> None:
        self._forked_at = self._now
        self._brake = run.brake
        self._witness.forked()
        self._say(Forked(ENGINE_PID))
        self._after(self._script.crash_at, self._exit, self._script.crash_code)
        at = 0.0
        for state, step_s in zip(self._ahead, self._script.steps_s, strict=True):
            at += step_s
            self._after(at, self._enter, state)
        self._after(TICK_S, self._tick)

    def send(self, message: ToEngine) -> None:
        if not self._runs:
            return
        if self._silent_s > 0:
            # It reads its commands once its loop turns again.
            thaw_s = self._script.freeze_at + self._script.freeze_s - self._age_s
            self._after(thaw_s, self._obey, message)
        else:
            self._after(0.01, self._obey, message)

    def kill_engine(self) -> None:
        self._after(0.02, self._exit, -signal.SIGKILL)

    def kill_zygote(self) -> None:
        self._after(0.02, self._say, ZygoteGone(-signal.SIGKILL))
        self._after(0.03, self._exit, -signal.SIGKILL)

    # -- the engine

    @property
    def runs(self) -> bool:
        """True while there is an engine."""
        return self._runs

    @property
    def is_reduced(self) -> bool:
        """True while it may only reduce, since its lease has run out."""
        return self._is_reduced

    @property
    def is_silent(self) -> bool:
        """True while its loop is stuck."""
        return self._silent_s > 0

    @property
    def is_forked(self) -> bool:
        """True once there was an engine."""
        return self._forked_at is not None

    @property
    def _now(self) -> float:
        return self._process.loop.time()

    @property
    def _age_s(self) -> float:
        return self._now - (self._forked_at if self._forked_at is not None else self._now)

    @property
    def _runs(self) -> bool:
        return self._forked_at is not None and not self.has_ended

    @property
    def _silent_s(self) -> float:
        script = self._script
        is_frozen = script.freeze_at <= self._age_s < script.freeze_at + script.freeze_s
        return self._age_s - script.freeze_at if is_frozen else 0.0

    def _after(self, seconds: float, do: Callable[..., Any], *arguments: Any) -> None:
        if seconds < math.inf:
            self._process.soon(do, *arguments, after_s=seconds)

    def _say(self, message: Heard) -> None:
        self._after(0.001, self._on_message, message)

    def _enter(self, state: RunState) -> None:
        if not self._runs or self._is_stopping:
            return
        if self._silent_s > 0 or state != self._ahead[0]:
            # Its loop is stuck, or was when the state before this one was due.
            self._after(1.0, self._enter, state)
            return
        self._say(Phase(self._ahead.pop(0)))
        if state == RunState.TRADING:
            self._is_up = True
            self._judge()

    def _tick(self) -> None:
        if self._runs:
            self._say(Tick(loop_age_s=self._silent_s))
            self._after(TICK_S, self._tick)

    def _obey(self, message: ToEngine) -> None:
        if not self._runs:
            return
        match message:
            case Reduce():
                self._is_reduced = True
            case GoOn():
                self._is_reduced = False
            case PutBrake(brake=brake):
                self._brake = brake
                self._judge()
                self._say(BrakeTaken(brake))
            case Stop(policy=policy):
                self._begin_to_stop(policy, self._script.stop_s)
            case EndNow():
                self._begin_to_stop(StopPolicy.FLATTEN, min(self._script.stop_s, 1.0))
        self._judge()

    def _begin_to_stop(self, policy: StopPolicy, seconds: float) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._witness.stops()
            self._say(Phase(RunState.STOPPING))
            self._say(GateShut())
            self._after(seconds, self._end, policy)

    def _end(self, policy: StopPolicy) -> None:
        if self._runs:
            self._say(Ended(None, "", (), StopReport(policy=policy, is_flat=policy == StopPolicy.FLATTEN)))
            self._after(0.1, self._exit, 0)

    def _exit(self, code: int) -> None:
        if self._runs:
            if code == 1:
                self._say(Ended(FailureReason.STRATEGY if self._age_s < 1 else FailureReason.CRASH, "boom"))
            self._die()
            self._after(0.002, self._on_message, LinkClosed())
            self._after(0.004, self._on_message, Exited(ENGINE_PID, code))

    def _die(self) -> None:
        self.has_ended = True
        self._judge()

    def _judge(self) -> None:
        """Whether it opens positions now. One whose loop is stuck may go on the moment that it is not."""
        is_held = self._is_reduced or self._is_stopping or self._brake.is_on
        self._witness.trades(self._runs and self._is_up and not is_held)


class NoMeter:
    """A Meter that reads nothing."""

    def read(self) -> Usage | None:
        return None

    def oom_kills(self) -> int:
        return 0
