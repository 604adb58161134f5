"""Commands by their request ids: the same one twice gives one answer and one effect."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from flotilla.bus.blanking import blanked
from flotilla.bus.endpoint import asked
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.contract import Call
from flotilla.schemas.engine import EngineAccepted, RestartEngine, StartEngine
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.ids import new_request_id
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.audit import Audit
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ports import AccountHeld, Command, Record, RepeatedCommand

log = get_logger(__name__)


class Ledger:
    """Runs each command once; its answer is on record with what it changed, or added by `note` when it changed no engine."""

    def __init__(self, record: Record, clock: Clock, audit: Audit) -> None:
        self._record = record
        self._clock = clock
        self._audit = audit
        self._tasks = Tasks()
        self._finding: dict[str, asyncio.Task[EngineAccepted]] = {}

    async def close(self) -> None:
        """Leaves commands whose outcome was not found out yet to whoever asks again."""
        await self._tasks.close()

    async def once[R](self, call: Call[Any, R], request: Any, run: Callable[[Stamp], Awaitable[R]]) -> R:
        """Runs a command unless one with its request id ran before; then the answer is that one's."""
        stamp = self.stamp(call, request)
        if request.request_id and (earlier := await self._record.command(request.request_id)):
            return _repeated(call, earlier, stamp)
        try:
            return await run(stamp)
        except AccountHeld as error:
            raise fault(FaultCode.CONFLICT, str(error)) from error
        except (RepeatedCommand, FaultError):
            # Perhaps it was refused because the same command, which came at the same time, was carried out first.
            earlier = await self._record.command(stamp.request_id)
            if earlier is None:
                raise
            return _repeated(call, earlier, stamp)

    def stamp(self, call: Call[Any, Any], request: Any) -> Stamp:
        """What makes this command one of a kind."""
        body = msgspec.json.encode(_meant(request), order="deterministic")
        return Stamp(
            request_id=request.request_id or new_request_id(),
            subject=call.subject,
            body_hash=hashlib.sha256(body).digest(),
            at=wall(self._clock()),
            caller=asked().caller,
            body=blanked(asked().body),
            scope=asked().scope,
        )

    async def earlier[R](self, call: Call[Any, R], request: Any, stamp: Stamp, within_s: float) -> R | None:
        """The answer that is on record for this command; None also when the record does not say in time."""
        if not request.request_id:
            return None
        try:
            async with asyncio.timeout(within_s):
                found = await self._record.command(request.request_id)
        except (FaultError, TimeoutError):
            return None
        return _repeated(call, found, stamp) if found else None

    async def completed(
        self,
        call: Call[Any, EngineAccepted],
        accepted: EngineAccepted,
        find_out: Callable[[EngineAccepted], Awaitable[EngineAccepted]],
    ) -> EngineAccepted:
        """The answer to a command that is on record, with its outcome: found out once, whoever sends the same command gets the same."""
        if accepted.is_taken is not None:
            return accepted
        finding = self._finding.get(accepted.request_id)
        if finding is None:
            work = self._complete(call, accepted, find_out)
            finding = self._tasks.start(work, name=f"outcome:{accepted.session_id}")
            self._finding[accepted.request_id] = finding
            finding.add_done_callback(lambda _: self._finding.pop(accepted.request_id, None))
        return await asyncio.shield(finding)

    async def _complete(
        self,
        call: Call[Any, EngineAccepted],
        accepted: EngineAccepted,
        find_out: Callable[[EngineAccepted], Awaitable[EngineAccepted]],
    ) -> EngineAccepted:
        """Puts the outcome on record that was not known yet when the command was recorded; returns what stands there then.

        While the record is away it is answered all the same; the same command then finds out anew.
        """
        reply = await find_out(accepted)
        try:
            kept = await self._record.complete_command(reply.request_id, msgspec.json.encode(reply))
        except FaultError as error:
            log.warning("answer is not on record", request_id=reply.request_id, error=str(error))
            return reply
        return msgspec.json.decode(kept, type=call.reply) if kept else reply

    async def note(self, stamp: Stamp, instance_id: str, reply: msgspec.Struct) -> None:
        """Records a command that changed no engine. Raises RepeatedCommand."""
        await self._record.add_command(command_of(stamp, instance_id, reply))

    async def note_done(
        self, stamp: Stamp, instance_id: str, reply: msgspec.Struct, message: str = ""
    ) -> None:
        """The same for what is done and cannot be taken back: while the record is away it is noted after. Raises RepeatedCommand."""
        command = command_of(stamp, instance_id, reply, message)
        try:
            await self._record.add_command(command)
        except FaultError as error:
            log.warning("command is not on record yet", request_id=stamp.request_id, error=str(error))
            self._audit.later(command)


def _meant(request: Any) -> Any:
    """What is asked for. Under which condition is none of it: who sends it again may have looked again meanwhile."""
    if isinstance(request, StartEngine | RestartEngine):
        return msgspec.structs.replace(request, expected_digests=None)
    return request


def _repeated[R](call: Call[Any, R], earlier: Command, stamp: Stamp) -> R:
    if (earlier.subject, earlier.body_hash) != (stamp.subject, stamp.body_hash):
        raise fault(FaultCode.CONFLICT, f"request_id {stamp.request_id} was used for another command")
    return msgspec.json.decode(earlier.reply, type=call.reply)
