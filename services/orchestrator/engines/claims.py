"""Holds what is said in engines' names against what is on record of them, and tells of what cannot be: on the audit, and to people."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.bus.blanking import blanked
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery
from flotilla.schemas.audit import Caller
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.session import Stranger
from flotilla.schemas.telemetry import EngineMetrics, Heartbeat
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.audit import Audit
from flotilla.services.orchestrator.engines.core import claims
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.events import StoredEvent, storable
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.voices import Voices
from flotilla.services.orchestrator.engines.engine_mailboxes import Decide, EngineMailboxes
from flotilla.services.orchestrator.engines.ports import Refusal

log = get_logger(__name__)

WHOLE: Final = 20
"""Findings of one sort about one session that stand on the audit one by one; of the others one a minute does, with their number."""
_THEN_EVERY: Final = timedelta(seconds=60)
_AGAIN: Final = timedelta(seconds=10)
_LONGEST: Final = 2_000


class _Told(msgspec.Struct):
    session_id: str
    entries: int = 0
    entered_at: datetime | None = None
    left_out: int = 0
    answered_at: datetime | None = None
    is_over: bool = False
    """Whether its end was on record by then: what follows is another thing afterwards."""


class Claims:
    """What was found, and what was made of it. Keeps an account of findings for each engine, which a flood does not lengthen."""

    def __init__(self, fleet: Fleet, clock: Clock, *, mailboxes: EngineMailboxes, audit: Audit) -> None:
        self._fleet = fleet
        self._clock = clock
        self._mailboxes = mailboxes
        self._audit = audit
        self._voices: dict[str, Voices] = {}
        self._told: dict[tuple[str, Sort], _Told] = {}
        self.found = 0
        """How much was said that is not to be believed, since we started."""

    def recorded(self, event: StoredEvent) -> None:
        """Takes note of an event that is on record now."""
        if (voices := self._of(event.instance_id, event.session_id)) is not None:
            voices.recorded(event.seq, event.said_ns, self._clock())
        session = self._session(event.instance_id)
        if (said := event.state) is None or session is None or session.session_id != event.session_id:
            return
        finding = claims.ended_twice(session, event.seq, said.data)
        if finding is not None:
            self.note(event.instance_id, event.session_id, event.kind, finding, event.body.encode())

    def heard(self, beat: Heartbeat) -> None:
        """Looks at a heartbeat of a session."""
        voices = self._of(beat.instance_id, beat.session_id)
        if voices is None:
            return
        finding = voices.beats(beat, self._clock(), is_over=self._is_over(beat.instance_id))
        if finding is not None:
            self.note(beat.instance_id, beat.session_id, "heartbeat", finding)

    def measured(self, metrics: EngineMetrics) -> None:
        """Looks at the figures of a session."""
        voices = self._of(metrics.instance_id, metrics.session_id)
        if voices is not None and (finding := voices.measures(metrics, self._clock())) is not None:
            self.note(
                metrics.instance_id, metrics.session_id, "metrics", finding, msgspec.json.encode(metrics)
            )

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Looks at what supervisors saw of strangers on the bus; raises when it must be tried again."""
        for delivery in batch:
            try:
                seen = msgspec.json.decode(delivery.data, type=Stranger)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("unreadable stranger", subject=delivery.subject, error=str(error))
                continue
            if delivery.subject != f"host.{seen.host}.stranger":
                log.warning("a host speaks for another", subject=delivery.subject, host=seen.host)
                continue
            finding, session_id = claims.stranger(seen), seen.session_id
            # Waited for: he is told of once, so what fails here must come again.
            await self._mailboxes.turn(seen.instance_id, self._answer_to(session_id, finding))
            self._on_audit(seen.instance_id, session_id, "connection", finding, delivery.data)

    def note(
        self, instance_id: str, session_id: str | None, kind: str, finding: Finding, body: bytes = b""
    ) -> None:
        """Puts a finding on the audit, and has the engine's next turn make of it what is due.

        `kind` is the last token of the subject on which it was said; `session_id` None stands for the engine's present session.
        """
        told = self._on_audit(instance_id, session_id, kind, finding, body)
        now, is_over = self._clock(), self._is_over(instance_id)
        is_due = told.answered_at is None or now - told.answered_at >= _AGAIN or is_over != told.is_over
        if told.session_id and is_due and self._fleet.get(instance_id) is not None:
            told.answered_at, told.is_over = now, is_over
            self._answer(told, instance_id, finding)

    def _on_audit(
        self, instance_id: str, session_id: str | None, kind: str, finding: Finding, body: bytes
    ) -> _Told:
        self.found += 1
        if session_id is None and (session := self._session(instance_id)) is not None:
            session_id = session.session_id
        told = self._told.get((instance_id, finding.sort))
        if told is None or told.session_id != (session_id or ""):
            told = self._told[instance_id, finding.sort] = _Told(session_id or "")
        now = self._clock()
        self._enter(told, _entry(instance_id, kind, finding, body, now), now)
        return told

    def _enter(self, told: _Told, entry: Refusal, now: datetime) -> None:
        is_due = told.entered_at is None or now - told.entered_at >= _THEN_EVERY
        if told.entries >= WHOLE and not is_due:
            told.left_out += 1
            return
        if told.left_out:
            more = f"{entry.message} (and {told.left_out} more like it)"
            entry = msgspec.structs.replace(entry, message=more)
        told.entries, told.entered_at, told.left_out = told.entries + 1, now, 0
        log.warning("claim not believed", subject=entry.subject, text=entry.message)
        self._audit.later(entry)

    def _answer_to(self, session_id: str, finding: Finding) -> Decide:
        def decide(engine: Engine | None) -> Decision | None:
            return claims.answered(engine, session_id, finding, self._clock()) if engine else None

        return decide

    def _answer(self, told: _Told, instance_id: str, finding: Finding) -> None:
        def note_failure(turn: asyncio.Future[Decision | None]) -> None:
            if turn.cancelled() or turn.exception() is not None:
                told.answered_at = None

        turn = self._mailboxes.post(instance_id, self._answer_to(told.session_id, finding))
        turn.add_done_callback(note_failure)

    def _session(self, instance_id: str) -> Session | None:
        engine = self._fleet.get(instance_id)
        return engine.session if engine is not None else None

    def _is_over(self, instance_id: str) -> bool:
        session = self._session(instance_id)
        return session is not None and session.is_over

    def _of(self, instance_id: str, session_id: str) -> Voices | None:
        """What was heard of an engine's present session; None when it is another."""
        session = self._session(instance_id)
        if session is None or session.session_id != session_id:
            return None
        voices = self._voices.get(instance_id)
        if voices is None or voices.session_id != session_id:
            voices = self._voices[instance_id] = Voices(session_id)
            voices.recorded(session.last_seq, 0, self._clock())
        return voices


def _entry(instance_id: str, kind: str, finding: Finding, body: bytes, now: datetime) -> Refusal:
    return Refusal(
        request_id=new_request_id(),
        subject=f"engine.{instance_id}.{kind}",
        instance_id=instance_id,
        created_at=wall(now),
        code=FaultCode.FORBIDDEN,
        message=storable(finding.text)[:_LONGEST],
        # Only whoever has the engine's credential may publish there.
        caller=Caller(credential=f"engine_{instance_id}"),
        body=blanked(body),
    )
