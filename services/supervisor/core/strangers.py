"""Who is on the bus with a session's credential beside its sidecar. Pure; see ADR 36.

All connections of one sidecar bear one mark, which nobody else knows: each process makes it anew, and only the server sees it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.session import SessionUsers
from flotilla.services.supervisor.core.identity import SessionIdentity

MOST_TOLD: Final = 16
"""How many strangers of one session are told of; whoever has its credential can make up any number of marks."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to the bus, open or closed, of a session by its credential; `user` is a public key, `cid` the server's number.

    `mark` is empty for a sidecar of a release that had none.
    """

    cid: int
    session_id: str
    user: str
    mark: str
    address: str
    since: datetime


class Strangers:
    """Whom each session was seen as."""

    def __init__(self) -> None:
        self._own_marks: dict[SessionUsers, str] = {}
        self._told: dict[str, set[tuple[str, str]]] = {}

    def among(
        self, connections: Iterable[Connection], sessions: Iterable[SessionIdentity]
    ) -> Iterator[tuple[SessionIdentity, Connection]]:
        """Each stranger once, with the session that he says he is. Forgets sessions that are not among these.

        A stranger is a user whom nobody gave to the session, or bears another mark than the first connection of a start of it.
        """
        owners = {user: one for one in sessions for user in (one.users.engine, one.users.renewal)}
        by_id = {one.session_id: one for one in owners.values()}
        starts = {one.users for one in owners.values()}
        self._own_marks = {users: mark for users, mark in self._own_marks.items() if users in starts}
        self._told = {session_id: told for session_id, told in self._told.items() if session_id in by_id}
        for connection in sorted(connections, key=lambda each: each.since):
            session = by_id.get(connection.session_id)
            if session is None or self._is_sidecar(connection, owners.get(connection.user)):
                continue
            if self._is_new(connection):
                yield session, connection

    def _is_sidecar(self, connection: Connection, owner: SessionIdentity | None) -> bool:
        if owner is None or owner.session_id != connection.session_id:
            return False
        return self._own_marks.setdefault(owner.users, connection.mark) == connection.mark

    def _is_new(self, connection: Connection) -> bool:
        told = self._told.setdefault(connection.session_id, set())
        who = (connection.user, connection.mark)
        if who in told or len(told) >= MOST_TOLD:
            return False
        told.add(who)
        return True
