"""The states of a session, as one table. A move that is not in it raises and changes nothing."""

from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.states import RunState
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.model import Session

_S: Final = RunState
_COLUMNS: Final = (
    *(
        _S.CREATING,
        _S.BOOTING,
        _S.CONNECTING,
        _S.RECONCILING,
        _S.TRADING,
        _S.IMPAIRED,
        _S.MISMATCH,
        _S.SILENT,
    ),
    *(_S.STOPPING, _S.COMPLETED, _S.STOPPED, _S.FAILED, _S.UNKNOWN),
)
# n: the next state · s: a skip, the reports between were missed or are late · e: may happen at any time
# b: back in sight or heard again, wherever it went meanwhile · m: mended, or broken again · .: illegal
_ROWS: Final = {
    #                cre boo con rec tra imp mis sil sto COM STO FAI unk
    _S.SCHEDULED: "   n   .   .   .   .   .   .   .   .   .   e   e   . ",
    _S.CREATING: "    .   n   s   s   s   s   s   .   e   s   e   e   e ",
    _S.BOOTING: "     .   .   n   s   s   s   s   e   e   s   e   e   e ",
    _S.CONNECTING: "  .   .   .   n   s   s   s   e   e   s   e   e   e ",
    _S.RECONCILING: " .   .   .   .   n   n   n   e   e   s   e   e   e ",
    _S.TRADING: "     .   .   .   .   .   m   m   e   n   s   s   e   e ",
    _S.IMPAIRED: "    .   .   .   .   m   .   m   e   n   s   s   e   e ",
    _S.MISMATCH: "    .   .   .   .   m   m   .   e   e   s   e   e   e ",
    _S.SILENT: "      .   b   b   b   b   b   b   .   b   b   b   b   e ",
    _S.STOPPING: "    .   .   .   .   .   .   .   .   .   n   n   e   e ",
    _S.UNKNOWN: "     b   b   b   b   b   b   b   e   b   b   b   b   . ",
    _S.COMPLETED: "   .   .   .   .   .   .   .   .   .   .   .   .   . ",
    _S.STOPPED: "     .   .   .   .   .   .   .   .   .   .   .   .   . ",
    _S.FAILED: "      .   .   .   .   .   .   .   .   .   .   .   .   . ",
}
MOVES: Final = {
    state: frozenset(to for to, mark in zip(_COLUMNS, row.split(), strict=True) if mark != ".")
    for state, row in _ROWS.items()
}

WITH_PROBLEMS: Final = (_S.IMPAIRED, _S.MISMATCH)
"""The states whose detail is what is wrong, and may change while they last."""
WITH_DETAIL: Final = (_S.BOOTING, _S.CONNECTING, _S.RECONCILING, *WITH_PROBLEMS)
"""The states whose detail may change while they last: how far it got, what is waited for, and what is wrong."""
_RUNS: Final = (_S.BOOTING, _S.CONNECTING, _S.RECONCILING, _S.TRADING, _S.IMPAIRED, _S.MISMATCH)


class IllegalMove(Exception):
    """The table has no such move."""

    def __init__(self, session: Session, to: RunState) -> None:
        super().__init__(f"session {session.session_id} cannot go from {session.state} to {to}")


def move(
    session: Session, to: RunState, now: datetime, *, at: datetime | None = None, **facts: Any
) -> Session:
    """The session in state `to`, with `facts` set; `at` is when it happened by the engine's clock, if that is known.

    The detail of the state before is gone unless `facts` has one. Raises IllegalMove when the table does not have it.
    """
    if to not in MOVES[session.state]:
        raise IllegalMove(session, to)
    happened = at or wall(now)
    times: dict[str, datetime] = {}
    if to.is_terminal:
        times["ended_at"] = happened
    elif to in _RUNS and session.started_at is None:
        times["started_at"] = happened
    if to == _S.TRADING and session.trading_at is None:
        times["trading_at"] = happened
    return msgspec.structs.replace(
        session, **{"state": to, "changed_at": now, "detail": None, **times, **facts}
    )


def is_older(generation: int, session: Session | None) -> bool:
    """True for what an earlier session of the engine sent: it says nothing about the present one."""
    return session is not None and generation < session.generation
