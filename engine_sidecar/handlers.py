"""What the sidecar does with what it hears: frames of the engine and commands from the bus go in, effects come out."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from bus.logs import get_logger
from engine_sidecar.core import session as core
from engine_sidecar.core.messages import (
    Conclude,
    Effect,
    Fork,
    KillEngine,
    KillZygote,
    Message,
    Publish,
    Send,
    StopAsked,
)
from engine_sidecar.core.session import Session
from engine_sidecar.link import (
    CancelOrders,
    Flatten,
    FromEngine,
    FromZygote,
    Happened,
    Measured,
    Run,
    ToEngine,
)
from engine_sidecar.ports import EngineProcesses, Record
from schemas.fault import FaultCode, fault
from schemas.ids import new_request_id
from schemas.session import CommandAccepted, EngineCommand, Launch
from schemas.states import RunState, StopPolicy
from schemas.telemetry import StateChange

log = get_logger(__name__)

HAND_OVER_S: Final = 2.0
_COMMANDABLE: Final = (RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)


class Handlers:
    """One session. Everything that happens to it passes through `post`, one at a time, in order of arrival."""

    def __init__(
        self,
        launch: Launch,
        processes: EngineProcesses,
        record: Record,
        *,
        now: Callable[[], float],
        measured: Callable[[bytes], None],
        over: Callable[[], None],
    ) -> None:
        self._launch = launch
        self._processes = processes
        self._record = record
        self._now = now
        self._measured = measured
        self._over = over
        self._inbox: deque[Message] = deque()
        self.session, effects = core.begin(launch.spec)
        self._perform(effects)

    def hear(self, message: FromEngine | FromZygote | Message) -> None:
        """A frame of the engine or of its zygote; events and metrics pass without being decided on."""
        match message:
            case Happened(kind=kind, data=data):
                self._record.copy(kind, data)
            case Measured(data=data):
                self._measured(data)
            case _:
                self.post(message)

    def post(self, message: Message) -> None:
        """Decides on a message and carries out what follows from it."""
        self._inbox.append(message)
        if len(self._inbox) > 1:
            return  # An effect led to this message; the loop below is still running.
        while self._inbox:
            before = self.session
            self.session, effects = core.decide(before, self._inbox[0], self._now())
            _log_change(before, self.session)
            self._perform(effects)
            self._inbox.popleft()

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Publish(data=data):
                    self._record.write(data)
                case Fork():
                    self._processes.fork(_run(self._launch))
                case Send(message=message):
                    self._processes.send(message)
                case KillEngine():
                    self._processes.kill_engine()
                case KillZygote():
                    self._processes.kill_zygote()
                case Conclude():
                    self._over()

    def conclude(self, change: StateChange) -> None:
        """Puts the final state on record; nothing follows it."""
        self._record.write(change)
        self.session = msgspec.structs.replace(self.session, state=change.state)
        log.info(
            "session ended",
            state=change.state,
            reason=change.reason,
            detail=change.detail,
            exit_code=change.exit_code,
            not_confirmed=change.not_confirmed,
        )

    async def stop(self, command: EngineCommand) -> CommandAccepted:
        """Ends the session by policy; stopping what stops or has ended is a success."""
        self._fence(command)
        policy = command.policy or self._launch.spec.stop_policy
        self.ask_to_stop(policy)
        if self.session.is_forked and not self.session.is_over:
            # Whether the engine reads it or not, the deadline of the stop holds.
            await self._processes.has_received(HAND_OVER_S)
        return self._accepted(command, f"stopping: {policy}")

    def ask_to_stop(self, policy: StopPolicy) -> None:
        """The same, from SIGTERM."""
        self.post(StopAsked(policy))

    async def cancel_orders(self, command: EngineCommand) -> CommandAccepted:
        """Has the engine cancel every open order. Raises `conflict` unless it is up."""
        return await self._hand_over(command, CancelOrders(), "cancelling every open order")

    async def flatten(self, command: EngineCommand) -> CommandAccepted:
        """Has the engine cancel every order and close every position. Raises `conflict` unless it is up."""
        return await self._hand_over(command, Flatten(), "closing every position")

    async def _hand_over(self, command: EngineCommand, frame: ToEngine, text: str) -> CommandAccepted:
        self._fence(command)
        if self.session.is_over or self.session.state not in _COMMANDABLE:
            raise fault(FaultCode.CONFLICT, f"the engine takes no such command while {self.session.state}")
        self._processes.send(frame)
        if not await self._processes.has_received(HAND_OVER_S):
            raise fault(FaultCode.OUTCOME_UNKNOWN, "the engine does not read its commands")
        return self._accepted(command, text)

    def _fence(self, command: EngineCommand) -> None:
        own = self._launch.spec.session_id
        if command.session_id not in (None, own):
            raise fault(FaultCode.CONFLICT, f"the engine's session is {own}, not {command.session_id}")

    def _accepted(self, command: EngineCommand, text: str) -> CommandAccepted:
        frozen = " (the engine is frozen and may not obey)" if self.session.is_frozen else ""
        return CommandAccepted(
            instance_id=self._launch.spec.instance_id,
            session_id=self._launch.spec.session_id,
            request_id=command.request_id or new_request_id(),
            message=text + frozen,
        )


def _run(launch: Launch) -> Run:
    spec = launch.spec
    return Run(
        instance_id=spec.instance_id,
        session_id=spec.session_id,
        plan=spec.plan,
        catalog_path=launch.catalog_path,
        log_level=spec.log_level,
        stop_timeout_s=spec.stop_timeout_s,
        stop_policy=spec.stop_policy,
    )


def _log_change(before: Session, after: Session) -> None:
    if after.state != before.state:
        log.info("session state", state=after.state)
    if after.is_frozen != before.is_frozen:
        log.warning("engine frozen" if after.is_frozen else "engine recovered")
    if after.killed_for != before.killed_for:
        log.warning("engine killed", cause=after.killed_for)
