"""The notifier's decisions: what opens, repeats and resolves an alert, what holds of a rule, and how a message reads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from flotilla.schemas import alert_rules
from flotilla.schemas.alert_rules import RULES, AlertAbout
from flotilla.schemas.alerting import AlertChange, AlertChangeKind, AlertState, Channel, Mute, RuleSetting
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import (
    EngineMetrics,
    FeedProgress,
    MarkedEquity,
    OrderUpdate,
    PositionUpdate,
    QuietData,
    Severity,
)
from flotilla.services.notifier.core import book, deliveries, engines
from flotilla.services.notifier.core.book import AlertRecord
from flotilla.services.notifier.core.engines import EngineMemory
from flotilla.services.notifier.core.signals import Signal, Thresholds, in_force

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
ID = "ab" * 12
NONE = Thresholds()
ENGINE = EngineMemory(instance_id="e1", session_id="s1", state=RunState.TRADING, heard_at=NOW)


def signal(*, is_raised: bool = True, **more: Any) -> Signal:
    known: dict[str, Any] = {"rule": alert_rules.ENGINE_FAILED, "about": "e1", "text": "failed", **more}
    return Signal(is_raised=is_raised, **known)


def played(pauses_s: list[float]) -> tuple[AlertRecord, list[AlertChangeKind]]:
    """What is told of an alert that begins and ends again and again, so many seconds apart."""
    record: AlertRecord | None = None
    told, now = [], NOW
    for number, pause in enumerate(pauses_s):
        now += timedelta(seconds=pause)
        step = book.take(signal(is_raised=number % 2 == 0), record, NONE, now, ID)
        if step is not None:
            record = step.record
            told += [step.change] if step.change else []
    assert record is not None
    return record, told


def test_fifty_flaps_are_told_as_flapping_and_then_no_more() -> None:
    record, told = played([1.0] * 100)
    opened, again, over = AlertChangeKind.OPENED, AlertChangeKind.REPEATED, AlertChangeKind.RESOLVED
    assert told == [opened, over, again, over, again, over, AlertChangeKind.FLAPPING]
    assert (record.view.times, record.view.is_flapping) == (50, True)
    assert book.settled(record, NOW + timedelta(seconds=101)) is None
    step = book.settled(record, NOW + timedelta(seconds=300))
    assert step is not None
    assert (step.change, step.record.view.state) == (over, AlertState.RESOLVED)


def test_what_begins_long_after_it_was_over_is_another_alert() -> None:
    _, told = played([0.0, 1.0, 601.0])
    assert told == [AlertChangeKind.OPENED, AlertChangeKind.RESOLVED, AlertChangeKind.OPENED]


@pytest.mark.parametrize(
    ("settings", "threshold", "is_on"),
    [
        ((), 120.0, True),
        ((RuleSetting(rule="feed_stale", threshold=60.0),), 60.0, True),
        (
            (
                RuleSetting(rule="feed_stale", threshold=60.0),
                RuleSetting(rule="feed_stale", labels={"desk": "a"}, threshold=30.0),
            ),
            30.0,
            True,
        ),
        (
            (
                RuleSetting(rule="feed_stale", about="e1", is_on=False),
                RuleSetting(rule="feed_stale", labels={"desk": "a"}, threshold=30.0, is_on=True),
            ),
            30.0,
            False,
        ),
        ((RuleSetting(rule="feed_stale", about="e2", threshold=1.0),), 120.0, True),
        ((RuleSetting(rule="feed_stale", labels={"desk": "b"}, threshold=1.0),), 120.0, True),
    ],
)
def test_what_is_for_one_comes_before_what_is_for_its_labels_and_that_before_what_is_for_all(
    settings: tuple[RuleSetting, ...], threshold: float, is_on: bool
) -> None:
    force = in_force(alert_rules.FEED_STALE, settings, "e1", {"desk": "a"})
    assert (force.threshold, force.is_on) == (threshold, is_on)


def test_a_rule_without_its_threshold_and_fills_are_off() -> None:
    off = {code for code, rule in RULES.items() if not in_force(rule, (), "e1", {}).is_on}
    assert off == {"exposure", "fill"}


def metrics(amount: str | None = None, *quiet: QuietData) -> EngineMetrics:
    equity = MarkedEquity(currency="USD", amount=Decimal(amount)) if amount else None
    feeds = (FeedProgress(venue="V", events=1, quiet=quiet),)
    return EngineMetrics(instance_id="e1", session_id="s1", at_ns=0, equity=equity, feeds=feeds)


def raised(signals: list[Signal]) -> set[str]:
    return {one.rule.code for one in signals if one.is_raised}


@pytest.mark.parametrize(
    ("amounts", "found"),
    [
        (["100", "95"], set()),
        (["100", "89"], {"day_loss"}),
        (["100", "130", "103"], {"drawdown"}),
        (["100", "79"], {"drawdown", "day_loss"}),
    ],
)
def test_losses_are_told_from_their_thresholds_on(amounts: list[str], found: set[str]) -> None:
    memory, signals = ENGINE, list[Signal]()
    for amount in amounts:
        memory, signals = engines.of_metrics(memory, metrics(amount), NOW, NONE)
    assert raised(signals) == found


@pytest.mark.parametrize(
    ("quiet", "found"),
    [
        (QuietData(what="quotes", age_s=119.0), set()),
        (QuietData(what="quotes", age_s=121.0), {"feed_stale"}),
        (QuietData(what="quotes", age_s=121.0, is_market_open=False), set()),
        (QuietData(what="bars", age_s=170.0, interval_s=60.0), set()),
        (QuietData(what="bars", age_s=181.0, interval_s=60.0), {"feed_stale"}),
    ],
)
def test_silent_data_is_told_unless_its_market_is_closed(quiet: QuietData, found: set[str]) -> None:
    assert raised(engines.of_metrics(ENGINE, metrics(None, quiet), NOW, NONE)[1]) == found


def test_exposure_is_what_is_held_at_entry_prices() -> None:
    thresholds = Thresholds((RuleSetting(rule="exposure", threshold=1_000.0),))
    opened = PositionUpdate(
        event="PositionOpened",
        position_id="p1",
        instrument_id="X.Y",
        strategy_id="s",
        side="LONG",
        quantity="11",
        signed_qty="11",
        avg_px_open="100",
        currency="USD",
        realized_pnl="0",
        ts_event=0,
    )
    memory, signals = engines.of_position(ENGINE, opened, thresholds)
    assert (raised(signals), signals[0].text) == ({"exposure"}, "holds 1100 USD at entry prices")
    closed = msgspec.structs.replace(opened, event="PositionClosed", quantity="0")
    assert raised(engines.of_position(memory, closed, thresholds)[1]) == set()


def test_refused_orders_are_counted_within_the_window() -> None:
    memory, signals = ENGINE, list[Signal]()
    refused = OrderUpdate(
        event="OrderRejected",
        client_order_id="o",
        instrument_id="X.Y",
        strategy_id="s",
        status="REJECTED",
        side="BUY",
        order_type="LIMIT",
        quantity="1",
        filled_qty="0",
        time_in_force="GTC",
        ts_event=0,
    )
    for number in range(5):
        assert raised(signals) == set()
        memory, signals = engines.of_order(memory, refused, NOW + timedelta(seconds=number), NONE)
    assert raised(signals) == {"order_rejects"}
    assert raised(engines.of_tick(memory, NOW + timedelta(seconds=400), NONE, None)[1]) == set()


def test_an_engine_that_is_not_heard_while_the_bus_is_there_is_silent() -> None:
    later = NOW + timedelta(seconds=21)
    assert raised(engines.of_tick(ENGINE, later, NONE, NOW)[1]) == {"engine_silent"}
    assert raised(engines.of_tick(ENGINE, later, NONE, None)[1]) == set()
    assert raised(engines.of_tick(ENGINE, later, NONE, later)[1]) == set()


@pytest.mark.parametrize(
    ("changes", "mutes", "is_told"),
    [
        ({}, (), True),
        ({"severity": Severity.CRITICAL}, (), False),
        ({"rules": ("fill",)}, (), False),
        ({"rules": ("engine_failed",)}, (), True),
        ({"labels": {"desk": "a"}}, (), True),
        ({"labels": {"desk": "b"}}, (), False),
        ({"is_on": False}, (), False),
        ({}, (Mute(mute_id=ID, until=NOW + timedelta(1), by="x", about="e1"),), False),
        ({}, (Mute(mute_id=ID, until=NOW, by="x", about="e1"),), True),
        ({}, (Mute(mute_id=ID, until=NOW + timedelta(1), by="x", labels={"desk": "b"}),), True),
    ],
)
def test_a_channel_gets_what_it_is_for(
    changes: dict[str, Any], mutes: tuple[Mute, ...], is_told: bool
) -> None:
    step = book.take(signal(labels={"desk": "a"}), None, NONE, NOW, ID)
    assert step is not None
    change = AlertChange(change=AlertChangeKind.OPENED, at=NOW, alert=step.record.view)
    channel = Channel(name="desk", secret="s", **changes)
    assert book.hearers(change, step.record, [channel], mutes) == (("desk",) if is_told else ())


def test_a_message_that_may_have_been_sent_says_so_and_has_the_same_id() -> None:
    step = book.take(signal(), None, NONE, NOW, ID)
    assert step is not None
    change = AlertChange(change=AlertChangeKind.OPENED, at=NOW, alert=step.record.view)
    made = deliveries.gathered(change, None, "desk", None, "d1")
    sent = deliveries.message(made)
    assert sent.title == "[warning] engine e1: failed"
    again = deliveries.message(deliveries.begun(made))
    assert again.title == "(repeat) [warning] engine e1: failed"
    assert again.body == sent.body
    assert sent.body.endswith("delivery d1")
    known = deliveries.failed(deliveries.begun(made), "status 503", NOW, is_unsure=False)
    assert not deliveries.message(known).title.startswith("(repeat)")


def test_every_rule_says_whom_it_is_about_and_what_to_do() -> None:
    assert all(rule.meaning and rule.remedy and rule.about in AlertAbout for rule in RULES.values())
    assert all(code == rule.code for code, rule in RULES.items())
