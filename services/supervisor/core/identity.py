"""Which credentials are whose, and whose time is over. Pure."""

from collections.abc import Iterable
from typing import Final

import msgspec

from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionUsers

UNSEEN_S: Final = 120.0
"""A session that was given credentials and is not there for so long never came up."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is given to get onto the bus: two files of credentials, and how many seconds the first is good for."""

    creds: str = ""
    renewal: str = ""
    life_s: int = 0


class SessionIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The users of one start of a session, as kept on disk; `minted_at` is in UNIX seconds. Nothing of it is secret."""

    session_id: str
    instance_id: str
    users: SessionUsers
    minted_at: int


def over(known: Iterable[SessionIdentity], containers: Iterable[ContainerFacts], now: float) -> set[str]:
    """The sessions among those known that are over: not there although there was time to begin since they were last asked for."""
    standing = {
        facts.session_id
        for facts in containers
        if facts.status not in (ContainerStatus.EXITED, ContainerStatus.GONE)
    }
    minted_at: dict[str, int] = {}
    for each in known:
        minted_at[each.session_id] = max(each.minted_at, minted_at.get(each.session_id, 0))
    return {
        session_id
        for session_id, last in minted_at.items()
        if session_id not in standing and now - last > UNSEEN_S
    }
