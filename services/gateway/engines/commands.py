"""Start, stop, restart, configure and remove: accepted by the orchestrator, and followed to their end for whoever asked to wait."""

import asyncio
from typing import Any, Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.contract import ENGINE_SESSIONS
from flotilla.schemas.engine import (
    ConfigureEngine,
    EngineAccepted,
    ListSessions,
    RemoveEngine,
    RestartEngine,
    SessionView,
    StartEngine,
    StopEngine,
)
from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.states import RunState
from flotilla.services.gateway.engines.command_outcome import CommandOutcome, Goal, judge
from flotilla.services.gateway.engines.replies import CommandReply
from flotilla.services.gateway.engines.unconfirmed import with_doubts
from flotilla.services.gateway.engines.views import command_data, command_reply
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.watch import SeenSessions
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import (
    ConfigBody,
    EngineWaitQuery,
    NoQuery,
    RestartBody,
    StartBody,
    StopBody,
    StoredStartBody,
    WaitQuery,
)

log = get_logger(__name__)

POLL_S: Final = 2.0
"""How often the record is read while waiting, for a change that the feed did not bring."""


class Wait:
    """Follows the session of one accepted command. `seen` was opened before the command was sent.

    `ends_another`: the command also ended the session before, whose end is then part of the answer.
    """

    def __init__(
        self,
        gateway: Gateway,
        accepted: EngineAccepted,
        session_id: str,
        goal: Goal,
        seen: SeenSessions,
        *,
        ends_another: bool = False,
    ) -> None:
        self._bus = gateway.bus
        self._accepted = accepted
        self._session_id = session_id
        self._goal = goal
        self._seen = seen
        self._ends_another = ends_another
        self._blind: FaultError | None = None

    async def reply(self, timeout_s: float) -> CommandReply:
        """The answer: what was reached, or soon after `timeout_s` how far it has got."""
        outcome = await self._outcome(timeout_s)
        session = self._seen.get(self._session_id)
        if session is not None:
            # Of a restart, what was accepted still has the time of the session before.
            self._accepted = msgspec.structs.replace(self._accepted, started_at=session.started_at)
        if outcome is None:
            return self._still(timeout_s)
        if self._ends_another:
            await self._poll()  # for the end of the session before, which the feed may have passed over
        if outcome.code is not None:
            raise self._failed(outcome.code, outcome.message, outcome.state)
        return self._answer(outcome.message, outcome.state)

    async def _outcome(self, timeout_s: float) -> CommandOutcome | None:
        loop = asyncio.get_running_loop()
        deadline, next_poll = loop.time() + timeout_s, 0.0
        while True:
            if loop.time() >= next_poll:
                await self._poll()
                next_poll = loop.time() + POLL_S
            session = self._seen.get(self._session_id)
            if session is not None and (outcome := judge(self._goal, session)) is not None:
                return outcome
            if loop.time() >= deadline:
                return None
            await self._seen.change(min(deadline, next_poll) - loop.time())

    async def _poll(self) -> None:
        request = ListSessions(instance_id=self._accepted.instance_id)
        try:
            answer = await self._bus.call(ENGINE_SESSIONS, request, timeout_s=POLL_S)
        except FaultError as error:
            log.warning("sessions not read while waiting", error=str(error))
            self._blind = error
            return
        self._blind = None
        for session in answer.sessions:
            self._seen.add(session)

    def _still(self, timeout_s: float) -> CommandReply:
        """What to say when the deadline came first. Only a start may be called a success before it got there."""
        session = self._seen.get(self._session_id)
        told = f"{self._accepted.message}: accepted, and after {timeout_s:g} s"
        unknown = FaultCode.OUTCOME_UNKNOWN
        if self._blind is not None:
            why = f"{told} its state cannot be found out: {self._blind.fault.message}"
            raise self._failed(unknown, why, self._accepted.state)
        if session is None:
            return self._answer(f"{told} its session has not begun", self._accepted.state)
        if session.state == RunState.UNKNOWN:
            raise self._failed(unknown, f"{told} its host is out of sight", session.state.for_clients)
        message = f"{told} it is still {session.state}"
        if self._goal == Goal.ENDED:
            raise self._failed(unknown, message, session.state.for_clients)
        return self._answer(message, session.state.for_clients)

    def _answer(self, message: str, state: str) -> CommandReply:
        data = command_data(self._accepted, self._seen.get(self._session_id), self._previous())
        return CommandReply(message=with_doubts(message, data.previous_session), state=state, data=data)

    def _failed(self, code: FaultCode, message: str, state: str) -> RefusedError:
        reply = self._answer(message, state)
        return RefusedError(
            Fault(code=code, message=reply.message), {"state": reply.state, "data": reply.data}
        )

    def _previous(self) -> SessionView | None:
        """The session that a restart ended, if that was seen while waiting."""
        session = self._seen.get(self._session_id)
        return self._seen.before(session) if self._ends_another and session is not None else None


CONFIG_UPDATED: Final = "config_updated"


async def start_engine(gateway: Gateway, ask: Ask[WaitQuery, StartBody]) -> CommandReply:
    """A new session of the engine `config.instance_id`."""
    request = StartEngine(
        config=ask.body.config,
        confirm_live_trading=ask.body.confirm_live_trading,
        expected_digests=ask.body.expected_digests,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_START, request, Goal.TRADING)


async def start_named_engine(gateway: Gateway, ask: Ask[WaitQuery, StoredStartBody]) -> CommandReply:
    """A new session of the engine in the path: of the configuration sent, or of the one that is stored for it."""
    config = ask.body.config
    request = StartEngine(
        config=config,
        instance_id=ask.path["instance_id"] if config is None else None,
        confirm_live_trading=ask.body.confirm_live_trading,
        expected_digests=ask.body.expected_digests,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_START, request, Goal.TRADING)


async def stop_active_engine(gateway: Gateway, ask: Ask[EngineWaitQuery, StopBody]) -> CommandReply:
    """The end of a session of the engine in query or body, or of the one that is active."""
    return await stop_engine(gateway, ask)


async def stop_engine(gateway: Gateway, ask: Ask[WaitQuery, StopBody]) -> CommandReply:
    """The end of an engine's session; a success when it has ended already."""
    body = ask.body
    request = StopEngine(
        instance_id=body.instance_id, force=body.force, policy=body.policy, request_id=ask.request_id
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_STOP, request, Goal.ENDED)


async def restart_active_engine(gateway: Gateway, ask: Ask[EngineWaitQuery, RestartBody]) -> CommandReply:
    """A new session of the engine in query or body, or of the one that is active."""
    return await restart_engine(gateway, ask)


async def restart_engine(gateway: Gateway, ask: Ask[WaitQuery, RestartBody]) -> CommandReply:
    """A new session with the last configuration, also after a stop."""
    request = RestartEngine(
        instance_id=ask.body.instance_id,
        confirm_live_trading=ask.body.confirm_live_trading,
        expected_digests=ask.body.expected_digests,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_RESTART, request, Goal.TRADING)


async def configure_engine(gateway: Gateway, ask: Ask[NoQuery, ConfigBody]) -> CommandReply:
    """A configuration that is stored; what runs goes on with its own until the next start."""
    request = ConfigureEngine(config=ask.body.config, request_id=ask.request_id)
    accepted = await gateway.bus.call(contract.ENGINE_CONFIGURE, request)
    return msgspec.structs.replace(command_reply(accepted), state=CONFIG_UPDATED)


async def remove_engine(gateway: Gateway, ask: Ask[NoQuery, None]) -> CommandReply:
    """An engine that is forgotten. Raises FaultError `conflict` while it is active, `not_found`."""
    request = RemoveEngine(instance_id=ask.path["instance_id"], request_id=ask.request_id)
    return command_reply(await gateway.bus.call(contract.ENGINE_REMOVE, request))


async def _carry_out(
    gateway: Gateway,
    query: WaitQuery,
    call: contract.Call[Any, EngineAccepted],
    request: Any,
    goal: Goal,
) -> CommandReply:
    with gateway.watch.look() as seen:
        accepted = await gateway.bus.call(call, request)
        if not query.wait or accepted.session_id is None:
            return command_reply(accepted)
        if goal == Goal.TRADING and accepted.brake is not None:
            goal = Goal.UP
        ends_another = call is contract.ENGINE_RESTART
        wait = Wait(gateway, accepted, accepted.session_id, goal, seen, ends_another=ends_another)
        return await wait.reply(query.timeout)
