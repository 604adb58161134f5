"""What a stop could not confirm, in words: no answer about an ended session leaves it out."""

from collections.abc import Sequence

from flotilla.schemas.engine import SessionView

_SHOWN = 10


def doubts(session: SessionView) -> str | None:
    """What is not known to be done about the orders and positions of an ended session; None when all of it is, or it never traded."""
    stop = session.stop
    if session.not_confirmed:
        return f"not confirmed: {listed(session.not_confirmed)}"
    if session.trading_at is None or (stop is not None and stop.is_flat):
        return None
    if stop is None:
        return "not confirmed: what became of its orders and positions"
    return f"it was not flat when it ended (policy {stop.policy})"


def with_doubts(message: str, session: SessionView | None) -> str:
    """The message, and of a session that ended before it what is in doubt."""
    told = doubts(session) if session is not None and session.state.is_terminal else None
    return f"{message}; of its session before, {told}" if told else message


def listed(things: Sequence[str]) -> str:
    """Some of them in words, and how many more there are."""
    more = len(things) - _SHOWN
    return "; ".join(things[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
