"""Bars made by hand, run through NautilusTrader's own BacktestEngine, and the trades a strategy made on them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.engine_processes import ROOT, fill_in

DAY = 86_400 * 10**9
HOUR = 3_600 * 10**9
FIRST_DAY = 19_724 * DAY  # 2024-01-02: the close of the first bar, which is of the first of January

type Row = tuple[float, float, float, float]
type Trade = tuple[int, str, int, str]


def from_template(name: str, **parameters: Any) -> dict[str, Any]:
    """The strategy template with its defaults, on bars made by hand unless the parameters say otherwise."""
    template = json.loads((ROOT / f"templates/strategies/{name}.json").read_text())
    values = {key: parameter.get("default") for key, parameter in template["parameters"].items()}
    values |= {"instrument_id": "HAND.SIM", "bar_type": "HAND.SIM-1-DAY-LAST-EXTERNAL"} | parameters
    assert set(values) == set(template["parameters"])
    return {
        "strategy_path": template["strategy_path"],
        "config_path": template["config_path"],
        "config": fill_in(template["config"], values),
    }


class Outcome:
    """What a strategy did. Bars are counted from 1; what happens within a bar, or at its close, is of that bar."""

    def __init__(self, heard: dict[str, Any], times: list[int]) -> None:
        assert heard["faults"] == []
        self.state: str = heard["state"]
        self.orders: list[dict[str, Any]] = heard["orders"]
        self._bar_at = {ts: number for number, ts in enumerate(times, 1)}
        self.trades: list[Trade] = [
            (self._bar_at[fill["ts_event"]], fill["side"], int(fill["last_qty"]), fill["last_px"])
            for fill in heard["fills"]
        ]

    def of_type(self, order_type: str, *events: str) -> list[dict[str, Any]]:
        """The events of orders of one type."""
        return [
            event for event in self.orders if event["order_type"] == order_type and event["event"] in events
        ]

    def stops(self) -> list[tuple[int, str]]:
        """Where the stop was put, and when."""
        return [
            (self._bar_at[event["ts_event"]], event["trigger_price"])
            for event in self.of_type("STOP_MARKET", "OrderAccepted", "OrderUpdated")
        ]


class BacktestsByHand:
    """Runs backtests in a process that stays."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def run(self, strategy: dict[str, Any], rows: list[Row], *, step: int = DAY, **options: Any) -> Outcome:
        """The bars are `step` apart (ns). Options: account_type, balance, modify_rate, restart_after (so many bars)."""
        times = [FIRST_DAY + number * step for number in range(len(rows))]
        case = {"account_type": "MARGIN", "balance": 100_000, "modify_rate": "1000/00:00:01"}
        case |= {"restart_after": len(rows)} | options
        case |= {
            "strategy": strategy,
            "bars": [[ts, *map(str, row)] for ts, row in zip(times, rows, strict=True)],
        }
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(case).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the backtest failed: see its stderr"
        return Outcome(json.loads(answer), times)


@contextmanager
def backtests_by_hand() -> Iterator[BacktestsByHand]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.bar_backtests"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield BacktestsByHand(process)
    finally:
        process.communicate(timeout=20)
