"""Who is on the bus with a session's credential beside its sidecar. Pure; see ADR 36.

All connections of one sidecar bear one mark: each process makes it anew.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.session import SessionUsers
from flotilla.services.supervisor.core.identity import SessionIdentity

MOST_TOLD: Final = 16
"""How many strangers of one session are told of; whoever has its credential can make up any number of marks."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to the bus, open or closed, by a credential that names `session_ids`; `user` is a public key, `cid` the server's number.

    `mark` is empty for a sidecar of a release that had none.
    """

    cid: int
    session_ids: tuple[str, ...]
    user: str
    mark: str
    address: str
    since: datetime


class _Own(msgspec.Struct, frozen=True):
    """How the sidecar of one start of a session was first seen."""

    mark: str
    since: datetime


class Strangers:
    """Whom each session was seen as."""

    def __init__(self) -> None:
        self._own: dict[SessionUsers, _Own] = {}
        self._told: dict[str, set[tuple[str, str]]] = {}

    def among(
        self, connections: Iterable[Connection], sessions: Collection[SessionIdentity]
    ) -> Iterator[tuple[SessionIdentity, Connection]]:
        """Each stranger once, with the session that he says he is. Forgets sessions that are not among these.

        A stranger bears another mark than the first connection of a start of the session, or is a user whom nobody gave to it and who
        came after its sidecar: what came before may be the sidecar of an earlier start, of which nothing is known any more.
        """
        self._own = {one.users: self._own[one.users] for one in sessions if one.users in self._own}
        self._told = {
            one.session_id: self._told[one.session_id] for one in sessions if one.session_id in self._told
        }
        for connection in sorted(connections, key=lambda each: each.since):
            starts = [one for one in sessions if one.session_id in connection.session_ids]
            if starts and not self._is_sidecar(connection, starts) and self._is_new(starts[0], connection):
                yield starts[0], connection

    def _is_sidecar(self, connection: Connection, starts: list[SessionIdentity]) -> bool:
        for users in (one.users for one in starts):
            if connection.user in (users.engine, users.renewal):
                seen = _Own(connection.mark, connection.since)
                return self._own.setdefault(users, seen).mark == connection.mark
        own = [self._own[one.users] for one in starts if one.users in self._own]
        return all(connection.since < each.since for each in own)

    def _is_new(self, session: SessionIdentity, connection: Connection) -> bool:
        told = self._told.setdefault(session.session_id, set())
        who = (connection.user, connection.mark)
        if who in told or len(told) >= MOST_TOLD:
            return False
        told.add(who)
        return True
