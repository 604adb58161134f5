"""Whether what was heard of a session is a real and complete account of trading."""

from typing import Any

import msgspec
import pytest

from flotilla.client.watch import Update
from flotilla.demo.event_audit import Tally
from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import (
    EngineEvent,
    EngineMetrics,
    EventKind,
    FeedProgress,
    Fill,
    Heartbeat,
    LogLines,
    StateChange,
)

FILL = Fill(
    trade_id="T-1",
    client_order_id="O-1",
    instrument_id="SPX.SIM",
    strategy_id="S-1",
    side="BUY",
    last_qty="100",
    last_px="1400.00",
    currency="USD",
    commission="0.00 USD",
    liquidity_side="TAKER",
    ts_event=1,
)
TRADING = StateChange(state=RunState.TRADING)
STOPPED = StateChange(state=RunState.STOPPED)


def event(seq: int, kind: EventKind, data: Any) -> Update:
    told = EngineEvent(
        instance_id="a", session_id="s", generation=1, seq=seq, at_ns=seq, kind=kind, data=data
    )
    return Update(kind, "a", told)


def metrics(*, fills: int = 1, is_finished: bool = True) -> Update:
    feed = FeedProgress(venue="SIM", events=10, total=10, is_finished=is_finished)
    return Update(
        "metrics",
        "a",
        EngineMetrics(instance_id="a", session_id="s", at_ns=1, fills_total=fills, feeds=(feed,)),
    )


BEAT = Update(
    "heartbeat",
    "a",
    Heartbeat(instance_id="a", session_id="s", generation=1, beat=1, at_ns=1, state=RunState.TRADING),
)
LOG = Update("log", "a", LogLines(instance_id="a", session_id="s", first=1, at_ns=1, lines=("one", "two")))
GOOD = [
    event(1, EventKind.STATE, TRADING),
    BEAT,
    LOG,
    event(2, EventKind.FILL, FILL),
    metrics(),
    event(3, EventKind.STATE, STOPPED),
]


def tally_of(updates: list[Update]) -> Tally:
    tally = Tally("a")
    for update in updates:
        tally.take(update)
    return tally


def test_a_good_session_has_no_problems() -> None:
    tally = tally_of(GOOD)
    assert tally.problems([1, 2, 3], []) == []
    assert (tally.events, tally.log_lines, tally.is_over, tally.is_replayed) == (3, 2, True, True)


def test_a_tail_that_was_made_and_never_heard_is_missed() -> None:
    beat = msgspec.structs.replace(BEAT.payload, last_seq=5)
    found = tally_of([*GOOD, Update("heartbeat", "a", beat)]).problems([1, 2, 3], [(4, 5)])
    assert "2 of 5 events were not heard" in found
    assert "the database has 3 of 5 events" in found


@pytest.mark.parametrize(
    ("updates", "recorded", "missing", "problem"),
    [
        ([one for one in GOOD if one.kind != "fill"], [1, 3], [], "nothing was traded"),
        ([*GOOD[:3], *GOOD[4:]], [1, 3], [], "1 of 3 events were not heard"),
        (GOOD, [1, 3], [], "the database has 2 of 3 events"),
        (GOOD, [1, 2, 3], [(2, 2)], "the database has gaps"),
        ([one for one in GOOD if one.kind != "heartbeat"], [1, 2, 3], [], "there were no heartbeats"),
        ([one for one in GOOD if one.kind != "metrics"], [1, 2, 3], [], "there were no metrics"),
        ([*GOOD[:4], metrics(is_finished=False), GOOD[5]], [1, 2, 3], [], "was not replayed to its end"),
        (GOOD[:5], [1, 2], [], "the engine did not stop: trading"),
        (
            [
                *GOOD[:5],
                event(3, EventKind.STATE, StateChange(state=RunState.FAILED, reason=FailureReason.CRASH)),
            ],
            [1, 2, 3],
            [],
            "the engine did not stop: failed crash",
        ),
        ([], [], [], "nothing was heard of it"),
    ],
)
def test_what_is_not_real_is_found(
    updates: list[Update], recorded: list[int], missing: list[tuple[int, int]], problem: str
) -> None:
    found = tally_of(updates).problems(recorded, missing)
    assert any(problem in one for one in found), found


def test_the_replay_is_not_over_before_its_last_fill_was_heard() -> None:
    assert not tally_of([metrics(fills=2), event(1, EventKind.FILL, FILL)]).is_replayed
