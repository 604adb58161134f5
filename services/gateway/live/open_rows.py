"""What is open of each engine: orders, positions and the balances of accounts, from its events and, of before we listened, the ledgers.

Rows are of an engine's present session, also of one that has ended: what it left is still at the venue, as far as is known. When the next
session begins they go, and it tells of what it took over.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.ledger import AccountRow, OrderRow, PositionRow
from flotilla.schemas.telemetry import AccountUpdate, EngineEvent, OrderUpdate, PositionUpdate
from flotilla.services.gateway.live.numbered import NumberedRows
from flotilla.services.gateway.live.rows import AccountLine, OrderLine, PositionLine, Topic

CLOSED: Final = frozenset(
    {"INITIALIZED", "EMULATED", "RELEASED", "DENIED", "REJECTED", "CANCELED", "EXPIRED", "FILLED"}
)
"""Statuses of orders that are not open at a venue."""
MOST_CLOSED: Final = 20_000
"""Closed ones that are remembered, so that a ledger which is a moment behind opens none again."""

type _Key = tuple[Topic, str]
type _Said = tuple[str, int]
"""Session and number of the event that said so."""


class OpenRows:
    """Puts rows of what is open, and drops those of what is not."""

    def __init__(self, rows: NumberedRows) -> None:
        self._rows = rows
        self._said: dict[_Key, _Said] = {}
        self._closed: dict[_Key, _Said] = {}
        self._of: dict[str, set[_Key]] = {}
        self._generation: dict[str, int] = {}
        self._session: dict[str, str] = {}

    def began(self, instance_id: str, session_id: str, generation: int) -> None:
        """An engine has this session now; rows of one before it go."""
        if generation > self._generation.get(instance_id, -1):
            self.forget(instance_id)
            self._generation[instance_id], self._session[instance_id] = generation, session_id

    def forget(self, instance_id: str) -> None:
        """Nothing is open of this engine that is known."""
        for topic, row_id in self._of.pop(instance_id, set()):
            self._said.pop((topic, row_id), None)
            self._rows.drop(topic, row_id)
        self._generation.pop(instance_id, None)
        self._session.pop(instance_id, None)

    def heard(self, event: EngineEvent[Any]) -> None:
        """Takes an event of a kind that tells of what is open; one of a session that is not its engine's present one says nothing.

        Which that is the orchestrator says, never the event.
        """
        if self._session.get(event.instance_id) != event.session_id:
            return
        at = datetime.fromtimestamp(event.at_ns / 1e9, UTC)
        of: dict[str, Any] = {"instance_id": event.instance_id, "session_id": event.session_id, "at": at}
        said = event.session_id, event.seq
        match event.data:
            case OrderUpdate() as order:
                line = OrderLine(**of, **_shared(order, OrderLine), venue=_venue(order.instrument_id))
                is_open = order.status not in CLOSED
                self._take(Topic.ORDERS, order.client_order_id, line if is_open else None, of, said)
            case PositionUpdate() as position:
                held = PositionLine(
                    **of, **_shared(position, PositionLine), venue=_venue(position.instrument_id)
                )
                is_held = position.side != "FLAT"
                self._take(Topic.POSITIONS, position.position_id, held if is_held else None, of, said)
            case AccountUpdate() as account:
                has = AccountLine(**of, **_shared(account, AccountLine))
                self._take(Topic.ACCOUNTS, account.account_id, has, of, said)

    def on_record(self, row: OrderRow | PositionRow | AccountRow) -> None:
        """Takes a row of a ledger that is open, unless something later was heard of it."""
        if self._session.get(row.instance_id) != row.session_id:
            return
        of: dict[str, Any] = {"instance_id": row.instance_id, "session_id": row.session_id}
        match row:
            case OrderRow():
                order = OrderLine(**of, at=row.last_at, **_shared(row, OrderLine))
                self._take(Topic.ORDERS, row.client_order_id, order, of, (row.session_id, row.last_seq))
            case PositionRow():
                held = PositionLine(**of, at=row.last_at, **_shared(row, PositionLine))
                self._take(Topic.POSITIONS, row.position_id, held, of, (row.session_id, row.last_seq))
            case AccountRow():
                has = AccountLine(**of, at=row.at, **_shared(row, AccountLine))
                self._take(Topic.ACCOUNTS, row.account_id, has, of, (row.session_id, row.seq))

    def _take(
        self,
        topic: Topic,
        name: str,
        row: OrderLine | PositionLine | AccountLine | None,
        of: Mapping[str, Any],
        said: _Said,
    ) -> None:
        key = topic, f"{of['instance_id']}/{name}"
        before = self._said.get(key) or self._closed.get(key)
        if before is not None and before[0] == said[0] and before[1] >= said[1]:
            return
        if row is None:
            self._said.pop(key, None)
            self._of.get(of["instance_id"], set()).discard(key)
            self._closed.pop(key, None)
            self._closed[key] = said
            if len(self._closed) > MOST_CLOSED:
                del self._closed[next(iter(self._closed))]
            self._rows.drop(*key)
            return
        self._closed.pop(key, None)
        self._said[key] = said
        self._of.setdefault(of["instance_id"], set()).add(key)
        self._rows.put(*key, row)


def _shared(said: msgspec.Struct, line: Callable[..., Any]) -> dict[str, Any]:
    """The fields that a line has as they were said, but for those that name whose it is."""
    own = {"instance_id", "session_id", "at"}
    names = set(line.__struct_fields__) - own  # type: ignore[attr-defined]
    return {name: getattr(said, name) for name in said.__struct_fields__ if name in names}


def _venue(instrument_id: str) -> str:
    return instrument_id.rpartition(".")[2]
