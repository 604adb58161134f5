"""`backtest verify` on a real stack: equal for an untouched run, else it names the data, code or parameters that were changed."""

import json
import os
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from flotilla.embedded.postgres import PostgresServer
from schemas.backtest import Outcome
from tests.e2e.stacks import RunningStack, until

BARS = "TOY.SIM-1-DAY-LAST-EXTERNAL"
STRATEGY = """
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy
from nautilus_trader.model.data import BarType

class TurnsConfig(StrategyConfig, frozen=True):
    bar_type: BarType
    every: int = 5

class Turns(Strategy):
    def on_start(self):
        self.bars = 0
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar):
        self.bars += 1
        if self.bars % self.config.every == 0:
            side = OrderSide.BUY if self.bars // self.config.every % 2 else OrderSide.SELL
            instrument = self.cache.instrument(bar.bar_type.instrument_id)
            self.submit_order(self.order_factory.market(instrument.id, side, instrument.make_qty(10)))
"""


class Bench:
    """A stack with data and a strategy of its own, both of which can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
        self.stack = RunningStack(
            "process", env={"PYTHONPATH": path, "FLOTILLA_STRATEGY_MODULES": "my_turns"}
        )
        self.write(STRATEGY)

    def write(self, source: str) -> None:
        (self.folder / "my_turns.py").write_text(source)

    def bring_in(self, *, changed: float = 0.0) -> None:
        """Puts a hundred days into the catalog as the only data; the price of the 50th is `changed` by so much."""
        rows = ["timestamp,open,high,low,close,volume"]
        for day in range(100):
            price = f"{100.25 + day % 7 + (changed if day == 49 else 0.0):.2f}"
            month, of_month = divmod(day, 25)
            rows.append(f"2020-{month + 1:02}-{of_month + 1:02},{price},{price},{price},{price},1000")
        file = self.folder / "toy.csv"
        file.write_text("\n".join(rows))
        for old in (self.stack.folder.root / "catalog/data").glob("bar/TOY.SIM-*/*.parquet"):
            old.unlink()
        options = ("--type", "bars", "--instrument", "TOY.SIM", "--bar-type", BARS, "--timezone", "UTC")
        done = self.stack.cli("data", "import", str(file), *options)
        assert done.returncode == 0, done.stderr

    def run(self, name: str) -> None:
        options = ("--strategy-class", "my_turns:Turns", "--param", f"bar_type={BARS}", "--bar-type", BARS)
        done = self.stack.cli("backtest", "run", name, *options)
        assert done.returncode == 0, done.stderr

    def verify(self, name: str, code: int) -> dict[str, Any]:
        """The differences that are told, by where."""
        done = self.stack.cli("--json", "backtest", "verify", name)
        assert done.returncode == code, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["is_equal"] is (code == 0)
        return {each["where"]: (each["first"], each["second"]) for each in told["differences"]}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("mine"))
    made.stack.start()
    made.bring_in()
    yield made
    made.stack.remove()


@pytest.fixture(autouse=True)
def untouched(bench: Bench) -> Iterator[None]:
    """Each test puts back what it changed."""
    yield
    bench.write(STRATEGY)


def test_an_untouched_run_is_equal(bench: Bench) -> None:
    bench.run("same")
    assert bench.verify("same", 0) == {}


def test_code_that_trades_otherwise_is_named_with_both_hashes_and_the_first_fill(bench: Bench) -> None:
    bench.run("code")
    bench.write(STRATEGY.replace("make_qty(10)", "make_qty(20)"))
    found = bench.verify("code", 1)
    assert next(iter(found)) == "strategy_sources[my_turns]"
    then, now = found["strategy_sources[my_turns]"]
    assert then != now
    assert found["fills[0].last_qty"] == ("10", "20")
    shown = bench.stack.cli("backtest", "verify", "code")
    assert shown.returncode == 1
    assert f"code  my_turns, SHA-256\n    then  {then}\n    now   {now}" in shown.stdout
    assert "fills[0].last_qty\n    then  10\n    now   20" in shown.stdout


def test_a_comment_is_a_change_of_the_code_and_of_nothing_else(bench: Bench) -> None:
    bench.run("comment")
    bench.write(STRATEGY + "# nothing\n")
    assert list(bench.verify("comment", 1)) == ["strategy_sources[my_turns]"]


def test_one_changed_price_is_named_with_its_file_and_the_first_fill(bench: Bench) -> None:
    bench.run("prices")
    bench.bring_in(changed=0.5)
    found = bench.verify("prices", 1)
    (file,) = [where for where in found if where.startswith("files[")]
    assert file.startswith(f"files[data/bar/{BARS}/")
    assert {len(digest) for digest in found[file]} == {64}
    (first, *_) = [where for where in found if where.startswith("fills[")]
    then, now = found[first]
    assert first.endswith(".last_px")
    assert float(now) - float(then) == 0.5
    bench.bring_in()


async def test_parameters_that_were_changed_on_record_are_named(bench: Bench) -> None:
    bench.run("parameters")
    connection = await asyncpg.connect(PostgresServer(bench.stack.folder.root / "postgres").dsn)
    try:
        packed = await connection.fetchval("select body from results where backtest_id = 'parameters'")
        outcome = msgspec.json.decode(zlib.decompress(packed), type=Outcome)
        outcome.manifest.plan.strategies[0]["config"]["every"] = 10
        changed = zlib.compress(msgspec.json.encode(outcome))
        await connection.execute("update results set body = $1 where backtest_id = 'parameters'", changed)
    finally:
        await connection.close()
    # An orchestrator that has just shown the result has it in memory.
    old = bench.stack.pid_of("orchestrator")
    assert old is not None
    os.kill(old, signal.SIGKILL)
    until(lambda: bench.stack.pid_of("orchestrator") not in (None, old), 30, "another orchestrator")
    until(lambda: bench.stack.cli("backtest", "show", "parameters").returncode == 0, 30, "its answer")
    found = bench.verify("parameters", 1)
    assert found["plan.strategies[0].config.every"] == (None, 10)
    assert "fills.length" in found
