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

from flotilla.schemas.backtest import Outcome
from flotilla.stack.servers.postgres import PostgresServer
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

    def forget(self, name: str) -> None:
        """An orchestrator that has just shown a result has it in memory: has another one read it from the record."""
        old = self.stack.pid_of("orchestrator")
        assert old is not None
        os.kill(old, signal.SIGKILL)
        until(lambda: self.stack.pid_of("orchestrator") not in (None, old), 30, "another orchestrator")
        until(lambda: self.stack.cli("backtest", "show", name).returncode == 0, 30, "its answer")

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
    shown = bench.stack.cli("backtest", "verify", "comment")
    assert "only comments, docstrings or formatting changed in my_turns" in shown.stdout


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
    bench.forget("parameters")
    found = bench.verify("parameters", 1)
    assert found["plan.strategies[0].config.every"] == (None, 10)
    assert "fills.length" in found


LATER_METRICS = ("max_drawdown_days", "final_equity", "information_ratio", "alpha", "beta")
OLD_METRICS = {
    "total_return": 0.5,
    "annualized_return": 7.0,
    "sharpe_ratio": 2.5,
    "sortino_ratio": 121_660.0,
    "max_drawdown": 0.0,
    "win_rate": 1.0,
    "profit_factor": None,
    "volatility": 0.2,
    "total_trades": 10,
    "winning_trades": 10,
    "losing_trades": 0,
    "average_win": 1.0,
    "average_loss": None,
    "largest_win": 2.0,
    "largest_loss": None,
    "calmar_ratio": None,
}
"""All that metrics had before figures had versions: NautilusTrader's, of realized returns."""
OLD_RESULT = {
    "currency",
    "metrics",
    "trades",
    "orders",
    "fills",
    "equity_curve",
    "statistics",
    "balances",
    "fees",
}
OLD_PLAN = {"engine", "venues", "data", "instruments", "strategies", "start_ns", "end_ns"}


def as_before(outcome: dict[str, Any]) -> dict[str, Any]:
    """What was put on record of the same run before figures had versions."""
    result, manifest = outcome["result"], outcome["manifest"]
    older = {name: result[name] for name in (*OLD_RESULT, "events", "elapsed_s")}
    older |= {"metrics": OLD_METRICS, "equity_curve": result["equity_curve"][::2]}
    plan = {name: manifest["plan"][name] for name in OLD_PLAN if name in manifest["plan"]}
    return outcome | {"result": older, "manifest": manifest | {"plan": plan}}


async def put_on_record_as_before(bench: Bench, name: str) -> None:
    connection = await asyncpg.connect(PostgresServer(bench.stack.folder.root / "postgres").dsn)
    try:
        packed = await connection.fetchval("select body from results where backtest_id = $1", name)
        body = zlib.compress(json.dumps(as_before(json.loads(zlib.decompress(packed)))).encode())
        await connection.execute("update results set body = $2 where backtest_id = $1", name, body)
        row = await connection.fetchrow(
            "select config, facts, work from backtests where backtest_id = $1", name
        )
        config, facts, work = (json.loads(row[column]) for column in ("config", "facts", "work"))
        config = {key: value for key, value in config.items() if key != "timezone"} | {"base_currency": "USD"}
        facts = {key: value for key, value in facts.items() if key != "summary"} | {"metrics": OLD_METRICS}
        for name_of_later in ("timezone", "benchmark"):
            work["plan"].pop(name_of_later, None)
        await connection.execute(
            "update backtests set config = $2, facts = $3, work = $4 where backtest_id = $1",
            name,
            *map(json.dumps, (config, facts, work)),
        )
    finally:
        await connection.close()
    bench.forget(name)


async def test_a_worker_of_services_from_before_is_replaced_before_it_is_given_work(bench: Bench) -> None:
    """It runs on while the services are exchanged, and would throw away what it cannot read, or count as it did before."""
    bench.run("last-of-before")
    before = worker_session(bench)
    connection = await asyncpg.connect(PostgresServer(bench.stack.folder.root / "postgres").dsn)
    try:
        unmarked = "update sessions set spec = spec::jsonb #- '{worker,trial_format}' where session_id = $1 returning spec"
        spec = json.loads(await connection.fetchval(unmarked, before))
    finally:
        await connection.close()
    assert "slots" in spec["worker"]
    bench.forget("last-of-before")
    until(lambda: worker_session(bench) != before, 30, "another worker")
    bench.run("first-of-now")
    assert bench.verify("first-of-now", 0) == {}


def worker_session(bench: Bench) -> str:
    """The session of the stack's only worker."""
    engines = bench.stack.json("engine", "ls")["engines"]
    (worker,) = [each for each in engines if each["instance_id"].startswith("worker-")]
    return str(worker["session"]["session_id"])


async def test_of_a_result_from_before_figures_had_versions_all_but_its_figures_is_compared(
    bench: Bench,
) -> None:
    bench.run("older")
    await put_on_record_as_before(bench, "older")
    view = bench.stack.json("backtest", "show", "older")["backtest"]
    assert view["metrics"] == OLD_METRICS | dict.fromkeys(LATER_METRICS)
    assert view["summary"] is None
    told = bench.stack.json("backtest", "verify", "older")
    assert (told["is_equal"], told["differences"], told["figures_versions"]) == (True, [], [1, 2])
    assert told["fills_compared"] == 20
    said = bench.stack.cli("backtest", "verify", "older")
    assert said.returncode == 0, said.stdout + said.stderr
    changed = "the definition of its figures has changed since (version 1, now 2): metrics and equity curve were not compared"
    assert changed in " ".join(said.stdout.split())
    # What it did is still held against the record.
    bench.write(STRATEGY.replace("make_qty(10)", "make_qty(20)"))
    assert bench.verify("older", 1)["fills[0].last_qty"] == ("10", "20")
