"""What to do when a session is asked for and something is there already. Pure."""

from enum import StrEnum, auto

import msgspec

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import ContainerStatus


class Existing(msgspec.Struct, frozen=True, kw_only=True):
    """What carries the session's name. `owner` is empty when it is not one of anybody's engine containers."""

    name: str
    owner: str
    session_id: str
    spec_hash: str
    status: ContainerStatus
    is_being_removed: bool = False


class Verdict(StrEnum):
    """ADOPT: it is the session, report it. REPLACE: it never ran, delete it and start anew. WAIT: it is about to go."""

    ADOPT = auto()
    REPLACE = auto()
    WAIT = auto()


def judge(existing: Existing, *, owner: str, session_id: str, spec_hash: str) -> Verdict:
    """Decides by owner, specification and status. Raises FaultError `conflict` for what must not be touched.

    A session that ended is adopted too: a session has one life, and a second one under its id would number its events from 1
    again. One that was created and never started is replaced, because a line may be waiting on its stdin already.
    """
    if existing.owner != owner or existing.session_id != session_id:
        raise fault(FaultCode.CONFLICT, f"{existing.name} is the name of something that is not this session")
    if existing.is_being_removed:
        return Verdict.WAIT
    if existing.status == ContainerStatus.CREATED:
        return Verdict.REPLACE
    if existing.spec_hash != spec_hash:
        raise fault(FaultCode.CONFLICT, f"{existing.name} was started with another specification")
    return Verdict.ADOPT
