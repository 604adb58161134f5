"""Numbers the session's durable events, one counter over all kinds, and wraps what the engine says."""

from typing import Final

import msgspec

from flotilla.engine_sidecar.outbox.redaction import Redaction
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.telemetry import (
    AccountUpdate,
    Alert,
    EngineEvent,
    EventKind,
    Fill,
    OrderUpdate,
    PositionUpdate,
    StateChange,
)

MAX_DATA_BYTES: Final = 256 << 10
MAX_TEXT: Final = 2_000
MAX_TEXTS: Final = 50
"""Characters of one text that the sidecar tells, and how many of a kind: an event that is too long for the bus would hold up all."""
_PAYLOADS: Final = {
    EventKind.ORDER: OrderUpdate,
    EventKind.FILL: Fill,
    EventKind.POSITION: PositionUpdate,
    EventKind.ACCOUNT: AccountUpdate,
    EventKind.ALERT: Alert,
}
_FREE_TEXT: Final[dict[EventKind, type[OrderUpdate] | type[Alert]]] = {
    EventKind.ORDER: OrderUpdate,
    EventKind.ALERT: Alert,
}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event ready to publish: `payload` is the JSON of its EngineEvent."""

    seq: int
    kind: EventKind
    payload: bytes

    @property
    def size(self) -> int:
        """Roughly the bytes that it takes in memory."""
        return len(self.payload) + 150


class Journal:
    """The one counter of a session. A number is given once; an event that is then lost leaves a gap that readers see."""

    def __init__(self, spec: SessionSpec, redaction: Redaction) -> None:
        self._spec = spec
        self._redaction = redaction
        self._seq = 0
        self._encoder = msgspec.json.Encoder()
        self._decoders = {kind: msgspec.json.Decoder(payload) for kind, payload in _PAYLOADS.items()}

    @property
    def last_seq(self) -> int:
        """The number given last; 0 before the first."""
        return self._seq

    def state(self, change: StateChange, at_ns: int) -> Entry:
        """The session entered a state."""
        return self._wrap(
            EventKind.STATE, self._encoder.encode(_bounded(self._redaction.said(change))), at_ns
        )

    def alert(self, alert: Alert, at_ns: int) -> Entry:
        """The sidecar has something to tell."""
        return self._wrap(EventKind.ALERT, self._encoder.encode(_bounded(self._redaction.said(alert))), at_ns)

    def happened(self, kind: EventKind, data: bytes, at_ns: int) -> Entry:
        """An event of the engine. Raises ValueError when `data` is not what its kind promises, or is too long."""
        if kind not in self._decoders:
            raise ValueError(f"the engine may not say {kind}")
        if len(data) > MAX_DATA_BYTES:
            raise ValueError(f"event of {len(data)} bytes")
        self._decoders[kind].decode(data)
        if kind in _FREE_TEXT:
            data = self._redaction.data(data, _FREE_TEXT[kind])
        return self._wrap(kind, data, at_ns)

    def _wrap(self, kind: EventKind, data: bytes, at_ns: int) -> Entry:
        self._seq += 1
        event = EngineEvent(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            generation=self._spec.generation,
            seq=self._seq,
            at_ns=at_ns,
            kind=kind,
            data=msgspec.Raw(data),
        )
        return Entry(self._seq, kind, self._encoder.encode(event))


def _bounded[T: StateChange | Alert](said: T) -> T:
    if isinstance(said, Alert):
        return msgspec.structs.replace(said, message=_cut(said.message))
    open_ = tuple(map(_cut, said.not_confirmed[:MAX_TEXTS]))
    if more := len(said.not_confirmed) - len(open_):
        open_ = (*open_, f"and {more} more")
    return msgspec.structs.replace(said, detail=_cut(said.detail), not_confirmed=open_)


def _cut(text: str) -> str:
    # PostgreSQL stores no NUL.
    return text[:MAX_TEXT].replace("\0", "\ufffd")
