"""What cannot have been said by an engine's sidecar, and what follows from it."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.states import DesiredState, RunState, SilencePolicy, StopPolicy
from flotilla.schemas.telemetry import (
    AccountUpdate,
    Balance,
    EventKind,
    Fill,
    OrderUpdate,
    PositionUpdate,
    StateChange,
    StopReport,
)
from flotilla.services.orchestrator.engines.core import claims
from flotilla.services.orchestrator.engines.core.claims import MOST_LOST, NOT_ITS_OWN, Finding, Sort
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import CommandStop, RaiseAlert
from flotilla.services.orchestrator.engines.core.events import Unsound, read, time_of
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.stopping import order_stop
from tests.unit.orchestrator.makers import NOW, after, engine, session, state_event

PROOF = Finding(Sort.REPEATED, "event 9 was said twice")
CLOCK = Finding(Sort.TIME, "event 9 says 1970")
HUGE = (
    "1e15",
    "-1e30",
    "NaN",
    "sNaN",
    "Infinity",
    "1e9999999",
    "1e" + "9" * 30,
    "=cmd|calc!A1",
    "",
    "9" * 80,
)
NUMBERS = ("0", "1000000", "34028236692093", "-17014118346046.0000000000000001", "0.1")


def fill(**more: Any) -> Fill:
    values: dict[str, Any] = {"trade_id": "T-1", "client_order_id": "O-1", "instrument_id": "SPX.SIM"}
    values |= {"strategy_id": "S-1", "side": "BUY", "last_qty": "1", "last_px": "2", "currency": "USD"}
    return Fill(**{**values, "commission": "0", "liquidity_side": "TAKER", "ts_event": 1, **more})


def order(**more: Any) -> OrderUpdate:
    values: dict[str, Any] = {"event": "OrderAccepted", "client_order_id": "O-1", "instrument_id": "SPX.SIM"}
    values |= {"strategy_id": "S-1", "status": "ACCEPTED", "side": "BUY", "order_type": "LIMIT"}
    values |= {"quantity": "1", "filled_qty": "0", "time_in_force": "GTC", "ts_event": 1}
    return OrderUpdate(**{**values, **more})


def position(**more: Any) -> PositionUpdate:
    values: dict[str, Any] = {"event": "PositionOpened", "position_id": "P-1", "instrument_id": "SPX.SIM"}
    values |= {"strategy_id": "S-1", "side": "LONG", "quantity": "1", "signed_qty": "1"}
    values |= {"avg_px_open": "nan", "currency": "USD", "realized_pnl": "0", "ts_event": 1}
    return PositionUpdate(**{**values, **more})


def account(total: str) -> AccountUpdate:
    balance = Balance(currency="USD", total=total, free="1", locked="0")
    return AccountUpdate(account_id="A-1", account_type="MARGIN", balances=(balance,), ts_event=1)


@pytest.mark.parametrize("seq", [8 + MOST_LOST, 2**53, 2**62])
def test_a_number_out_of_reach_is_kept_off_the_record(seq: int) -> None:
    found = claims.impossible(seq, fill(), 7)
    assert found is not None
    assert (found.sort, found.is_proof) == (Sort.NUMBER, True)


@pytest.mark.parametrize("seq", [1, 7, 8, 1_000_000, 7 + MOST_LOST])
def test_events_that_were_lost_leave_gaps_of_any_honest_size(seq: int) -> None:
    assert claims.impossible(seq, fill(), 7) is None


@pytest.mark.parametrize("size", HUGE)
def test_a_size_that_nothing_has_is_kept_off_the_record(size: str) -> None:
    said = (fill(last_qty=size), fill(last_px=size), order(quantity=size), position(signed_qty=size))
    for data in (*said, account(size)):
        found = claims.impossible(8, data, 7)
        assert found is not None, data
        assert found.sort == Sort.SIZE


@pytest.mark.parametrize("size", NUMBERS)
def test_sizes_that_nautilus_can_hold_are_recorded(size: str) -> None:
    said = (fill(last_qty=size), fill(last_px=size), order(quantity=size), position(signed_qty=size))
    assert [claims.impossible(8, data, 7) for data in (*said, account(size))] == [None] * 5


def test_an_id_is_what_a_venue_or_a_strategy_calls_it() -> None:
    assert claims.impossible(8, fill(trade_id="=cmd|calc!A1", client_order_id="x" * 9_000), 7) is None


@pytest.mark.parametrize(
    ("seconds", "is_odd"),
    [(-86_400, True), (-3_700, True), (-3_500, False), (0, False), (600, False), (659, False), (661, True)],
)
def test_times_lie_between_the_sessions_start_and_their_arrival(seconds: float, is_odd: bool) -> None:
    made_at, received_at = NOW, after(600)
    found = claims.unlikely_time(8, after(seconds), received_at, made_at)
    assert (found is not None) == is_odd
    assert found is None or not found.is_proof


def test_clocks_that_were_set_back_together_are_none_of_an_engines_doing() -> None:
    back = NOW - timedelta(days=1)
    assert claims.unlikely_time(8, back, back + timedelta(seconds=1), NOW) is None


def policied(policy: SilencePolicy, **facts: Any) -> Engine:
    present = session(RunState.TRADING, started_at=NOW, **facts)
    return engine(present, restart_policy=RestartPolicy(max_restarts=2, on_silence=policy))


def made_of(finding: Finding, present: Engine) -> tuple[Decision, list[str], bool]:
    """The decision, the codes of its alerts, and whether the sidecar is told to stop."""
    decision = claims.answered(present, "s1", finding, after(5))
    assert decision is not None
    codes = [effect.alert.code for effect in decision.effects if isinstance(effect, RaiseAlert)]
    return decision, codes, any(isinstance(effect, CommandStop) for effect in decision.effects)


@pytest.mark.parametrize("policy", list(SilencePolicy))
def test_somebody_is_told_and_the_policy_for_silence_holds(policy: SilencePolicy) -> None:
    decision, codes, is_stopped = made_of(PROOF, policied(policy))
    assert codes == ["forged_claim"]
    assert is_stopped == (policy != SilencePolicy.REPORT)
    stop = decision.engine.session and decision.engine.session.stop
    assert (stop is not None and stop.is_for_silence) == is_stopped
    is_wanted = decision.engine.desired == DesiredState.RUNNING
    assert is_wanted == (policy != SilencePolicy.STOP)


def test_what_may_be_a_clock_ends_no_engine() -> None:
    decision, codes, is_stopped = made_of(CLOCK, policied(SilencePolicy.STOP))
    assert (codes, is_stopped, decision.is_change) == (["doubtful_claim"], False, False)


def test_a_stop_on_order_stays_as_it_is() -> None:
    present = policied(SilencePolicy.RESTART)
    assert present.session is not None
    ordered = order_stop(present.session, None, is_forced=False, now=NOW)
    decision, codes, _ = made_of(PROOF, msgspec.structs.replace(present, session=ordered))
    assert (codes, decision.is_change) == (["forged_claim"], False)


def test_an_end_that_may_be_somebody_elses_claim_is_not_confirmed() -> None:
    flat = StopReport(policy="flatten", is_flat=True)  # type: ignore[arg-type]
    over = engine(session(RunState.STOPPED, stop_report=flat))
    decision, codes, _ = made_of(PROOF, over)
    ended = decision.engine.session
    assert ended is not None
    assert (ended.stop_report, ended.not_confirmed, codes) == (None, (NOT_ITS_OWN,), ["forged_claim"])
    again, _, _ = made_of(PROOF, decision.engine)
    assert not again.is_change
    size, _, _ = made_of(Finding(Sort.SIZE, "x"), over)
    assert not size.is_change


def test_another_session_is_left_alone() -> None:
    assert claims.answered(policied(SilencePolicy.STOP), "s0", PROOF, NOW) is None
    assert claims.answered(engine(None), "s1", PROOF, NOW) is None


def test_a_message_that_speaks_for_another_engine_is_proof_and_one_that_is_unreadable_is_not() -> None:
    body = msgspec.json.encode(state_event(1, RunState.TRADING))
    for subject, data, sort, is_proof in (
        ("engine.e2.state", body, Sort.SESSION, True),
        ("engine.e1.state", b"{}", Sort.UNREADABLE, False),
        ("engine.e1.state", body.replace(b'"seq":1', b'"seq":-1'), Sort.NUMBER, True),
    ):
        with pytest.raises(Unsound) as error:
            read(subject, data)
        assert (error.value.finding.sort, error.value.finding.is_proof) == (sort, is_proof)


def test_an_event_was_made_no_later_than_it_came() -> None:
    said = state_event(1, RunState.TRADING)
    event = read("engine.e1.state", msgspec.json.encode(said), after(-5))
    assert event.said_ns == int(after(-5).timestamp()) * 1_000_000_000
    assert event.kind == EventKind.STATE
    assert read("engine.e1.state", msgspec.json.encode(said), after(5)).said_ns == (
        int(time_of(said.at_ns).timestamp() * 1_000_000) * 1_000
    )


STRANGER = Finding(Sort.CONNECTION, "somebody else was on the bus with its credential")


def test_a_stranger_of_a_session_that_another_has_followed_is_told_of_and_ends_nothing() -> None:
    present = policied(SilencePolicy.RESTART)
    decision = claims.answered(present, "20260131-000000-000000000000", STRANGER, NOW)
    assert decision is not None
    (alert,) = decision.effects
    assert isinstance(alert, RaiseAlert)
    assert (alert.alert.code, alert.alert.session_id) == ("forged_claim", "20260131-000000-000000000000")
    assert (decision.engine, decision.is_change) == (present, False)
    assert claims.answered(present, "20260131-000000-000000000000", PROOF, NOW) is None


def test_one_who_was_only_there_takes_nothing_from_an_end() -> None:
    flat = StopReport(policy="flatten", is_flat=True)  # type: ignore[arg-type]
    over = engine(session(RunState.STOPPED, stop_report=flat))
    decision, codes, _ = made_of(STRANGER, over)
    assert (codes, decision.is_change) == (["forged_claim"], False)


def test_a_second_account_of_an_end_is_proof_and_the_same_one_again_is_not() -> None:
    report = StopReport(policy=StopPolicy.FLATTEN, is_flat=True, positions_closed=1)
    ended = session(RunState.STOPPED, ended_at=NOW, stop_report=report)
    end = StateChange(state=RunState.STOPPED, stop=report)
    assert claims.ended_twice(ended, 7, end) is None
    others = (
        StateChange(state=RunState.STOPPED, stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True)),
        StateChange(state=RunState.STOPPED),
        StateChange(state=RunState.FAILED, stop=report),
    )
    found = [claims.ended_twice(ended, 7, other) for other in others]
    assert [each and each.sort for each in found] == [Sort.REPEATED] * 3
    # What is not an account of an end, and the first account of one that was seen from outside, is none.
    assert claims.ended_twice(ended, 7, StateChange(state=RunState.TRADING)) is None
    assert claims.ended_twice(msgspec.structs.replace(ended, stop_report=None), 7, end) is None
    assert found[0] is not None
    assert "event 7" in found[0].text
    decision = claims.answered(engine(ended), ended.session_id, found[0], after(2))
    assert decision is not None
    assert decision.engine.session is not None
    assert decision.engine.session.stop_report is None
    assert NOT_ITS_OWN in decision.engine.session.not_confirmed
