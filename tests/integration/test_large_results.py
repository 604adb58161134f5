"""A result with many fills and the longest equity curve is recorded and read back whole, and costs its worker little memory.

`FLOTILLA_LARGE_QUOTES=80000` makes 20,000 fills of it.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.instruments import new_instrument
from flotilla.schemas.backtest import MAX_CURVE_POINTS, BacktestConfig, BacktestStatus, ResultPart
from tests.integration.backtest_bench import BacktestBench, backtests, children_of, until
from tests.tick_catalog import quote, walk

__all__ = ["backtests"]

QUOTES = int(os.environ.get("FLOTILLA_LARGE_QUOTES", "8000"))
SLACK_KB = 48 << 10


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    made = ParquetDataCatalog(str(tmp_path / "catalog"))
    made.write_data([new_instrument(InstrumentId.from_str("ACME.SIM"), 2, 0, "USD")])
    made.write_data([quote("ACME.SIM", ts, price) for ts, price in walk(QUOTES, (1, 2, 3), 5)])
    return tmp_path / "catalog"


def peak_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def whole(bench: BacktestBench, backtest_id: str, part: ResultPart) -> list[Any]:
    entries: list[Any] = []
    while page := await bench.part(backtest_id, part, offset=len(entries), limit=5_000):
        entries += page
    return entries


async def test_a_large_result_is_recorded_and_read_back_whole(backtests: BacktestBench) -> None:
    config = {
        "strategy_class": "tests.trial_strategies:TradesOnEverything",
        "strategy_config": {"instruments": ["ACME.SIM"], "order_id_tag": "001"},
        "start_date": "2020-09-13",
        "end_date": "2020-09-18",
        "instruments": ["ACME.SIM"],
        "tick_data": True,
        "commission": 0.25,
        "timeout_s": 900.0,
    }
    small = config | {"end_date": "2020-09-13T12:30:00"}
    await backtests.run("small", msgspec.convert(small, BacktestConfig))
    await backtests.status("small", BacktestStatus.COMPLETED)
    below = [pid for shim in backtests.workers() for pid in children_of(shim)]
    sidecar = next(pid for pid in below if b"engine_sidecar" in command(pid))
    before = peak_kb(sidecar)
    await backtests.run("large", msgspec.convert(config, BacktestConfig))
    done = await until(lambda: backtests.get("large"), lambda view: view.status.is_final, within_s=900)
    assert done.status is BacktestStatus.COMPLETED, done
    used = peak_kb(sidecar) - before

    fills = await whole(backtests, "large", ResultPart.FILLS)
    orders = await whole(backtests, "large", ResultPart.ORDERS)
    curve = await whole(backtests, "large", ResultPart.EQUITY_CURVE)
    (fees,) = await backtests.part("large", ResultPart.FEES)
    print(
        f"{len(fills)} fills, {len(orders)} orders, {len(curve)} points, {used} kB more than {before} in the worker"
    )
    assert done.events == QUOTES
    assert len(fills) > QUOTES // 6
    assert len({fill["trade_id"] for fill in fills}) == len(fills)
    assert {fill["client_order_id"] for fill in fills} <= {order["client_order_id"] for order in orders}
    assert Decimal(fees["USD"]) == sum(Decimal(fill["commission"]) for fill in fills)
    # And the ends of its days: it begins and ends within one.
    assert 0.9 * MAX_CURVE_POINTS < len(curve) <= MAX_CURVE_POINTS + 5
    assert used < SLACK_KB
