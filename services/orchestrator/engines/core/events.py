"""Durable events of engines: which are sound, and what a state event does to its session."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.contract import ENGINE_EVENT_FEEDS
from flotilla.schemas.states import RunState
from flotilla.schemas.subjects import parse
from flotilla.schemas.telemetry import EngineEvent, EventKind, StateChange
from flotilla.services.orchestrator.engines.core.brakes import later
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.placement import HostLoad
from flotilla.services.orchestrator.engines.core.session import MOVES, WITH_DETAIL, is_older, move

MAX_SEQ: Final = 2**62
_MAX_AT_NS: Final = 4_102_444_800_000_000_000  # 2100-01-01
_MAX_DETAIL: Final = 4_000
_MAX_TAIL_LINES: Final = 50
_MAX_DOUBTS: Final = 100
_DECODERS: Final = {
    feed.subject.rsplit(".", 1)[1]: (feed.subject, msgspec.json.Decoder(feed.payload))
    for feed in ENGINE_EVENT_FEEDS
}


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it goes on record: `body` is the message as it was published, at `at` by the engine's clock.

    `received_at` is when the bus had it, by its server's clock, and `data` what it says; neither goes on record.
    """

    session_id: str
    seq: int
    instance_id: str
    kind: str
    at: datetime
    body: str
    state: EngineEvent[StateChange] | None = None
    received_at: datetime | None = None
    data: Any = None

    @property
    def said_ns(self) -> int:
        """When it was made, in UNIX nanoseconds: by the engine's clock, or by the bus server's where that is earlier."""
        at = min(self.at, self.received_at) if self.received_at is not None else self.at
        return int(at.timestamp() * 1_000_000) * 1_000


class Unsound(ValueError):
    """A message is not what its subject promises: `finding` says why."""

    def __init__(self, sort: Sort, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(sort, f"{text}: kept off the record")


def read(subject: str, data: bytes, received_at: datetime | None = None) -> StoredEvent:
    """The event in a message. Raises Unsound for one that is not what its subject promises."""
    entry = _DECODERS.get(subject.rsplit(".", 1)[-1])
    ids = parse(entry[0], subject) if entry else None
    if entry is None or ids is None:
        raise Unsound(Sort.UNREADABLE, "no engine event has this subject")
    try:
        event = entry[1].decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unsound(Sort.UNREADABLE, f"the body does not fit: {error}") from None
    if event.instance_id != ids["instance_id"]:
        raise Unsound(Sort.SESSION, f"it is about engine {event.instance_id}")
    if event.kind != subject.rsplit(".", 1)[-1]:
        raise Unsound(Sort.UNREADABLE, f"it is of kind {event.kind}")
    if not (1 <= event.seq <= MAX_SEQ and 0 <= event.at_ns <= _MAX_AT_NS):
        raise Unsound(Sort.NUMBER, f"seq {event.seq} or at_ns {event.at_ns} is out of range")
    return StoredEvent(
        session_id=event.session_id,
        seq=event.seq,
        instance_id=event.instance_id,
        kind=str(event.kind),
        at=time_of(event.at_ns),
        body=data.decode(),
        state=event if event.kind == EventKind.STATE else None,  # type: ignore[arg-type]
        received_at=received_at,
        data=event.data,
    )


def time_of(at_ns: int) -> datetime:
    """UNIX nanoseconds as a time, to the microsecond."""
    seconds, ns = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ns // 1000)


def apply_states(
    engine: Engine, events: Sequence[EngineEvent[StateChange]], hosts: Sequence[HostLoad], now: datetime
) -> Decision:
    """The engine after its sidecar's state events, in the order of their numbers.

    What an earlier session sent, what was applied before, and what the table has no move for is passed over.
    """
    session = engine.session
    if session is None:
        return Decision(engine=engine, is_change=False)
    for event in sorted(events, key=lambda event: event.seq):
        if event.session_id == session.session_id and not is_older(event.generation, session):
            session = _after(session, event, now)
            if event.data.brake is not None:
                engine = msgspec.structs.replace(engine, brake=later(engine.brake, event.data.brake, now))
    return conclude(engine, session, (), hosts, now)


def _after(session: Session, event: EngineEvent[StateChange], now: datetime) -> Session:
    if event.seq <= session.state_seq:
        return session
    session = msgspec.structs.replace(session, state_seq=event.seq)
    change = event.data
    if session.is_provisional and change.state == session.state:
        told = _facts(change)
        if change.stop is None:
            # It knows no more of its orders and positions than was said already.
            told["not_confirmed"] = session.not_confirmed or told["not_confirmed"]
        return msgspec.structs.replace(session, is_provisional=False, **told)
    if change.state == session.state and change.state in WITH_DETAIL:
        return msgspec.structs.replace(session, detail=_detail(change.detail))
    if change.state == session.state or change.state not in MOVES[session.state]:
        return session
    at = time_of(event.at_ns)
    # Whatever its sidecar says, it says because it runs.
    facts: dict[str, object] = {"started_at": session.started_at or at}
    if change.state.is_terminal:
        facts |= _facts(change)
    elif change.state == RunState.STOPPING and change.reason is not None:
        facts |= {"reason": change.reason, "detail": _detail(change.detail)}
    elif change.state in WITH_DETAIL:
        facts["detail"] = _detail(change.detail)
    return move(session, change.state, now, at=at, **facts)


def _facts(change: StateChange) -> dict[str, object]:
    detail = change.detail
    if change.not_confirmed:
        detail = f"{detail}; " if detail else ""
        detail += f"not confirmed: {', '.join(change.not_confirmed)}"
    return {
        "reason": change.reason if change.state == RunState.FAILED else None,
        "detail": _detail(detail),
        "exit_code": storable_code(change.exit_code),
        "log_tail": tuple(storable(line)[:_MAX_DETAIL] for line in change.log_tail[-_MAX_TAIL_LINES:]),
        "not_confirmed": _doubts(change.not_confirmed),
        "stop_report": change.stop,
    }


def _doubts(told: Sequence[str]) -> tuple[str, ...]:
    """What is not confirmed, as far as there is room for it, and how much more there is."""
    kept = tuple(storable(text)[:_MAX_DETAIL] for text in told[:_MAX_DOUBTS])
    return kept if len(told) <= _MAX_DOUBTS else (*kept, f"and {len(told) - _MAX_DOUBTS} more")


def _detail(text: str) -> str | None:
    return storable(text)[:_MAX_DETAIL] or None


def storable_code(code: int | None) -> int | None:
    """The exit code, unless no process can have it."""
    return code if code is not None and abs(code) < 2**31 else None


def storable(text: str) -> str:
    """The text without NUL, which PostgreSQL's text cannot hold."""
    return text.replace("\x00", "\ufffd")
