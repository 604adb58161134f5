"""Every rule of the table: from what it is raised, and by what it is over."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from flotilla.schemas import alerts
from flotilla.schemas.alert_rules import RULES
from flotilla.schemas.alerting import AlertChange, AlertChangeKind, AlertState, AlertView, RuleSetting
from flotilla.schemas.backtest import BacktestConfig, BacktestStatus, BacktestView
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState
from flotilla.schemas.telemetry import (
    EngineMetrics,
    FeedProgress,
    Fill,
    FleetAlert,
    MarkedEquity,
    OrderUpdate,
    PositionUpdate,
    QuietData,
    Severity,
)
from flotilla.services.notifier.core import deliveries, engines, fleet
from flotilla.services.notifier.core.engines import EngineMemory
from flotilla.services.notifier.core.fleet import HostMemory, QueueMemory, Surroundings
from flotilla.services.notifier.core.signals import Signal, Thresholds

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
THRESHOLDS = Thresholds((RuleSetting(rule="exposure", threshold=1_000.0),))
ENGINE = EngineMemory(instance_id="e1", session_id="s1", state=RunState.TRADING, heard_at=NOW)

type Signals = list[Signal]


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def view(state: RunState, **changes: Any) -> EngineView:
    session = SessionView(
        session_id="s1",
        instance_id="e1",
        generation=1,
        state=state,
        container_name="nautilus-engine-s1",
        created_at=NOW,
        **changes,
    )
    return EngineView(
        instance_id="e1",
        state=ClientState.RUNNING,
        desired=DesiredState.RUNNING,
        config=EngineConfig(instance_id="e1"),
        session=session,
    )


def state(run_state: RunState, **changes: Any) -> Signals:
    return engines.of_view(ENGINE, view(run_state, **changes), NOW)[1]


def measured(amounts: list[str], *quiet: QuietData) -> Signals:
    memory, signals = ENGINE, list[Signal]()
    for amount in amounts:
        metrics = EngineMetrics(
            instance_id="e1",
            session_id="s1",
            at_ns=0,
            equity=MarkedEquity(currency="USD", amount=Decimal(amount)),
            feeds=(FeedProgress(venue="V", events=1, quiet=quiet),),
        )
        memory, signals = engines.of_metrics(memory, metrics, NOW, THRESHOLDS)
    return signals


def positions(*quantities: str) -> Signals:
    memory, signals = ENGINE, list[Signal]()
    for quantity in quantities:
        update = PositionUpdate(
            event="PositionChanged",
            position_id="p1",
            instrument_id="X.Y",
            strategy_id="s",
            side="LONG",
            quantity=quantity,
            signed_qty=quantity,
            avg_px_open="100",
            currency="USD",
            realized_pnl="0",
            ts_event=0,
        )
        memory, signals = engines.of_position(memory, update, THRESHOLDS)
    return signals


def refused() -> EngineMemory:
    memory = ENGINE
    for _ in range(5):
        order = OrderUpdate(
            event="OrderDenied",
            client_order_id="o",
            instrument_id="X.Y",
            strategy_id="s",
            status="DENIED",
            side="BUY",
            order_type="LIMIT",
            quantity="1",
            filled_qty="0",
            time_in_force="GTC",
            ts_event=0,
        )
        memory, _ = engines.of_order(memory, order, NOW, THRESHOLDS)
    return memory


def restarted() -> EngineMemory:
    memory = ENGINE
    for _ in range(3):
        memory, _ = engines.of_restart(memory, NOW, THRESHOLDS)
    return memory


def tick(memory: EngineMemory, after_s: float) -> Signals:
    return engines.of_tick(memory, later(after_s), THRESHOLDS, None)[1]


def filled(**changes: Any) -> Signals:
    fill = Fill(
        trade_id="t1",
        client_order_id="o",
        instrument_id="X.Y",
        strategy_id="s",
        side="BUY",
        last_qty="2",
        last_px="100.5",
        currency="USD",
        commission="0",
        liquidity_side="TAKER",
        ts_event=0,
        **changes,
    )
    return engines.of_fill(ENGINE, fill)[1]


def alert(code: str) -> Signals:
    return engines.of_alert(ENGINE, code, Severity.WARNING, "so it is", "s1-7")


def hosts(after_s: float) -> Signals:
    return fleet.of_hosts_tick((HostMemory(host="h1", heard_at=NOW),), later(after_s), THRESHOLDS, NOW)


def disk(code: str) -> Signals:
    return fleet.of_disk(FleetAlert(at=NOW, severity=Severity.CRITICAL, code=code, message="/data has 1 GB"))


def backtest(status: BacktestStatus, **changes: Any) -> tuple[QueueMemory, Signals]:
    made = BacktestView(
        backtest_id="b1",
        status=status,
        config=BacktestConfig(
            strategy_class="ema_cross",
            strategy_config={},
            start_date="2020-01-01",
            end_date="2020-02-01",
            instruments=("X.Y",),
        ),
        created_at=NOW,
        **changes,
    )
    return fleet.of_backtest(QueueMemory(), made, NOW)


def queue(after_s: float, status: BacktestStatus = BacktestStatus.PENDING) -> Signals:
    return fleet.of_queue_tick(backtest(status)[0], later(after_s), THRESHOLDS)


def around(after_s: float, **changes: Any) -> Signals:
    return fleet.of_surroundings(Surroundings(**changes), later(after_s), THRESHOLDS)


IMPAIRED = alerts.IMPAIRED.code
LASTS = next(kind for kind in alerts.ALERTS.values() if kind.code == "lease_lost")
OVER = LASTS.closed_by or LASTS
HOST_HEARD = fleet.of_host("h1", NOW)[1]
SILENT_S = 20.0
QUIET = QuietData(what="quotes", age_s=121.0)


def certificate(days: float) -> Signals:
    return fleet.of_certificate(Surroundings(certificate_ends=NOW + timedelta(days=days)), NOW, THRESHOLDS)


CASES: dict[str, tuple[Signals, Signals]] = {
    "engine_failed": (state(RunState.FAILED, reason=FailureReason.KILLED), state(RunState.TRADING)),
    "engine_silent": (state(RunState.UNKNOWN, host="h1"), state(RunState.TRADING)),
    "engine_mismatch": (state(RunState.MISMATCH), state(RunState.TRADING)),
    "engine_impaired": (state(RunState.IMPAIRED), state(RunState.TRADING)),
    "feed_stale": (measured(["1"], QUIET), measured(["1"])),
    "drawdown": (measured(["100", "79"]), measured(["100", "79", "90"])),
    "day_loss": (measured(["100", "89"]), measured(["100", "89", "95"])),
    "exposure": (positions("11"), positions("11", "7")),
    "order_rejects": (tick(refused(), 299), tick(refused(), 301)),
    "restarts": (tick(restarted(), 3_599), tick(restarted(), 3_601)),
    "engine_alert": (alert(LASTS.code), alert(OVER.code)),
    "host_lost": (hosts(16), HOST_HEARD),
    "disk_low": (disk("disk_low"), disk("disk_low_over")),
    "queue_stuck": (queue(901), queue(901, BacktestStatus.RUNNING)),
    "orchestrator_silent": (
        around(SILENT_S + 1, bus_since=NOW, orchestrator_at=NOW, orchestrator_says="the record is away"),
        around(SILENT_S + 1, bus_since=NOW, orchestrator_at=later(SILENT_S)),
    ),
    "certificate": (certificate(13.9), certificate(14)),
    "bus_lost": (around(6, bus_lost_at=NOW), around(6, bus_since=later(6))),
}
"""Of rules that last: what raises them, and what ends that."""
ONCE: dict[str, Signals] = {
    "fill": filled(),
    "backtest_failed": backtest(BacktestStatus.FAILED, error="the strategy raised ValueError")[1],
    "backtest_done": backtest(BacktestStatus.COMPLETED, completed_at=NOW)[1],
}


def said(signals: Signals, code: str) -> Iterator[bool]:
    return (one.is_raised for one in signals if one.rule.code == code)


@pytest.mark.parametrize("code", RULES)
def test_each_rule_of_the_table_is_raised_and_is_over(code: str) -> None:
    if RULES[code].is_event:
        (one,) = ONCE[code]
        assert (one.rule.code, one.is_raised, bool(one.happened)) == (code, True, True)
        return
    raised, over = CASES[code]
    assert True in said(raised, code)
    assert set(said(over, code)) <= {False}
    assert False in said(over, code)


@pytest.mark.parametrize(
    ("raised", "over"),
    [
        (state(RunState.TRADING), "engine_failed"),
        (measured(["100", "91"]), "day_loss"),
        (measured(["100", "81"]), "drawdown"),
        (positions("10"), "exposure"),
        (hosts(15), "host_lost"),
        (queue(900), "queue_stuck"),
        (around(5, bus_lost_at=NOW), "bus_lost"),
        (state(RunState.FAILED, reason=FailureReason.OPERATOR), "engine_failed"),
        (filled(is_restored=True), "fill"),
        (alert(IMPAIRED), "engine_alert"),
        (backtest(BacktestStatus.FAILED, study_id="s1")[1], "backtest_failed"),
        (backtest(BacktestStatus.COMPLETED, has_report=True)[1], "backtest_done"),
    ],
)
def test_what_is_short_of_it_is_not_told(raised: Signals, over: str) -> None:
    assert True not in said(raised, over)


def test_an_alert_that_nothing_closes_happens_once_and_names_itself() -> None:
    kind = next(each for each in alerts.ALERTS.values() if each.code == "telemetry_lost")
    assert kind.closed_by is None
    (one,) = alert(kind.code)
    assert (one.happened, one.code, one.severity) == ("s1-7", kind.code, Severity.WARNING)


def test_a_message_is_tried_for_a_day_with_pauses_of_a_minute_at_most() -> None:
    view = AlertView(
        alert_id="ab" * 12,
        rule="fill",
        about_kind=RULES["fill"].about,
        about="e1",
        severity=Severity.INFO,
        text="x",
        state=AlertState.TOLD,
        opened_at=NOW,
        changed_at=NOW,
    )
    change = AlertChange(change=AlertChangeKind.OPENED, at=NOW, alert=view)
    delivery = deliveries.gathered(change, None, "desk", None, "d1")
    pauses, now = [], NOW
    for _ in range(8):
        delivery = deliveries.failed(deliveries.begun(delivery), "status 503", now, is_unsure=False)
        pauses.append((delivery.due_at - now).total_seconds())
        now = delivery.due_at
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert not deliveries.is_given_up(delivery, NOW + timedelta(hours=24))
    assert deliveries.is_given_up(delivery, NOW + timedelta(hours=24, seconds=1))
    never_tried = msgspec.structs.replace(delivery, attempts=0)
    assert not deliveries.is_given_up(never_tried, NOW + timedelta(hours=25)), (
        "a notifier that was away sends it"
    )
