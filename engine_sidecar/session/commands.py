"""Commands from the bus to the engine as a whole: stop, end now, cancel, flatten, renew the lease, describe."""

import asyncio
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import CancelOrders, Flatten, ToEngine
from flotilla.engine_sidecar.link.messages import EndAsked, LeaseRenewed, StopAsked
from flotilla.engine_sidecar.process.ports import EngineProcesses
from flotilla.engine_sidecar.session.handlers import Handlers, fence
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

HAND_OVER_S: Final = 2.0
TAKE_S: Final = 1.5
"""How long a stop waits for its engine to take it before it is answered. Whether the engine does or not, the deadline holds."""
LATEST_END_S: Final = 10.0
"""How long after its deadline a session has ended in any case: its engine is killed, then its zygote, then given up on."""
_COMMANDABLE: Final = (
    *(RunState.CONNECTING, RunState.RECONCILING, RunState.MISMATCH, RunState.TRADING, RunState.IMPAIRED),
)


class Commands:
    """Checks each command, hands it on, and answers."""

    def __init__(self, launch: Launch, handlers: Handlers, processes: EngineProcesses) -> None:
        self._spec = launch.spec
        self._handlers = handlers
        self._processes = processes

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

    async def cancel_orders(self, command: EngineCommand) -> CommandAccepted:
        """Has the engine cancel every open order. Raises `conflict` unless it is up."""
        return await self._hand_over(command, CancelOrders(), "cancelling every open order")

    async def flatten(self, command: EngineCommand) -> CommandAccepted:
        """Has the engine cancel every order and close every position. Raises `conflict` unless it is up."""
        return await self._hand_over(command, Flatten(), "closing every position")

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

    async def describe(self, question: LookIntoEngine) -> SessionSpec:
        """What the sidecar was told to run. Secrets are no part of it: the plan names them only."""
        fence(self._spec, question.session_id)
        return self._spec

    async def _hand_over(self, command: EngineCommand, frame: ToEngine, text: str) -> CommandAccepted:
        fence(self._spec, command.session_id)
        session = self._handlers.session
        if session.is_over or session.state not in _COMMANDABLE:
            raise fault(FaultCode.CONFLICT, f"the engine takes no such command while {session.state}")
        self._processes.send(frame)
        if not await self._processes.has_received(HAND_OVER_S):
            raise fault(FaultCode.OUTCOME_UNKNOWN, "the engine does not read its commands")
        return self._accepted(command.request_id, text)

    def _accepted(self, request_id: str | None, text: str) -> CommandAccepted:
        frozen = " (the engine is frozen and may not obey)" if self._handlers.session.is_frozen else ""
        return CommandAccepted(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            request_id=request_id or new_request_id(),
            message=text + frozen,
        )
