"""Commands from the bus to the engine as a whole: stop, end now, brake, cancel, flatten, renew the lease, describe."""

import asyncio
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.asking import AcceptDifference
from flotilla.engine_sidecar.link.messages import Attended, BrakeAsked, EndAsked, LeaseRenewed, StopAsked
from flotilla.engine_sidecar.session.core.trading import UP
from flotilla.engine_sidecar.session.handlers import Handlers, fence
from flotilla.engine_sidecar.session.questions import ANSWER_S, Questions
from flotilla.schemas.brakes import AcceptDifferent, SetBrake, is_crossed
from flotilla.schemas.dead_man import Attend
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.session import (
    CommandAccepted,
    EndNow,
    EngineCommand,
    Launch,
    RenewLease,
    SessionEnded,
    SessionSpec,
)
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.strategy import LookIntoEngine

BRAKE_S: Final = 3.0
"""How long a brake waits for its engine to take it before it is answered. It goes on all the same."""
TAKE_S: Final = 1.5
"""How long a stop waits for its engine to take it before it is answered. Whether the engine does or not, the deadline holds."""
LATEST_END_S: Final = 10.0
"""How long after its deadline a session has ended in any case: its engine is killed, then its zygote, then given up on."""


class Commands:
    """Checks each command, hands it on, and answers."""

    def __init__(self, launch: Launch, handlers: Handlers, questions: Questions) -> None:
        self._spec = launch.spec
        self._handlers = handlers
        self._questions = questions

    async def stop(self, command: EngineCommand) -> CommandAccepted:
        """Ends the session by policy; stopping what stops or has ended is a success. `is_taken` tells whether the engine has
        taken it when it is answered."""
        fence(self._spec, command.session_id)
        policy = command.policy or self._spec.stop_policy
        self._handlers.post(StopAsked(policy, command.timeout_s))
        is_taken = await self._handlers.out_of_orders(TAKE_S)
        text = f"stopping: {policy}" + ("" if is_taken else "; the engine has not taken it yet")
        return msgspec.structs.replace(self._accepted(command.request_id, text), is_taken=is_taken)

    def ask_to_stop(self, policy: StopPolicy, cause: str) -> None:
        """The same without a command: `cause` is what led to it."""
        self._handlers.post(StopAsked(policy, cause=cause))

    async def end_now(self, command: EndNow) -> SessionEnded:
        """Cancels, closes and ends, also in the midst of a stop or a boot; answers once the session has ended.

        An engine that does not end by the deadline is killed, and the answer says what is not confirmed then. Raises
        `outcome_unknown` when even that cannot be told.
        """
        fence(self._spec, command.session_id)
        self._handlers.post(EndAsked(command.deadline_s))
        try:
            async with asyncio.timeout(command.deadline_s + LATEST_END_S):
                change = await self._handlers.concluded()
        except TimeoutError:
            raise fault(FaultCode.OUTCOME_UNKNOWN, "the end of the session is not known") from None
        return SessionEnded(instance_id=self._spec.instance_id, session_id=self._spec.session_id, end=change)

    async def brake(self, command: SetBrake) -> CommandAccepted:
        """Puts a brake on, or lifts it. `is_taken` tells whether the engine has taken it when it is answered.

        Raises `conflict` for a brake that is older than the session's own, or crossed one that a loss limit put on.
        """
        fence(self._spec, command.session_id)
        known = self._handlers.session.brake
        if command.brake.number < known.number or is_crossed(command.brake, known):
            text = f"brake {command.brake.number} is older than the session's own, {known.number}: {known.text or 'none'}"
            raise fault(FaultCode.CONFLICT, text)
        self._handlers.post(BrakeAsked(command.brake))
        is_taken = await self._handlers.braked(command.brake.number, BRAKE_S)
        text = f"brake: {command.brake.brake}" + ("" if is_taken else "; the engine has not taken it yet")
        return msgspec.structs.replace(self._accepted(command.request_id, text), is_taken=is_taken)

    async def cancel_orders(self, command: EngineCommand) -> CommandAccepted:
        """Has the engine cancel every open order; answers with what came of it. Raises `conflict` unless it trades."""
        return await self._intervene(command, StopPolicy.CANCEL)

    async def flatten(self, command: EngineCommand) -> CommandAccepted:
        """Has the engine cancel every order and close every position; answers as `cancel_orders` does."""
        return await self._intervene(command, StopPolicy.FLATTEN)

    async def accept(self, command: AcceptDifferent) -> CommandAccepted:
        """Has the engine take what it and its venue do not agree on as it is; the message has the list. Raises `conflict` unless it waits for that."""
        fence(self._spec, command.session_id)
        session = self._handlers.session
        if session.is_over or session.state != RunState.MISMATCH:
            raise fault(FaultCode.CONFLICT, f"there is nothing to accept, the engine is {session.state}")
        done = await self._questions.ask(AcceptDifference(command.shown), ANSWER_S)
        return self._accepted(command.request_id, done.message)

    async def renew_lease(self, command: RenewLease) -> CommandAccepted:
        """Renews the lease on the session's accounts.

        Raises `conflict` for another session's, or an older holder's token, and whenever nothing was renewed by it.
        """
        fence(self._spec, command.session_id)
        lease = self._handlers.session.lease
        if lease is None:
            raise fault(FaultCode.CONFLICT, "the session holds no lease")
        if command.token < lease.token:
            text = f"token {command.token} is older than the session's own, {lease.token}"
            raise fault(FaultCode.CONFLICT, text)
        self._handlers.post(LeaseRenewed(command.token, command.ttl_s, command.as_of_s))
        session = self._handlers.session
        if session.lease is lease:
            text = "the session has ended" if session.is_over else "the renewal was under way for too long"
            raise fault(FaultCode.CONFLICT, f"{text}: nothing was renewed")
        return self._accepted(command.request_id, f"renewed for {command.ttl_s:g} s")

    async def attend(self, command: Attend) -> CommandAccepted:
        """Takes that an orchestrator hears us. Raises `conflict` where no dead man waits for that."""
        fence(self._spec, command.session_id)
        if self._handlers.session.contact is None:
            raise fault(FaultCode.CONFLICT, "no dead man waits to hear an orchestrator")
        self._handlers.post(Attended(command.as_of_s))
        return self._accepted(command.request_id, "heard")

    async def describe(self, question: LookIntoEngine) -> SessionSpec:
        """What the sidecar was told to run, with the brake that is on now and what it lost. Secrets are no part of it: the plan names them only."""
        fence(self._spec, question.session_id)
        session = self._handlers.session
        return msgspec.structs.replace(self._spec, brake=session.brake, losses=session.losses)

    async def _intervene(self, command: EngineCommand, policy: StopPolicy) -> CommandAccepted:
        fence(self._spec, command.session_id)
        session = self._handlers.session
        if session.is_over or session.state not in (*UP, RunState.MISMATCH):
            raise fault(FaultCode.CONFLICT, f"the engine does not trade, it is {session.state}")
        done = await self._questions.withdraw(policy, self._spec.stop_timeout_s)
        return msgspec.structs.replace(
            self._accepted(command.request_id, done.message),
            orders_cancelled=done.orders_cancelled,
            positions_closed=done.positions_closed if policy is StopPolicy.FLATTEN else None,
            not_confirmed=done.not_confirmed,
        )

    def _accepted(self, request_id: str | None, text: str) -> CommandAccepted:
        frozen = " (the engine is frozen and may not obey)" if self._handlers.session.is_frozen else ""
        return CommandAccepted(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            request_id=request_id or new_request_id(),
            message=text + frozen,
        )
