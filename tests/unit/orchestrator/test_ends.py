"""What is said of sessions that end: what they held when they were last heard, and that nobody had asked."""

from typing import Any

import msgspec
import pytest

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import StopEngine
from flotilla.schemas.states import DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import FleetAlert, OrderUpdate, PositionUpdate, StopReport
from flotilla.services.orchestrator.engines.core import ends
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude
from flotilla.services.orchestrator.engines.core.effects import PublishState, RaiseAlert
from flotilla.services.orchestrator.engines.core.ends import UNACCOUNTED_FOR, Exposure
from flotilla.services.orchestrator.engines.core.lifecycle import stop
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop, Session
from flotilla.services.orchestrator.engines.core.session import move
from tests.unit.orchestrator.makers import NOW, after, engine, session, spec

HELD = PositionUpdate(
    event="PositionOpened",
    position_id="P-1",
    instrument_id="SPX.SIM",
    strategy_id="S-000",
    side="SHORT",
    quantity="100",
    signed_qty="-100",
    avg_px_open="1",
    currency="USD",
    realized_pnl="0",
    ts_event=1,
)
OPEN = OrderUpdate(
    event="OrderAccepted",
    client_order_id="O-7",
    instrument_id="SPX.SIM",
    strategy_id="S-000",
    status="ACCEPTED",
    side="BUY",
    order_type="LIMIT",
    quantity="5",
    filled_qty="0",
    time_in_force="GTC",
    ts_event=2,
)
EXPOSED = Exposure(positions=(HELD,), orders=(OPEN,))
IN_WORDS = (
    "position SPX.SIM SHORT 100 (S-000) when last heard",
    "order O-7 BUY 5 SPX.SIM ACCEPTED when last heard",
)
REPORT = StopReport(policy=StopPolicy.CANCEL)


def ended(
    present: Session, to: RunState, exposure: Exposure = EXPOSED, *, config: Any = None, **facts: Any
) -> tuple[Engine, Session, list[FleetAlert]]:
    before = engine(present, **({"config": config} if config else {}))
    decision = conclude(before, move(present, to, after(5), **facts), (), (), after(5))
    over = ends.ended_by(before, decision)
    assert over is not None
    told = ends.concluded(before, decision, over, exposure, after(5))
    assert told.engine.session is not None
    assert PublishState(told.engine) in told.effects
    alerts = [effect.alert for effect in told.effects if isinstance(effect, RaiseAlert)]
    return told.engine, told.engine.session, [alert for alert in alerts if alert.code.startswith("engine_")]


@pytest.mark.parametrize("reason", [FailureReason.CRASH, FailureReason.KILLED, FailureReason.OOM])
@pytest.mark.parametrize("state", ["trading", "impaired", "silent"])
def test_a_crash_tells_what_was_held_on_record_and_in_an_alert(state: str, reason: FailureReason) -> None:
    _, over, alerts = ended(session(RunState(state)), RunState.FAILED, reason=reason, detail="it died")
    assert over.not_confirmed == (UNACCOUNTED_FOR, *IN_WORDS)
    (alert,) = alerts
    assert (alert.severity, alert.code) == ("critical", "engine_failed")
    assert f"failed ({reason})" in alert.message
    assert all(words in alert.message for words in ("it died", *IN_WORDS))


def test_what_cannot_be_read_of_it_is_said_not_to_be_known() -> None:
    _, over, alerts = ended(
        session(RunState.BOOTING), RunState.FAILED, Exposure(is_read=False), reason=FailureReason.CRASH
    )
    unread = "what it held when last heard could not be read from the record"
    assert over.not_confirmed == (UNACCOUNTED_FOR, unread)
    assert unread in alerts[0].message


def test_what_is_not_named_is_counted() -> None:
    many = Exposure(positions=(HELD,) * 50, orders=(OPEN,) * 50, more_positions=7, more_orders=1)
    _, over, alerts = ended(session(), RunState.FAILED, many, reason=FailureReason.KILLED)
    assert "and 7 more positions when last heard" in over.not_confirmed
    assert over.not_confirmed[-1] == "and 1 more orders when last heard"
    assert "and 7 more positions" in alerts[0].message


@pytest.mark.parametrize("to", ["failed", "stopped", "completed"])
def test_the_alerts_that_an_engine_left_open_are_closed_with_its_end(to: str) -> None:
    present = session(RunState.IMPAIRED)
    decision = conclude(engine(present), move(present, RunState(to), after(5)), (), (), after(5))
    over = ends.ended_by(engine(present), decision)
    assert over is not None
    left = Exposure(open_alerts=("impaired", "frozen", "lease_lost", "cache_lost"))
    over_with_it = ["impaired_over", "frozen_over", "lease_lost_over", "cache_lost_over"]
    for exposure, closed in ((left, over_with_it), (Exposure(), [])):
        effects = ends.concluded(engine(present), decision, over, exposure, after(5)).effects
        codes = [effect.alert.code for effect in effects if isinstance(effect, RaiseAlert)]
        assert [code for code in codes if code.endswith("_over")] == closed


def test_whatever_an_engine_calls_its_orders_the_record_can_hold() -> None:
    odd = msgspec.structs.replace(OPEN, client_order_id="O\x00" + "7" * 9_000)
    held = msgspec.structs.replace(HELD, strategy_id="S\x00")
    for line in Exposure(positions=(held,), orders=(odd,)).in_words():
        assert "\x00" not in line
        assert len(line) < 600


def test_what_the_sidecar_says_of_it_comes_first() -> None:
    _, over, _ = ended(session(), RunState.FAILED, reason=FailureReason.CRASH, not_confirmed=("unknown",))
    assert over.not_confirmed == ("unknown", *IN_WORDS)


def test_an_engine_that_gave_its_own_account_is_believed() -> None:
    facts: dict[str, Any] = {"stop_report": REPORT, "not_confirmed": ("order O-1 still open",)}
    _, over, alerts = ended(session(), RunState.FAILED, reason=FailureReason.STRATEGY, **facts)
    assert over.not_confirmed == ("order O-1 still open",)
    assert not ends.needs_exposure(over)
    assert "order O-1 still open" in alerts[0].message


def test_nothing_that_was_open_is_still_not_known() -> None:
    _, over, alerts = ended(session(trading_at=NOW), RunState.FAILED, Exposure(), reason=FailureReason.CRASH)
    assert over.not_confirmed == (UNACCOUNTED_FOR,)
    assert alerts[0].severity == "critical"


def test_one_that_failed_before_it_could_trade_left_nothing_open() -> None:
    present = session(RunState.BOOTING)
    _, over, alerts = ended(present, RunState.FAILED, Exposure(), reason=FailureReason.CONFIG)
    assert over.not_confirmed == ()
    assert [alert.severity for alert in alerts] == ["warning"]
    live = EngineConfig(instance_id="e1", engine_type="live", trading_mode="live")
    _, _, alerts = ended(present, RunState.FAILED, Exposure(), config=live, reason=FailureReason.CONFIG)
    assert [alert.severity for alert in alerts] == ["critical"]


def test_a_stop_that_was_asked_for_raises_none_but_a_kill_says_what_was_held() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.FLATTEN, is_forced=True)
    _, over, alerts = ended(session(RunState.STOPPING, stop=order, trading_at=NOW), RunState.STOPPED)
    assert (alerts, over.not_confirmed) == ([], (UNACCOUNTED_FOR, *IN_WORDS))


@pytest.mark.parametrize(
    ("detail", "told"),
    [("shut down by S-000: done", ["engine_ended"]), (None, [])],  # asked past us, as by an emergency stop
)
def test_an_end_in_order_that_nobody_asked_for_is_told(detail: str | None, told: list[str]) -> None:
    _, _, alerts = ended(session(), RunState.STOPPED, detail=detail, stop_report=REPORT)
    assert [alert.code for alert in alerts] == told


def test_a_start_that_was_taken_back_is_no_alert() -> None:
    before = engine(session(RunState.SCHEDULED))
    decision = stop(before, StopEngine(), request_id="r", now=after(1))
    over = ends.ended_by(before, decision)
    assert over is not None
    assert over.detail == "stopped before it began"
    told = ends.concluded(before, decision, over, Exposure(), after(1))
    assert not [effect for effect in told.effects if isinstance(effect, RaiseAlert)]
    assert told.engine.session is not None
    assert told.engine.session.not_confirmed == ()


def test_a_silent_engine_that_its_policy_ended_is_told() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL, is_for_silence=True)
    present = session(RunState.STOPPING, stop=order, trading_at=NOW)
    _, _, alerts = ended(present, RunState.FAILED, reason=FailureReason.FROZEN)
    assert [alert.code for alert in alerts] == ["engine_failed"]


def test_completion_is_no_alert_and_the_engine_is_no_longer_wanted() -> None:
    done, over, alerts = ended(session(), RunState.COMPLETED, stop_report=REPORT)
    assert (over.not_confirmed, alerts) == ((), [])
    assert (done.desired, done.restart_at) == (DesiredState.STOPPED, None)


@pytest.mark.parametrize("left", [{"positions_left": 1}, {"orders_left": 1}])
def test_what_is_left_open_at_completion_is_named(left: dict[str, int]) -> None:
    report = StopReport(policy=StopPolicy.LEAVE, **left)
    _, over, alerts = ended(session(), RunState.COMPLETED, stop_report=report)
    assert over.not_confirmed == tuple(f"left open: {words}" for words in IN_WORDS)
    assert alerts == []


def test_the_session_that_a_restart_ends_is_told_of_too() -> None:
    order = OrderedStop(asked_at=NOW, policy=StopPolicy.CANCEL)
    present = session(RunState.STOPPING, stop=order, trading_at=NOW)
    before = engine(present, pending=spec("s2", 2), desired=DesiredState.RUNNING)
    decision = conclude(before, move(present, RunState.STOPPED, after(5)), (), (), after(5))
    over = ends.ended_by(before, decision)
    assert over is not None
    told = ends.concluded(before, decision, over, EXPOSED, after(5))
    assert told.ended is not None
    assert told.ended.not_confirmed == (UNACCOUNTED_FOR, *IN_WORDS)
    assert told.engine.session is not None
    assert told.engine.session.session_id == "s2"


def test_only_a_decision_that_ends_a_session_is_one() -> None:
    trading = engine(session())
    assert ends.ended_by(trading, Decision(engine=trading, is_change=False)) is None
    assert ends.ended_by(None, Decision(engine=trading)) is None
    over = engine(session(RunState.FAILED))
    assert ends.ended_by(over, Decision(engine=over)) is None
    assert ends.standing(over, NOW) != ()
    assert ends.standing(trading, NOW) == ()
