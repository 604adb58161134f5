"""When an engine that is waited for has arrived, and when it never will."""

from datetime import UTC, datetime

import msgspec
import pytest

from flotilla.client.client import _arrived, _last
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.schemas.telemetry import LogLines
from flotilla.state.errors import EngineFailedError

OLD, OURS, NEWER = "20260101-000000-a", "20260101-000001-b", "20260101-000002-c"


def engine(session_id: str | None, state: RunState = RunState.BOOTING) -> EngineView:
    session = None
    if session_id:
        session = SessionView(
            session_id=session_id,
            instance_id="a",
            generation=1,
            state=state,
            container_name="c",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    return EngineView(
        instance_id="a",
        state=ClientState.STARTING,
        desired=DesiredState.RUNNING,
        config=EngineConfig(),
        session=session,
    )


@pytest.mark.parametrize(
    ("view", "arrived"),
    [
        (engine(OURS, RunState.TRADING), True),
        (engine(OURS, RunState.BOOTING), False),
        (engine(OLD, RunState.FAILED), False),  # what was there before ours
        (engine(None), False),
    ],
)
def test_only_the_session_that_was_asked_for_counts(view: EngineView, arrived: bool) -> None:
    assert _arrived(view, {RunState.TRADING}, OURS) is arrived


@pytest.mark.parametrize(
    "view", [engine(OURS, RunState.FAILED), engine(OURS, RunState.STOPPED), engine(NEWER, RunState.TRADING)]
)
def test_a_session_that_ended_or_gave_way_is_not_waited_for(view: EngineView) -> None:
    with pytest.raises(EngineFailedError):
        _arrived(view, {RunState.TRADING}, OURS)


def test_an_engine_that_is_to_trade_and_is_impaired_says_why() -> None:
    view = engine(OURS, RunState.IMPAIRED)
    assert view.session is not None
    reasons = msgspec.structs.replace(view.session, detail="strategy A-000 is STOPPED")
    with pytest.raises(EngineFailedError, match="engine a is impaired: strategy A-000 is STOPPED"):
        _arrived(msgspec.structs.replace(view, session=reasons), {RunState.TRADING}, OURS)
    assert _arrived(view, {RunState.TRADING, RunState.IMPAIRED}, OURS)
    assert not _arrived(view, {RunState.STOPPED}, OURS)


def test_a_replay_that_is_completed_has_traded() -> None:
    assert _arrived(engine(OURS, RunState.COMPLETED), {RunState.TRADING}, OURS)


def test_an_end_that_is_wanted_is_no_failure() -> None:
    assert _arrived(engine(OURS, RunState.FAILED), {RunState.STOPPED, RunState.FAILED}, OURS)


def chunk(first: int, *lines: str) -> LogLines:
    return LogLines(instance_id="a", session_id=OURS, first=first, at_ns=1, lines=lines)


def test_the_last_lines_keep_their_numbers() -> None:
    kept = _last([chunk(1, "a", "b", "c"), chunk(4, "d", "e")], 3)
    assert [(one.first, one.lines) for one in kept] == [(3, ("c",)), (4, ("d", "e"))]


def test_fewer_lines_than_asked_for_are_all_of_them() -> None:
    assert _last([chunk(1, "a")], 100) == [chunk(1, "a")]
