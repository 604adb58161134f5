"""What the demo says at its end about what it did not hear."""

import re
from collections.abc import Sequence

import msgspec
import pytest

from flotilla.client.watch import Update
from flotilla.demo.backtest import Again
from flotilla.demo.demo import Account
from flotilla.demo.event_audit import Tally
from flotilla.demo.report import account_report
from flotilla.schemas.telemetry import EventKind, PositionUpdate
from flotilla.show.figure_tables import Told
from flotilla.state.settings import Connection
from tests.unit.flotilla.test_backtest_tables import shown, view
from tests.unit.flotilla.test_tally import BEAT, FILL, STOPPED, TRADING, event, metrics, tally_of

LONG = PositionUpdate(
    event="PositionOpened",
    position_id="P-1",
    instrument_id="SPX.SIM",
    strategy_id="S-1",
    side="LONG",
    quantity="100",
    signed_qty="100",
    avg_px_open="1400.00",
    currency="USD",
    realized_pnl="0.00 USD",
    ts_event=1,
)
FLAT = msgspec.structs.replace(LONG, side="FLAT", quantity="0", signed_qty="0")
OPENED = [event(1, EventKind.STATE, TRADING), event(2, EventKind.POSITION, LONG)]
CLOSED = [*OPENED, event(3, EventKind.POSITION, FLAT), event(4, EventKind.STATE, STOPPED)]
FIVE = Update("heartbeat", "a", msgspec.structs.replace(BEAT.payload, last_seq=5))


def said(tally: Tally, recorded: int) -> str:
    account = Account(
        connection=Connection(nats_url="", nats_creds=""),
        session_id="s",
        tally=tally,
        before_stop=metrics().payload,
        recorded=recorded,
        problems=(),
        again=Again(backtest=view(), told=Told(), report=None, fills=1, equal_fills=1),
        seconds=1.0,
    )
    return shown(account_report(account, "flotilla"))


@pytest.mark.parametrize(
    ("updates", "position"),
    [
        ([], "not known"),
        ([FIVE], "not known"),
        (CLOSED[:2], "not known; heard of last: SPX.SIM LONG 100"),
        (CLOSED[:3], "not known"),
        (CLOSED[1:], "not known"),
        ([*CLOSED, FIVE], "not known"),
        (CLOSED, "flat"),
        ([*OPENED, event(3, EventKind.STATE, STOPPED)], "SPX.SIM LONG 100"),
        ([OPENED[0], event(2, EventKind.FILL, FILL), event(3, EventKind.STATE, STOPPED)], "flat"),
    ],
)
def test_what_an_engine_held_is_known_only_when_all_of_its_session_was_heard(
    updates: Sequence[Update], position: str
) -> None:
    after = said(tally_of(list(updates)), 0).split("After the stop")[1]
    assert re.search(r"^  position +(.*)$", after, re.MULTILINE).group(1) == position  # type: ignore[union-attr]
    assert re.search(r"^  balance +not known$", after, re.MULTILINE)


@pytest.mark.parametrize(
    ("updates", "recorded", "sequence"),
    [
        ([], 0, "no event was heard of"),
        (CLOSED, 4, "1 to 4, none missing; all 4 are in PostgreSQL"),
        (CLOSED, 3, "1 to 4, none missing; 3 of them are in PostgreSQL"),
        ([*CLOSED, FIVE], 4, "1 to 5, 4 heard; 4 of them are in PostgreSQL"),
    ],
)
def test_events_that_are_missing_are_not_said_to_be_there(
    updates: Sequence[Update], recorded: int, sequence: str
) -> None:
    assert f"  sequence        {sequence}\n" in said(tally_of(list(updates)), recorded)
