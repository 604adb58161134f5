"""Engine processes as the zygote forks them: how they trade, how they stop, and what is heard of each way to fail."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flotilla.engine_sidecar.link.asking import Answer, Ask, StopStrategy
from flotilla.engine_sidecar.link.frames import (
    Ended,
    EndNow,
    GateShut,
    GoOn,
    Happened,
    Measured,
    Phase,
    Reduce,
    Run,
    Stop,
    Tick,
)
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import (
    ROOT,
    EngineProcess,
    ZygoteProcess,
    ema_cross,
    run_of,
    sandbox_node,
    zygote_process,
)
from tests.integration.engine_plans import BAR_TYPE, SLOWLY, intervened, names, strategy, until_event


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        folder,
        "--sample",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def end_of(engine: EngineProcess) -> tuple[FailureReason | None, str, tuple[str, ...], int]:
    """Why it ended, what it said to that, what it could not confirm, and its exit code."""
    ended, code = engine.until_ended()
    return ended.reason, ended.detail, ended.not_confirmed, code


def test_it_reaches_trading_by_way_of_connecting_and_reconciling(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), ema_cross()))
    engine.until_state(RunState.TRADING)
    phases = [message.state for message in engine.heard if isinstance(message, Phase)]
    assert phases == [RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING]
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    assert end_of(engine) == (None, "", (), 0)


def test_orders_fills_positions_and_balances_are_told_and_add_up(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    engine = zygote.fork(run_of(catalog, sandbox_node(), ema_cross()))
    engine.until(lambda message: isinstance(message, Measured) and engine.metrics()[-1].feeds[0].is_finished)
    engine.send(Stop(StopPolicy.FLATTEN, 5.0))
    assert end_of(engine) == (None, "", (), 0)
    fills, metrics = engine.events(EventKind.FILL), engine.metrics()[-1]
    assert metrics.fills_total == metrics.orders_total == len(fills) == 444
    assert (metrics.orders_open, metrics.positions_open, metrics.net_positions) == (0, 0, {})
    closed = [event for event in engine.events(EventKind.POSITION) if event["event"] == "PositionClosed"]
    assert metrics.positions_total == len(closed)
    profit = sum(float(event["realized_pnl"]) for event in closed)
    assert float(metrics.realized_pnl["USD"]) == pytest.approx(profit)
    assert float(metrics.balances["USD"]) == pytest.approx(1_000_000 + profit)
    assert engine.events(EventKind.ACCOUNT)[-1]["balances"][0]["total"] == metrics.balances["USD"]
    assert engine.events(EventKind.ALERT) == []


def sent_to_the_venue(engine: EngineProcess, start: int = 0) -> list[Happened]:
    """The orders that left from this frame on."""
    return [
        message
        for message in engine.heard[start:]
        if isinstance(message, Happened)
        and message.kind is EventKind.ORDER
        and json.loads(message.data)["event"] == "OrderSubmitted"
    ]


def test_after_it_has_shut_its_gate_an_engine_that_trades_sends_only_what_closes(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    engine = zygote.fork(run_of(catalog, sandbox_node(speed=86_400 * 2_000), ema_cross()))
    engine.until(lambda message: len(sent_to_the_venue(engine)) > 10)
    engine.send(Stop(StopPolicy.FLATTEN, 5.0))
    engine.until(lambda message: isinstance(message, GateShut))
    shut = len(engine.heard)
    assert end_of(engine) == (None, "", (), 0)
    held = engine.events(EventKind.POSITION)[-1]["event"]
    assert held == "PositionClosed"
    # One order closes what is held, if anything is.
    assert len(sent_to_the_venue(engine, shut)) <= 1
    assert sum(isinstance(message, GateShut) for message in engine.heard) == 1


def test_a_stop_that_comes_while_its_node_is_built_is_taken_at_once_and_nothing_is_sent(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    plan = strategy("HoldsAndRests", how="")
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), plan))
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    engine.until(lambda message: isinstance(message, GateShut))
    assert not any(isinstance(message, Phase) for message in engine.heard)
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (None, 0)
    assert sent_to_the_venue(engine) == []


class TestStopping:
    @pytest.fixture
    def cancelled(self, tmp_path: Path) -> Path:
        """A file that is there once the order is cancelled."""
        return tmp_path / "cancelled"

    @pytest.fixture
    def engine(self, zygote: ZygoteProcess, catalog: Path, cancelled: Path) -> EngineProcess:
        """It holds a position and has an order at rest."""
        plan = strategy("HoldsAndRests", how=str(cancelled))
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), plan))
        until_event(engine, EventKind.POSITION, "PositionOpened")
        until_event(engine, EventKind.ORDER, "OrderAccepted")
        return engine

    def stop(self, engine: EngineProcess, policy: StopPolicy) -> tuple[int, int]:
        engine.send(Stop(policy, 5.0))
        assert end_of(engine) == (None, "", (), 0)
        assert RunState.STOPPING in [message.state for message in engine.heard if isinstance(message, Phase)]
        return engine.metrics()[-1].orders_open, engine.metrics()[-1].positions_open

    def test_leave_leaves_both_even_when_the_strategy_would_not(self, engine: EngineProcess) -> None:
        assert self.stop(engine, StopPolicy.LEAVE) == (1, 1)
        assert "OrderCanceled" not in names(engine, EventKind.ORDER)
        assert engine.metrics()[-1].net_positions == {"SPX.SIM": "100"}

    def test_cancel_cancels_and_leaves_the_position(self, engine: EngineProcess) -> None:
        assert self.stop(engine, StopPolicy.CANCEL) == (0, 1)
        assert engine.metrics()[-1].net_positions == {"SPX.SIM": "100"}

    def test_flatten_cancels_and_closes(self, engine: EngineProcess) -> None:
        assert self.stop(engine, StopPolicy.FLATTEN) == (0, 0)
        assert names(engine, EventKind.POSITION)[-1] == "PositionClosed"

    @pytest.mark.parametrize("policy", list(StopPolicy))
    def test_what_a_strategy_sends_when_it_is_stopped_is_denied(
        self, engine: EngineProcess, policy: StopPolicy
    ) -> None:
        self.stop(engine, policy)
        last = engine.events(EventKind.ORDER)[-1]
        assert (last["event"], last["reason"]) == ("OrderDenied", "the engine is stopping")

    def test_sigterm_cancels(self, engine: EngineProcess) -> None:
        os.kill(engine.pid, signal.SIGTERM)
        assert end_of(engine) == (None, "SIGTERM", (), 0)
        assert engine.metrics()[-1].orders_open == 0

    def test_sigint_is_for_the_sidecar_alone(self, engine: EngineProcess) -> None:
        os.kill(engine.pid, signal.SIGINT)
        self.stop(engine, StopPolicy.LEAVE)

    def test_a_lost_sidecar_has_it_cancel_and_exit(self, engine: EngineProcess, cancelled: Path) -> None:
        engine.link.close()
        assert engine.until_exited() == 0
        assert cancelled.exists()

    def test_a_lost_sidecar_takes_the_log_with_it_but_not_the_engine(
        self, engine: EngineProcess, cancelled: Path
    ) -> None:
        engine.lose()
        assert engine.until_exited() == 0
        assert cancelled.exists()

    def test_what_a_venue_does_not_confirm_is_never_claimed(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        run = run_of(catalog, sandbox_node(**SLOWLY), strategy("HoldsAndRests"))
        run.plan.exec_factories["SIM"] = "tests.venues_for_tests:SandboxLiveExecClientFactory"
        engine = zygote.fork(run)
        until_event(engine, EventKind.POSITION, "PositionOpened")
        until_event(engine, EventKind.ORDER, "OrderAccepted")
        began = time.monotonic()
        engine.send(Stop(StopPolicy.FLATTEN, 3.0))
        ended, code = engine.until_ended()
        assert time.monotonic() - began < 4.0
        assert (ended.reason, code) == (None, 0)
        resting, closing, position = sorted(ended.not_confirmed)
        assert resting.startswith("order O-")
        assert resting.endswith("-2 still pending_cancel")  # the strategy asked too, when it was stopped
        assert closing.endswith("-3 still submitted")
        assert position == "position SPX.SIM-HoldsAndRests-000 still open: 100 SPX.SIM"

    def test_a_rate_limit_keeps_no_engine_in_the_market(self, zygote: ZygoteProcess, catalog: Path) -> None:
        node = sandbox_node(**SLOWLY)
        node["risk_engine"]["max_order_submit_rate"] = "1/00:01:00"
        engine = zygote.fork(run_of(catalog, node, strategy("BuysEachBar")))
        until_event(engine, EventKind.POSITION, "PositionOpened")
        until_event(engine, EventKind.ORDER, "OrderDenied")
        engine.send(Stop(StopPolicy.FLATTEN, 10.0))
        ended, _ = engine.until_ended()
        assert ended.stop is not None
        assert (ended.stop.is_flat, ended.not_confirmed) == (True, ())

    def test_a_second_stop_changes_nothing(self, engine: EngineProcess) -> None:
        engine.send(Stop(StopPolicy.LEAVE, 5.0))
        assert self.stop(engine, StopPolicy.FLATTEN) == (1, 1)


class TestCommandsWhileItTrades:
    def test_cancel_orders_cancels_and_trading_goes_on(self, zygote: ZygoteProcess, catalog: Path) -> None:
        plans = strategy("HoldsAndRests"), strategy("BuysEachBar", bar_type=BAR_TYPE.replace("SPX", "IXIC"))
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), *plans))
        until_event(engine, EventKind.ORDER, "OrderAccepted")
        answer = intervened(engine, StopPolicy.CANCEL)
        assert (answer.orders_cancelled, answer.not_confirmed) == (1, ())
        assert "cancel_confirmed" in [alert["code"] for alert in engine.events(EventKind.ALERT)]
        assert "OrderCanceled" in names(engine, EventKind.ORDER)
        until_event(engine, EventKind.ORDER, "OrderFilled")
        engine.send(Stop(StopPolicy.FLATTEN, 5.0))
        assert end_of(engine) == (None, "", (), 0)

    def test_flatten_closes_and_strategies_go_on(self, zygote: ZygoteProcess, catalog: Path) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("BuysEachBar")))
        until_event(engine, EventKind.POSITION, "PositionOpened")
        answer = intervened(engine, StopPolicy.FLATTEN)
        assert (answer.positions_closed, answer.not_confirmed) == (1, ())
        assert "flatten_confirmed" in [alert["code"] for alert in engine.events(EventKind.ALERT)]
        assert "PositionClosed" in names(engine, EventKind.POSITION)
        until_event(engine, EventKind.POSITION, "PositionOpened")
        engine.send(Stop(StopPolicy.FLATTEN, 5.0))
        assert end_of(engine) == (None, "", (), 0)
        assert engine.metrics()[-1].positions_open == 0

    def test_flatten_at_full_speed_is_confirmed_too(self, zygote: ZygoteProcess, catalog: Path) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(), strategy("BuysEachBar")))
        until_event(engine, EventKind.POSITION, "PositionOpened")
        engine.send(Stop(StopPolicy.FLATTEN, 5.0))
        assert end_of(engine) == (None, "", (), 0)
        assert engine.metrics()[-1].positions_open == 0
        assert not engine.metrics()[-1].feeds[0].is_finished

    def test_an_engine_that_reduces_lets_strategies_close_but_not_open(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("TakesTurns")))
        until_event(engine, EventKind.POSITION, "PositionOpened")
        engine.send(Reduce())
        until_event(engine, EventKind.POSITION, "PositionClosed")
        for _ in range(4):
            until_event(engine, EventKind.ORDER, "OrderDenied")
        denied = [event for event in engine.events(EventKind.ORDER) if event["event"] == "OrderDenied"]
        assert {event["side"] for event in denied} == {"BUY", "SELL"}
        assert {event["reason"] for event in denied} == {"only orders that reduce a position pass"}
        assert names(engine, EventKind.POSITION)[-1] == "PositionClosed"
        engine.send(GoOn())
        until_event(engine, EventKind.POSITION, "PositionOpened")
        engine.send(Stop(StopPolicy.FLATTEN, 5.0))
        assert end_of(engine) == (None, "", (), 0)

    def test_an_intervention_does_not_give_a_reducing_engine_its_freedom_back(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("BuysEachBar")))
        until_event(engine, EventKind.POSITION, "PositionOpened")
        engine.send(Reduce())
        intervened(engine, StopPolicy.FLATTEN)
        assert "flatten_confirmed" in [alert["code"] for alert in engine.events(EventKind.ALERT)]
        until_event(engine, EventKind.ORDER, "OrderDenied")
        until_event(engine, EventKind.ORDER, "OrderDenied")
        assert names(engine, EventKind.POSITION)[-1] == "PositionClosed"
        engine.send(Stop(StopPolicy.FLATTEN, 5.0))
        assert end_of(engine) == (None, "", (), 0)


class TestFailing:
    @pytest.mark.parametrize(
        ("how", "method", "what"),
        [
            ("bar", "on_bar", "ValueError: boom on a bar"),
            ("start", "on_start", "ValueError: boom at the start"),
            ("timer", "tick", "ValueError: boom in the timer"),
        ],
    )
    def test_a_strategy_that_raises_ends_the_engine_with_its_error(
        self, zygote: ZygoteProcess, catalog: Path, how: str, method: str, what: str
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("Raises", how=how)))
        ended, code = engine.until_ended()
        assert (ended.reason, code) == (FailureReason.STRATEGY, 1)
        assert ended.detail.startswith(f"Raises-000 raised in {method}: {what} (strategies_for_tests.py:")
        assert ended.not_confirmed == ()
        assert any(what.partition(": ")[2] in line for line in engine.log)
        assert engine.metrics()[-1].orders_open == 0

    def test_a_strategy_that_exits_has_crashed_the_engine_and_its_orders_are_cancelled(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("Raises", how="exit")))
        ended, code = engine.until_ended()
        assert (ended.reason, code) == (FailureReason.CRASH, 1)
        assert ended.detail.startswith("Raises-000 exited with 3 in on_bar: SystemExit: 3 (")
        assert ended.not_confirmed == ()
        assert engine.metrics()[-1].orders_open == 0

    def test_a_strategy_that_raises_when_it_is_stopped_does_not_hold_the_stop_up(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("Raises", how="stop")))
        engine.until_state(RunState.TRADING)
        engine.send(Stop(StopPolicy.FLATTEN, 5.0))
        ended, code = engine.until_ended()
        assert (ended.reason, ended.not_confirmed, code) == (None, (), 0)
        assert any("boom at the stop" in line for line in engine.log)

    def test_an_endless_loop_is_seen_from_outside_and_ended_by_a_kill(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(), strategy("LoopsForever")))
        engine.until(lambda message: isinstance(message, Tick) and message.loop_age_s > 1.5)
        ages = [message.loop_age_s for message in engine.heard if isinstance(message, Tick)][-4:]
        assert ages == sorted(ages)
        os.kill(engine.pid, signal.SIGKILL)
        assert engine.until_exited() == -signal.SIGKILL

    def test_an_endless_loop_does_not_outlive_the_sidecar_for_long(
        self, zygote: ZygoteProcess, catalog: Path
    ) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(), strategy("LoopsForever"), stop_timeout_s=0.5))
        engine.until(lambda message: isinstance(message, Tick) and message.loop_age_s > 0.5)
        engine.link.close()
        assert engine.until_exited() == 1

    def test_a_strategy_may_shut_the_engine_down_in_order(self, zygote: ZygoteProcess, catalog: Path) -> None:
        engine = zygote.fork(run_of(catalog, sandbox_node(), strategy("ShutsDown")))
        assert end_of(engine) == (None, "shut down by ShutsDown-000: had enough", (), 0)

    def test_a_venue_that_never_connects_is_named(self, zygote: ZygoteProcess, catalog: Path) -> None:
        node = sandbox_node() | {"timeout_connection": 0.5}
        node["data_clients"]["FAR"] = {
            "path": "nautilus_trader.config:LiveDataClientConfig",
            "factory": {"path": "tests.venues_for_tests:NeverConnectsFactory"},
            "config": {},
        }
        ended, code = zygote.fork(run_of(catalog, node, ema_cross())).until_ended()
        assert (ended.reason, code) == (FailureReason.VENUE, 1)
        assert ended.detail == "did not connect in time: NeverConnects FAR"

    def test_bars_made_by_the_wall_clock_are_refused(self, zygote: ZygoteProcess, catalog: Path) -> None:
        ended, code = zygote.fork(run_of(catalog, sandbox_node(), strategy("MakesTimeBars"))).until_ended()
        assert (ended.reason, code) == (FailureReason.CONFIG, 78)
        assert (
            "SPX.SIM-1-MINUTE-LAST-INTERNAL is made inside NautilusTrader by the wall clock" in ended.detail
        )

    def test_a_first_frame_that_is_no_run_is_refused(self, zygote: ZygoteProcess) -> None:
        engine = EngineProcess(zygote)
        engine.send(Reduce())
        assert engine.until_ended() == (Ended(FailureReason.CONFIG, "expected what to run, not Reduce"), 78)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The sandbox node with the field at `path` set."""
    node = inner = sandbox_node()
    *parents, last = path.split("/")
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return node


BAD_PLANS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any], str]] = {
    "an unknown key": (changed("colour", "red"), [], {}, "colour"),
    "an unknown key of a client": (changed("data_clients/SIM/config/colour", 1), [], {}, "colour"),
    "a log level": (changed("logging/log_level", "LOUD"), [], {}, "LOUD"),
    "an oms type": (changed("exec_clients/SIM/config/oms_type", "ODD"), [], {}, "oms_type"),
    "an account type": (changed("exec_clients/SIM/config/account_type", "ODD"), [], {}, "account_type"),
    "a currency": (changed("exec_clients/SIM/config/starting_balances", ["5 XXQ"]), [], {}, "XXQ"),
    "a balance": (changed("exec_clients/SIM/config/starting_balances", ["-5 USD"]), [], {}, "-5 USD"),
    "a speed": (changed("data_clients/SIM/config/speed", -1), [], {}, "speed"),
    "a start after the end": (sandbox_node(start="2010-01-02", end="2010-01-01"), [], {}, "after"),
    "a start that is no time": (sandbox_node(start="soon"), [], {}, "soon"),
    "a trader id": (sandbox_node(trader_id="OTHER-001"), [], {}, "trader_id"),
    "no data client": (changed("data_clients", {}), [], {}, "data_clients"),
    "no factory": (changed("data_clients/SIM/factory", None), [], {}, "factory"),
    "a second replay": (
        changed("data_clients/X", sandbox_node()["data_clients"]["SIM"]),
        [],
        {},
        "one replay",
    ),
    "a missing module": (changed("data_clients/SIM/path", "nowhere:Config"), [], {}, "nowhere"),
    "strategies in the node": (changed("strategies", [{}]), [], {}, "strategies"),
    "a class that is not there": (sandbox_node(), [strategy("Absent")], {}, "Absent"),
    "a class that is no strategy": (sandbox_node(), [strategy("Decimal")], {}, "no Strategy"),
    "a path without a colon": (
        sandbox_node(),
        [{"strategy_path": "x", "config_path": "y", "config": {}}],
        {},
        "module:Class",
    ),
    "a missing field": (sandbox_node(), [strategy("OnBars") | {"config": {}}], {}, "bar_type"),
    "an unknown field": (sandbox_node(), [strategy("OnBars", colour="red")], {}, "colour"),
    "a bar type": (sandbox_node(), [strategy("OnBars", bar_type="SPX")], {}, "SPX"),
    "NaN": (sandbox_node(), [strategy("OnBars", size="NaN")], {}, "finite"),
    "a strategy's oms type": (sandbox_node(), [strategy("OnBars", oms_type="ODD")], {}, "oms_type"),
    "the same tag twice": (
        sandbox_node(),
        [strategy("OnBars", order_id_tag="A"), strategy("OnBars", order_id_tag="A")],
        {},
        "strategies[1]",
    ),
    "a constructor that raises": (sandbox_node(), [strategy("RaisesInConstructor")], {}, "boom"),
    "averages in the wrong order": (sandbox_node(), [ema_cross(fast_ema_period=30)], {}, "strategies[0]"),
    "no execution factory": (sandbox_node(), [], {"exec_factories": {}}, "exec_factories"),
    "a factory that is none": (sandbox_node(), [], {"exec_factories": {"SIM": "json:loads"}}, "json:loads"),
    "an instrument that is not there": (sandbox_node(), [], {"instruments": ("DAX.SIM",)}, "DAX.SIM"),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_a_bad_plan_is_refused_in_words(zygote: ZygoteProcess, catalog: Path, case: str) -> None:
    node, strategies, plan_fields, said = BAD_PLANS[case]
    run = run_of(catalog, node, *strategies)
    plan = type(run.plan)(
        **{field: getattr(run.plan, field) for field in run.plan.__struct_fields__} | plan_fields
    )
    fields = {field: getattr(run, field) for field in run.__struct_fields__}
    ended, code = zygote.fork(Run(**fields | {"plan": plan})).until_ended()
    assert (ended.reason, code) == (FailureReason.CONFIG, 78)
    assert ended.detail.startswith("plan.")
    assert said in ended.detail


def test_a_replay_may_stop_the_engine_at_its_end(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node(on_end="stop", start="2018-01-01")
    engine = zygote.fork(run_of(catalog, node, strategy("HoldsAndRests"), stop_policy=StopPolicy.FLATTEN))
    ended, code = engine.until_ended()
    assert (ended.reason, ended.detail, ended.not_confirmed, code) == (None, "the replay is finished", (), 0)
    assert ended.is_completed
    at_end = next(metrics for metrics in engine.metrics() if metrics.feeds[0].is_finished)
    assert at_end.positions_open == 1
    metrics = engine.metrics()[-1]
    assert metrics.feeds[0].is_finished
    assert metrics.feeds[0].events == metrics.feeds[0].total == 251
    assert (metrics.orders_open, metrics.positions_open) == (0, 0)


def test_the_sandbox_fills_on_the_bars_of_a_live_venue_too(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node()
    node["data_clients"]["SIM"] = {
        "path": "tests.venues_for_tests:PlaysBarsConfig",
        "factory": {"path": "tests.venues_for_tests:PlaysBarsFactory"},
        "config": {"catalog_path": str(catalog)},
    }
    engine = zygote.fork(run_of(catalog, node, strategy("BuysEachBar")))
    until_event(engine, EventKind.POSITION, "PositionChanged")
    engine.send(Stop(StopPolicy.FLATTEN, 5.0))
    assert end_of(engine) == (None, "", (), 0)
    assert "OrderRejected" not in names(engine, EventKind.ORDER)
    assert engine.metrics()[-1].positions_open == 0


def test_a_live_feed_is_counted_and_has_an_age(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node()
    node["data_clients"]["SIM"] = {
        "path": "tests.venues_for_tests:PlaysBarsConfig",
        "factory": {"path": "tests.venues_for_tests:PlaysBarsFactory"},
        "config": {"catalog_path": str(catalog)},
    }
    engine = zygote.fork(run_of(catalog, node, strategy("OnBars")))
    engine.until(lambda _: engine.metrics() and engine.metrics()[-1].feeds[0].events > 50)
    feed = engine.metrics()[-1].feeds[0]
    assert (feed.venue, feed.is_connected, feed.age_s is not None and feed.age_s < 5) == ("SIM", True, True)
    assert feed.last_ts_event
    assert engine.metrics()[-1].not_connected == ()
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    assert end_of(engine) == (None, "", (), 0)


def test_a_venue_at_whose_address_nobody_listens_is_no_venue_that_is_traded_on(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    """Binance's client calls itself connected without having reached anything, unless it is asked for an instrument."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    node = sandbox_node()
    node["data_clients"] = {
        "BINANCE": {
            "path": "nautilus_trader.adapters.binance.config:BinanceDataClientConfig",
            "factory": {"path": "nautilus_trader.adapters.binance.factories:BinanceLiveDataClientFactory"},
            "config": {"base_url_http": f"http://127.0.0.1:{port}", "base_url_ws": f"ws://127.0.0.1:{port}"},
        }
    }
    plan = strategy("OnBars", bar_type="BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
    ended, _ = zygote.fork(run_of(catalog, node, plan)).until_ended(40)
    assert ended.reason is FailureReason.VENUE
    assert "did not connect: BinanceSpotDataClient BINANCE" in ended.detail
    assert "Connection refused" in ended.detail


def test_a_stop_before_venues_are_connected_claims_nothing(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node() | {"timeout_connection": 30.0}
    node["data_clients"]["FAR"] = {
        "path": "nautilus_trader.config:LiveDataClientConfig",
        "factory": {"path": "tests.venues_for_tests:NeverConnectsFactory"},
        "config": {},
    }
    engine = zygote.fork(run_of(catalog, node, ema_cross()))
    engine.until_state(RunState.CONNECTING)
    engine.send(EndNow(5.0))
    ended, code = engine.until_ended(10.0)
    assert (ended.reason, code) == (None, 0)
    assert ended.stop is not None
    assert not ended.stop.is_flat
    assert "had not compared orders and positions" in ended.not_confirmed[0]


def test_data_that_does_not_fit_its_instrument_ends_the_engine_with_the_reason(
    zygote: ZygoteProcess, catalog: Path, tmp_path: Path
) -> None:
    shutil.copytree(catalog, tmp_path / "catalog")
    bars = tmp_path / "catalog/data/bar"
    (file,) = (bars / BAR_TYPE).glob("*.parquet")
    table = pq.read_table(file)
    metadata = dict(table.schema.metadata) | {b"price_precision": b"3"}
    pq.write_table(table.replace_schema_metadata(metadata), file)
    ended, code = zygote.fork(run_of(tmp_path / "catalog", sandbox_node(), ema_cross())).until_ended()
    assert (ended.reason, code) == (FailureReason.CRASH, 1)
    assert "did not match instrument.price_precision=2" in ended.detail


def test_a_subscription_without_data_is_told(zygote: ZygoteProcess, catalog: Path) -> None:
    engine = zygote.fork(
        run_of(catalog, sandbox_node(), strategy("OnBars", bar_type="SPX.SIM-1-HOUR-LAST-EXTERNAL"))
    )
    engine.until(lambda _: engine.metrics() and engine.metrics()[-1].feeds[0].not_there)
    assert engine.metrics()[-1].feeds[0].not_there == ("Bar of SPX.SIM-1-HOUR-LAST-EXTERNAL",)
    assert "no Bar of SPX.SIM-1-HOUR-LAST-EXTERNAL" in engine.events(EventKind.ALERT)[0]["message"]
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    assert end_of(engine) == (None, "", (), 0)


def test_a_replay_that_has_nothing_to_play_is_refused_and_not_completed(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    plan = strategy("OnBars", bar_type="SPX.SIM-1-HOUR-LAST-EXTERNAL")
    ended, code = zygote.fork(run_of(catalog, sandbox_node(on_end="stop"), plan)).until_ended()
    assert (ended.reason, ended.is_completed, code) == (FailureReason.CONFIG, False, 78)
    assert "the catalog has no Bar of SPX.SIM-1-HOUR-LAST-EXTERNAL" in ended.detail


def test_a_replay_whose_strategy_was_stopped_is_not_through(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node(on_end="stop", **SLOWLY)
    engine = zygote.fork(run_of(catalog, node, strategy("OnBars")))
    engine.until_state(RunState.TRADING)
    engine.send(Ask(1, StopStrategy("OnBars-000", StopPolicy.LEAVE, 5.0)))
    engine.until(lambda message: isinstance(message, Answer))
    engine.until(lambda message: isinstance(message, Measured))
    engine.until(lambda message: isinstance(message, Measured))
    assert not engine.metrics()[-1].feeds[0].is_finished
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    ended, _ = engine.until_ended()
    assert not ended.is_completed


def test_a_strategy_that_stops_itself_at_its_start_is_measured_before_the_engine_says_that_it_started(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    plan = ema_cross(instrument_id="DAX.SIM", bar_type=BAR_TYPE.replace("SPX", "DAX"))
    engine = zygote.fork(run_of(catalog, sandbox_node(), plan))
    engine.until_state(RunState.TRADING)
    measured = engine.metrics()[-1]
    assert measured.strategies == {"EMACross-000": "STOPPED"}
    assert measured.not_loaded == ("strategy EMACross-000 names DAX.SIM, which is not loaded",)
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    assert end_of(engine) == (None, "", (), 0)


def test_history_ends_where_the_replay_is(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node(start="1999-02-01", end="1999-03-31", on_end="stop")
    engine = zygote.fork(run_of(catalog, node, strategy("AsksForHistory")))
    engine.until_ended()
    asked = [line.partition("history ")[2] for line in engine.log if "history " in line]
    before = [line for line in asked if line.startswith("at the start")]
    later = [line for line in asked if line.startswith("on bar ten")]
    assert len(before) == 19  # the trading days of January after New Year
    assert len(later) == 29


def test_two_engines_trade_apart_and_one_outlives_the_other(zygote: ZygoteProcess, catalog: Path) -> None:
    first, second = (
        zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("BuysEachBar"))) for _ in "ab"
    )
    until_event(first, EventKind.ORDER, "OrderFilled")
    os.kill(first.pid, signal.SIGKILL)
    assert first.until_exited() == -signal.SIGKILL
    fills = len(second.events(EventKind.FILL))
    second.until(lambda message: len(second.events(EventKind.FILL)) > fills + 3)
    second.send(Stop(StopPolicy.FLATTEN, 5.0))
    assert end_of(second) == (None, "", (), 0)


def test_without_its_zygote_an_engine_trades_on_until_its_link_closes(catalog: Path) -> None:
    with zygote_process() as zygote:
        engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("BuysEachBar")))
        until_event(engine, EventKind.ORDER, "OrderFilled")
        zygote.socket.close()
        assert zygote.process.wait(10) == 0
        fills = len(engine.events(EventKind.FILL))
        engine.until(lambda message: len(engine.events(EventKind.FILL)) > fills + 2)
        engine.link.close()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{engine.pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not Path(f"/proc/{engine.pid}").exists() or _is_zombie(engine.pid)


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_the_engine_is_the_first_that_the_kernel_takes_for_memory(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), ema_cross()))
    engine.until_state(RunState.TRADING)
    assert Path(f"/proc/{engine.pid}/oom_score_adj").read_text().strip() == "1000"
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    engine.until_ended()
