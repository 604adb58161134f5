"""Start, stop and restart: accepted by the orchestrator, and followed to their end for whoever asked to wait."""

import asyncio
from typing import Any, Final

import msgspec

from bus.logs import get_logger
from schemas.contract import ENGINE_RESTART, ENGINE_SESSIONS, ENGINE_START, ENGINE_STOP, Call
from schemas.engine import EngineAccepted, ListSessions, RestartEngine, StartEngine, StopEngine
from schemas.fault import Fault, FaultCode, FaultError, fault
from schemas.states import RunState
from services.gateway.core.verdict import Goal, Verdict, judge
from services.gateway.core.views import command_data, command_reply
from services.gateway.gateway import Gateway
from services.gateway.inputs import Ask
from services.gateway.queries import RestartBody, StartBody, StopBody, WaitQuery
from services.gateway.replies import CommandReply
from services.gateway.watch import Sightings

log = get_logger(__name__)

POLL_S: Final = 2.0
"""How often the record is read while waiting, for a change that the feed did not bring."""


class CommandFailedError(FaultError):
    """A command was accepted and then failed, while its caller waited: what is known goes into the answer."""

    def __init__(self, problem: Fault, state: str, data: object) -> None:
        super().__init__(problem)
        self.state = state
        self.data = data


async def start_engine(gateway: Gateway, ask: Ask[WaitQuery, StartBody]) -> CommandReply:
    """A new session of the engine `config.instance_id`."""
    request = StartEngine(
        config=ask.body.config,
        confirm_live_trading=ask.body.confirm_live_trading,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, ENGINE_START, request, Goal.TRADING)


async def stop_engine(gateway: Gateway, ask: Ask[WaitQuery, StopBody]) -> CommandReply:
    """The end of an engine's session; a success when it has ended already."""
    body = ask.body
    request = StopEngine(
        instance_id=body.instance_id, force=body.force, policy=body.policy, request_id=ask.request_id
    )
    return await _carry_out(gateway, ask.query, ENGINE_STOP, request, Goal.ENDED)


async def restart_engine(gateway: Gateway, ask: Ask[WaitQuery, RestartBody]) -> CommandReply:
    """A new session with the last configuration, also after a stop."""
    request = RestartEngine(
        instance_id=ask.body.instance_id,
        confirm_live_trading=ask.body.confirm_live_trading,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, ENGINE_RESTART, request, Goal.TRADING)


async def _carry_out(
    gateway: Gateway, query: WaitQuery, call: Call[Any, EngineAccepted], request: Any, goal: Goal
) -> CommandReply:
    with gateway.watch.sightings() as seen:
        accepted = await gateway.bus.call(call, request)
        if not query.wait or accepted.session_id is None:
            return command_reply(accepted, accepted.message, accepted.state)
        return await _Wait(gateway, accepted, accepted.session_id, goal, seen).reply(query.timeout)


class _Wait:
    """Follows the session of one accepted command: by the feed, and by reading the record now and then."""

    def __init__(
        self, gateway: Gateway, accepted: EngineAccepted, session_id: str, goal: Goal, seen: Sightings
    ) -> None:
        self._bus = gateway.bus
        self._accepted = accepted
        self._session_id = session_id
        self._goal = goal
        self._seen = seen
        self._blind: FaultError | None = None

    async def reply(self, timeout_s: float) -> CommandReply:
        """The answer: what was reached, or soon after `timeout_s` how far it has got."""
        verdict = await self._verdict(timeout_s)
        session = self._seen.get(self._session_id)
        if session is not None:
            # Of a restart, what was accepted still has the time of the session before.
            self._accepted = msgspec.structs.replace(self._accepted, started_at=session.started_at)
        if verdict is None:
            return self._still(timeout_s)
        if verdict.code is not None:
            data = {**msgspec.to_builtins(command_data(self._accepted)), "session": session}
            raise CommandFailedError(Fault(code=verdict.code, message=verdict.message), verdict.state, data)
        return command_reply(self._accepted, verdict.message, verdict.state)

    async def _verdict(self, timeout_s: float) -> Verdict | None:
        loop = asyncio.get_running_loop()
        deadline, next_poll = loop.time() + timeout_s, 0.0
        while True:
            if loop.time() >= next_poll:
                await self._poll()
                next_poll = loop.time() + POLL_S
            session = self._seen.get(self._session_id)
            if session is not None and (verdict := judge(self._goal, session)) is not None:
                return verdict
            if loop.time() >= deadline:
                return None
            await self._seen.change(min(deadline, next_poll) - loop.time())

    async def _poll(self) -> None:
        try:
            answer = await self._bus.call(
                ENGINE_SESSIONS, ListSessions(instance_id=self._accepted.instance_id), timeout_s=POLL_S
            )
        except FaultError as error:
            log.warning("sessions not read while waiting", error=str(error))
            self._blind = error
            return
        self._blind = None
        for session in answer.sessions:
            if session.session_id == self._session_id:
                self._seen.add(session)

    def _still(self, timeout_s: float) -> CommandReply:
        session = self._seen.get(self._session_id)
        told = f"{self._accepted.message}: accepted, and after {timeout_s:g} s"
        if self._blind is not None:
            why = self._blind.fault.message
            raise fault(FaultCode.OUTCOME_UNKNOWN, f"{told} its state cannot be found out: {why}")
        if session is None:
            return command_reply(self._accepted, f"{told} its session has not begun", self._accepted.state)
        if session.state == RunState.UNKNOWN:
            raise fault(FaultCode.OUTCOME_UNKNOWN, f"{told} its host is out of sight")
        return command_reply(self._accepted, f"{told} it is still {session.state}", session.state.for_clients)
