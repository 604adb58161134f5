"""One turn at a time per engine: load, let the core decide, save, answer, act. All that changes an engine goes through here."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from flotilla.bus.logs import bind, get_logger
from flotilla.bus.mailbox import Mailboxes
from flotilla.schemas.alerts import ACCOUNT_HELD
from flotilla.schemas.audit import Caller
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.labels import Labels
from flotilla.services.orchestrator.engines.core import ends
from flotilla.services.orchestrator.engines.core.alerts import about_engine
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import Effect
from flotilla.services.orchestrator.engines.core.events import StoredEvent
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.scope import refuse_leaving, refuse_outside
from flotilla.services.orchestrator.engines.ports import AccountHeld, Change, Command, Record, StaleChange

log = get_logger(__name__)

_ATTEMPTS: Final = 5

type Decide = Callable[[Engine | None], Decision | None]


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a command one of a kind: its id, where it was sent, the hash of its body; and who sent what, for the audit.

    `scope` are the labels that an engine must carry for it to be changed by this command.
    """

    request_id: str
    subject: str
    body_hash: bytes
    at: datetime
    caller: Caller = Caller()
    body: bytes | None = None
    scope: Labels = {}


class _Turn(msgspec.Struct):
    decide: Decide
    done: asyncio.Future[Decision | None]
    stamp: Stamp | None = None
    events: Sequence[StoredEvent] = ()


class EngineMailboxes:
    """Gives every engine its turns, in order for one engine, in parallel across engines."""

    def __init__(self, record: Record, fleet: Fleet, act: Callable[[Effect], Awaitable[None]]) -> None:
        self._record = record
        self._fleet = fleet
        self._act = act
        self._turns = Mailboxes[str, _Turn](self._take, name="engine")
        self.doubtful: set[str] = set()
        """Engines whose last change may or may not be on record: they are read again before anything is made of them."""
        self._changes: dict[str, asyncio.Event] = {}

    async def turn(
        self,
        instance_id: str,
        decide: Decide,
        *,
        stamp: Stamp | None = None,
        events: Sequence[StoredEvent] = (),
    ) -> Decision | None:
        """Takes a turn and returns what was decided, once it is on record; its effects are performed after that.

        Raises what `decide` raises, and what Record.save raises.
        """
        turn = self._post(instance_id, decide, stamp, events)
        # The turn goes on when whoever waits for it goes away.
        return await asyncio.shield(turn.done)

    async def reaches(
        self, instance_id: str, is_there: Callable[[Engine | None], bool], within_s: float
    ) -> bool:
        """Waits until the engine is as `is_there` wants it, by its turns; False when it is not in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not is_there(self._fleet.get(instance_id)):
            change = self._changes.setdefault(instance_id, asyncio.Event())
            try:
                async with asyncio.timeout_at(deadline):
                    await change.wait()
            except TimeoutError:
                return False
        return True

    def post(self, instance_id: str, decide: Decide) -> asyncio.Future[Decision | None]:
        """The same without waiting; a failure is logged."""
        done = self._post(instance_id, decide, None, ()).done
        done.add_done_callback(_log_failure)
        return done

    async def join(self, timeout_s: float) -> None:
        """Waits until no turn is left, at most `timeout_s`."""
        await self._turns.join(timeout_s)

    async def close(self) -> None:
        """Ends the turns that are being taken."""
        await self._turns.close()

    def _post(
        self, instance_id: str, decide: Decide, stamp: Stamp | None, events: Sequence[StoredEvent]
    ) -> _Turn:
        turn = _Turn(decide, asyncio.get_running_loop().create_future(), stamp, events)
        turn.done.add_done_callback(_retrieve)
        self._turns.post(instance_id, turn)
        return turn

    async def _take(self, instance_id: str, turn: _Turn) -> None:
        with bind(instance_id=instance_id):
            try:
                decision = await self._decide(instance_id, turn)
            except asyncio.CancelledError:
                turn.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the turn
                turn.done.set_exception(error)
                return
            turn.done.set_result(decision)
            for effect in decision.effects if decision else ():
                await self._act(effect)

    async def _decide(self, instance_id: str, turn: _Turn) -> Decision | None:
        given_up: AccountHeld | None = None
        for _ in range(_ATTEMPTS):
            engine = await self._load(instance_id)
            if engine is not None and given_up is not None:
                engine = msgspec.structs.replace(engine, pending=None)
            decision = _within_scope(turn, instance_id, engine)
            if decision is None or not decision.is_change:
                if turn.events:
                    await self._record.add_events(turn.events)
                return decision
            decision = await self._told(engine, decision)
            try:
                await self._save(instance_id, _change(decision, turn))
            except StaleChange:
                log.info("engine was changed by somebody else; deciding anew")
                continue
            except AccountHeld as error:
                # An end must go on record, whatever becomes of the restart that was to follow it.
                if engine is None or engine.pending is None or turn.stamp is not None:
                    raise
                given_up = error
                continue
            return decision if given_up is None else _with_alert(decision, given_up)
        raise fault(
            FaultCode.UNAVAILABLE, "the engine is being changed by others all the time", retry_after_s=1.0
        )

    async def _told(self, before: Engine | None, decision: Decision) -> Decision:
        """The decision with what the record knows of a session that it ends."""
        ended = ends.ended_by(before, decision)
        if before is None or ended is None:
            return decision
        has_begun = ended.started_at is not None
        exposure = await self._exposure(ended.session_id) if has_begun else ends.Exposure()
        return ends.concluded(before, decision, ended, exposure, decision.engine.updated_at)

    async def _exposure(self, session_id: str) -> ends.Exposure:
        try:
            return await self._record.exposure(session_id)
        except Exception:
            # The end goes on record all the same: neither what an engine wrote nor how much may keep it from that.
            log.exception("what an ended session held cannot be read", session_id=session_id)
            return ends.Exposure(is_read=False)

    async def _load(self, instance_id: str) -> Engine | None:
        engine = await self._record.engine(instance_id)
        if engine is not None:
            self._fleet.put(engine)
        self.doubtful.discard(instance_id)
        return engine

    async def _save(self, instance_id: str, change: Change) -> None:
        try:
            await self._record.save(change)
        except FaultError as error:
            if error.fault.code == FaultCode.OUTCOME_UNKNOWN:
                self.doubtful.add(instance_id)
            raise
        self._fleet.put(change.engine)
        if change_seen := self._changes.pop(instance_id, None):
            change_seen.set()


def _within_scope(turn: _Turn, instance_id: str, engine: Engine | None) -> Decision | None:
    """What is decided, unless it is a command that may not change this engine, or so. Raises FaultError."""
    scope = turn.stamp.scope if turn.stamp is not None else {}
    if not scope:
        return turn.decide(engine)
    refuse_outside(instance_id, engine, scope)
    decision = turn.decide(engine)
    if decision is not None:
        refuse_leaving(engine, decision, scope)
    return decision


def command_of(stamp: Stamp, subject_id: str, reply: msgspec.Struct, message: str = "") -> Command:
    """The command with its answer, to be recorded with what it changed. `subject_id`: the engine or backtest it was about."""
    return Command(
        request_id=stamp.request_id,
        subject=stamp.subject,
        body_hash=stamp.body_hash,
        instance_id=subject_id,
        reply=msgspec.json.encode(reply),
        created_at=stamp.at,
        caller=stamp.caller,
        body=stamp.body,
        message=message,
    )


def _change(decision: Decision, turn: _Turn) -> Change:
    """What is to be recorded."""
    command = None
    if turn.stamp is not None and decision.reply is not None:
        command = command_of(turn.stamp, decision.engine.instance_id, decision.reply)
    return Change(
        engine=decision.engine,
        ended=decision.ended,
        spec=decision.spec,
        command=command,
        events=turn.events,
    )


def _with_alert(decision: Decision, held: AccountHeld) -> Decision:
    engine = decision.engine
    message = f"engine {engine.instance_id} has ended and is not restarted: {held}"
    alert = about_engine(engine, ACCOUNT_HELD, message, engine.updated_at)
    return msgspec.structs.replace(decision, effects=(*decision.effects, alert))


def _retrieve(done: asyncio.Future[Decision | None]) -> None:
    """Nobody may be waiting any more, and asyncio complains of an error that nobody looked at."""
    if not done.cancelled():
        done.exception()


def _log_failure(done: asyncio.Future[Decision | None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.warning("turn failed; it is taken again in the next round", error=repr(error))
