"""What a stop could not confirm, in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flotilla.schemas.engine import SessionView
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import StopReport
from flotilla.services.gateway.engines.unconfirmed import doubts, listed, with_doubts

NOW = datetime(2026, 1, 31, tzinfo=UTC)
FLAT = StopReport(policy=StopPolicy.FLATTEN, is_flat=True)
LEFT = StopReport(policy=StopPolicy.LEAVE)


def ended(**changes: Any) -> SessionView:
    known: dict[str, Any] = {
        "session_id": "s1",
        "instance_id": "e1",
        "generation": 1,
        "state": RunState.STOPPED,
        "container_name": "c",
        "created_at": NOW,
        "trading_at": NOW,
        **changes,
    }
    return SessionView(**known)


@pytest.mark.parametrize(
    ("session", "told"),
    [
        (ended(stop=FLAT), None),
        (ended(trading_at=None), None),
        (ended(), "not confirmed: what became of its orders and positions"),
        (ended(stop=LEFT), "it was not flat when it ended (policy leave)"),
        (ended(stop=FLAT, not_confirmed=("order O-1",)), "not confirmed: order O-1"),
        # An engine that never said it traded may have sent orders all the same: what it could not confirm counts.
        (ended(trading_at=None, not_confirmed=("order O-1",)), "not confirmed: order O-1"),
    ],
)
def test_only_a_session_that_is_confirmed_flat_or_never_traded_leaves_no_doubt(
    session: SessionView, told: str | None
) -> None:
    assert doubts(session) == told


def test_doubts_about_a_session_that_still_runs_are_not_spoken_of() -> None:
    assert with_doubts("done", ended(state=RunState.TRADING)) == "done"
    assert with_doubts("done", None) == "done"
    assert with_doubts("done", ended(not_confirmed=("x",))) == "done; of its session before, not confirmed: x"


def test_a_long_list_is_cut_and_says_how_much_is_missing() -> None:
    assert listed(["a"]) == "a"
    assert listed([str(number) for number in range(12)]).endswith("8; 9; and 2 more")
