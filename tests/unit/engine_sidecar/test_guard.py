"""What happens to an exception that leaves a strategy."""

from typing import Any

import pytest
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.strategies.building import build_strategy
from flotilla.engine_sidecar.strategies.guard import fault_text, guarded


class Parent(Strategy):
    def on_bar(self, bar: Any) -> Any:
        return self.think(bar)

    def think(self, bar: Any) -> Any:
        if bar == "bad":
            raise ValueError("boom")
        return bar


class Child(Parent):
    calls = 0

    def on_quote_tick(self, tick: Any) -> None:
        self.calls += 1
        try:
            self.think("bad")
        except ValueError:
            return

    def on_stop(self) -> None:
        raise SystemExit(3)

    def on_save(self) -> dict[str, bytes]:
        return {"calls": b"1"}


@pytest.fixture
def faults() -> list[tuple[str, BaseException]]:
    return []


@pytest.fixture
def strategy(faults: list[tuple[str, BaseException]]) -> Any:
    return guarded(Child, lambda method, error: faults.append((method, error)))()


def test_what_a_strategy_returns_and_is_called_stays_the_same(strategy: Any) -> None:
    assert strategy.on_bar("good") == "good"
    assert type(strategy).__name__ == "Child"
    assert str(strategy.id).startswith("Child")


def test_an_exception_is_told_once_and_the_strategy_is_called_no_more(
    strategy: Any, faults: list[Any]
) -> None:
    assert strategy.on_bar("bad") is None
    assert [(method, str(error)) for method, error in faults] == [("on_bar", "boom")]
    assert strategy.on_bar("bad") is None
    assert strategy.on_bar("good") is None
    assert strategy.on_save() == {}
    assert len(faults) == 1


def test_what_a_strategy_catches_itself_is_its_own_affair(strategy: Any, faults: list[Any]) -> None:
    strategy.on_quote_tick(None)
    assert (strategy.calls, faults) == (1, [])


def test_a_method_of_its_own_is_guarded_because_a_timer_may_call_it(strategy: Any, faults: list[Any]) -> None:
    assert strategy.think("bad") is None
    assert faults[0][0] == "think"


def test_an_exit_is_an_exception_too(strategy: Any, faults: list[Any]) -> None:
    strategy.on_stop()
    assert isinstance(faults[0][1], SystemExit)


def test_a_fault_is_told_with_the_place_that_raised_it(strategy: Any, faults: list[Any]) -> None:
    strategy.on_bar("bad")
    text = fault_text(faults[0][1])
    assert text.startswith("ValueError: boom (test_guard.py:")
    assert text.endswith(")")


def test_a_strategy_id_becomes_the_tag_that_ends_it() -> None:
    plan = {
        "strategy_path": "tests.strategies_for_tests:OnBars",
        "config_path": "tests.strategies_for_tests:BarsConfig",
        "config": {"bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL", "strategy_id": "OnBars-B7"},
    }
    assert str(build_strategy(plan, lambda *_: None).id) == "OnBars-B7"
