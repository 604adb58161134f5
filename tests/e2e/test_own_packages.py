"""Own code from a file to an engine, by commands alone: no image, no variable, no restart; in local processes and in containers."""

import asyncio
from pathlib import Path

import pytest
from nautilus_trader.core.data import Data
from nautilus_trader.model.custom import customdataclass
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import Manifest
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import traded_more
from tests.e2e.stacks import RunningStack


@pytest.fixture(scope="module", params=["best"])
def runtime(request: pytest.FixtureRequest) -> str:
    """The best that there is, unless a test says which: either shows the same."""
    return best_runtime() if request.param == "best" else str(request.param)


with_local_processes = pytest.mark.parametrize("runtime", ["process"], indirect=True)
"""How code comes into a container is shown by the test of six commands."""
DATES = ("--start", "2000-01-01", "--end", "2000-12-31")


async def ok(stack: RunningStack, *arguments: str) -> str:
    """What a command that succeeds prints."""
    done = await asyncio.to_thread(stack.cli, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def manifest(fleet: Flotilla, backtest_id: str) -> Manifest:
    found = await fleet.backtest_result(backtest_id, "manifest")
    assert isinstance(found, Manifest)
    return found


async def test_code_of_ones_own_runs_in_backtests_studies_and_an_engine_after_six_commands(
    stack: RunningStack, fleet: Flotilla, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    await ok(stack, "package", "new", "mine", "--into", str(mine))
    module = mine / "mine.py"
    module.write_text(module.read_text().replace("] = 50\n", "] = 10\n"))
    assert "UNPUSHED CODE" in await ok(stack, "backtest", "run", "first", "--file", str(mine), *DATES)
    await ok(stack, "study", "run", "sweep", "--file", str(mine), "--axis", "period=10,20", *DATES)
    assert "mine@1 is there" in await ok(stack, "package", "push", str(mine))
    started = await ok(stack, "engine", "start", "own", "--strategy", "mine", "--param", "speed=864000")
    assert "mine@1" in started

    first = await fleet.backtest("first")
    assert first.summary is not None
    assert first.summary.orders.filled > 0
    (package,) = (await manifest(fleet, "first")).plan.packages
    pushed = await fleet.package("mine")
    assert (package.name, package.digest) == ("mine", pushed.digest)
    assert package.version == f"sha256-{pushed.digest}"
    assert (await fleet.study("sweep")).counts["completed"] == 2
    engine = await traded_more(fleet, "own", 0)
    assert engine.config.strategies is not None
    assert engine.config.strategies[0].template == "mine@1"
    assert "added Mine-" in await ok(stack, "strategy", "add", "own", "mine", "--set", "period=5")

    # What runs and what was run stays what it is, whatever is pushed later.
    module.write_text(module.read_text().replace("] = 10\n", "] = 30\n"))
    assert "mine@2 is there" in await ok(stack, "package", "push", str(mine))
    refused = await asyncio.to_thread(stack.cli, "strategy", "add", "own", "mine")
    assert refused.returncode != 0
    assert "another version of it" in refused.stderr
    assert len((await fleet.strategies("own")).strategies) == 2
    verified = " ".join((await ok(stack, "backtest", "verify", "first")).split())
    assert "is equal" in verified
    assert "mine@2 is newer than mine@sha256-" in verified
    assert "the code has changed: mine.py (changed)" in verified
    module.write_text(module.read_text().replace("] = 30\n", "] = 10  # as before\n"))
    assert "mine@3 is there" in await ok(stack, "package", "push", str(mine))
    verified = " ".join((await ok(stack, "backtest", "verify", "first")).split())
    assert "the code is the same, but for comments, docstrings or formatting" in verified
    kept = await asyncio.to_thread(stack.cli, "package", "rm", "mine@1")
    assert (kept.returncode, "engine own" in kept.stderr) == (5, True)
    await ok(stack, "engine", "stop", "own")


BESIDE = '''
from decimal import Decimal

from nautilus_trader.backtest.config import FeeModelConfig
from nautilus_trader.backtest.models import FeeModel
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.data import Data
from nautilus_trader.execution.algorithm import ExecAlgorithm
from nautilus_trader.execution.config import ExecAlgorithmConfig
from nautilus_trader.model.custom import customdataclass
from nautilus_trader.model.data import BarType, DataType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ExecAlgorithmId, InstrumentId
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy

BARS = BarType.from_str("SPX.SIM-1-DAY-LAST-EXTERNAL")


@customdataclass
class News(Data):
    text: str = ""


class WatchConfig(ActorConfig, frozen=True):
    every: int = 5


class Watch(Actor):
    """Publishes news, one for so many bars."""

    def __init__(self, config: WatchConfig) -> None:
        super().__init__(config)
        self.seen = 0

    def on_start(self):
        self.subscribe_bars(BARS)

    def on_bar(self, bar):
        self.seen += 1
        if self.seen % self.config.every == 0:
            self.publish_data(DataType(News), News(bar.ts_event, bar.ts_init, text="buy"))


class AtOnceConfig(ExecAlgorithmConfig, frozen=True):
    exec_algorithm_id: ExecAlgorithmId = ExecAlgorithmId("ONCE")


class AtOnce(ExecAlgorithm):
    def on_order(self, order):
        self.submit_order(order)


class FeesConfig(FeeModelConfig, frozen=True):
    each: Decimal


class Fees(FeeModel):
    def __init__(self, config: FeesConfig) -> None:
        self.each = config.each

    def get_commission(self, order, fill_qty, fill_px, instrument):
        return Money(self.each, instrument.quote_currency)


class BuysConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId = InstrumentId.from_str("SPX.SIM")
    units: int = 1


class Buys(Strategy):
    """Buys on news."""

    def on_start(self):
        self.subscribe_data(DataType(News))

    def on_data(self, data):
        if isinstance(data, News) and data.text == "buy":
            size = self.cache.instrument(self.config.instrument_id).make_qty(self.config.units)
            order = self.order_factory.market(
                self.config.instrument_id, OrderSide.BUY, size, exec_algorithm_id=ExecAlgorithmId("ONCE")
            )
            self.submit_order(order)
'''


@with_local_processes
async def test_what_runs_beside_strategies_comes_with_a_package_too(
    stack: RunningStack, fleet: Flotilla, tmp_path: Path
) -> None:
    file = tmp_path / "news.py"
    file.write_text(BESIDE)
    beside = ("--actor", "news:Watch,every=10", "--exec-algorithm", "news:AtOnce")
    fees = (
        "--venue-set",
        "SIM.own_fees.path=news:Fees",
        "--venue-set",
        'SIM.own_fees.config={"each": "1.5"}',
    )
    # As it is now, before there is a package of this name.
    bars = ("--bar-type", "SPX.SIM-1-DAY-LAST-EXTERNAL")
    await ok(stack, "backtest", "run", "news-1", "--file", str(file), *bars, *beside, *fees, *DATES)
    assert "news@1 is there: news, news:Watch" in await ok(stack, "package", "push", str(file))
    assert "Publishes news" in await ok(stack, "package", "show", "news")
    chosen = ("--strategy", "news", *bars, *beside, *fees, *DATES)
    await ok(stack, "backtest", "run", "news-2", *chosen)
    for name in ("news-1", "news-2"):
        made = await fleet.backtest(name)
        assert made.summary is not None
        assert made.summary.orders.filled > 10
        assert made.summary.orders.unsent == 0
        fees_paid = (await fleet.backtest_result(name, "fills"))[0].commission
        assert fees_paid == "1.50"
    known = await fleet.backtest("news-2")
    assert [one.path for one in known.config.actors] == ["news@1:Watch"]
    ran = await manifest(fleet, "news-2")
    assert [one.label for one in ran.plan.packages] == ["news@1"]
    assert "news" in ran.strategy_sources
    await ok(
        stack,
        "study",
        "run",
        "news-3",
        *chosen[:2],
        *bars,
        *beside,
        *DATES,
        "--axis",
        "units=1,2",
    )
    assert (await fleet.study("news-3")).counts["completed"] == 2

    await ok(stack, "engine", "start", "reads", "--strategy", "news", *beside, "--param", "speed=864000")
    engine = await traded_more(fleet, "reads", 0)
    assert [one.path for one in engine.config.exec_algorithms] == ["news@1:AtOnce"]
    await ok(stack, "engine", "stop", "reads")


HEADLINES = '''
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.data import Data
from nautilus_trader.model.custom import customdataclass
from nautilus_trader.model.data import DataType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientId, InstrumentId
from nautilus_trader.trading.strategy import Strategy


@customdataclass
class Headline(Data):
    mood: int = 0


class ReadsConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId = InstrumentId.from_str("SPX.SIM")


class Reads(Strategy):
    """Buys as much as a headline says."""

    def on_start(self):
        self.subscribe_data(DataType(Headline), client_id=ClientId("SIM"))

    def on_data(self, data):
        size = self.cache.instrument(self.config.instrument_id).make_qty(data.mood)
        order = self.order_factory.market(self.config.instrument_id, OrderSide.BUY, size)
        self.submit_order(order)
'''


@customdataclass
class Headline(Data):
    """As the package has it: whoever wrote the rows had the class too."""

    mood: int = 0


@with_local_processes
async def test_rows_of_a_packages_class_are_read_by_the_version_that_was_chosen(
    stack: RunningStack, fleet: Flotilla, tmp_path: Path
) -> None:
    theirs, file = tmp_path / "headlines", tmp_path / "heads.py"
    days = [946_900_800_000_000_000 + day * 86_400_000_000_000 for day in (30, 60, 90)]
    ParquetDataCatalog(str(theirs)).write_data(
        [Headline(ts, ts, mood=mood) for mood, ts in enumerate(days, start=1)]
    )
    file.write_text(HEADLINES)
    await ok(stack, "data", "attach", str(theirs))
    run = ("--strategy", "heads", "--bar-type", "SPX.SIM-1-DAY-LAST-EXTERNAL", *DATES)
    own = ("--custom-data", "heads:Headline")
    try:
        assert "not usable: custom_headline: no package has a class" in await ok(stack, "data", "ls")
        assert "heads@1 is there" in await ok(stack, "package", "push", str(file))
        assert "custom_headline: read by heads@1:Headline" in await ok(stack, "data", "ls")
        await ok(stack, "backtest", "run", "heads-1", *run, *own)
        file.write_text(HEADLINES + "\n# as before\n")
        assert "heads@2 is there" in await ok(stack, "package", "push", str(file))
        await ok(stack, "backtest", "run", "heads-2", "--file", str(file), *run[2:], *own)
        refused = await asyncio.to_thread(
            stack.cli, "backtest", "run", "heads-3", *run, "--custom-data", "heads:Reads"
        )
        assert (refused.returncode, "no reads" in refused.stderr.lower()) == (3, True)
        assert "is equal" in " ".join((await ok(stack, "backtest", "verify", "heads-1")).split())
    finally:
        await ok(stack, "data", "detach", "headlines")
    for name in ("heads-1", "heads-2"):
        sizes = [one.last_qty for one in await fleet.backtest_result(name, "fills")]
        assert sizes == ["1", "2", "3"]
    ran = await manifest(fleet, "heads-1")
    assert [one.label for one in ran.plan.packages] == ["heads@1"]
    assert [one.path for one in ran.plan.custom] == ["heads:Headline"]
    assert [one.path for one in ran.files if "custom_headline" in one.path]


@with_local_processes
async def test_who_starts_an_engine_that_trades_money_is_shown_its_code_first(
    stack: RunningStack, fleet: Flotilla, tmp_path: Path
) -> None:
    mine = tmp_path / "money"
    await ok(stack, "package", "new", "money", "--into", str(mine))
    await ok(stack, "package", "push", str(mine))
    digest = (await fleet.package("money")).digest
    venue = ("--venue", "BINANCE=binance,account=main,secret=none_such")
    start = ("engine", "start", "trader", "--type", "live", "--mode", "live", "--strategy", "money", *venue)
    live = (*start, "--no-wait", "--confirm-live-trading")
    refused = await asyncio.to_thread(stack.cli, *live)
    assert refused.returncode == 3, refused.stderr
    assert f"digest  {digest}" in refused.stderr
    assert "this engine has never traded money" in refused.stderr
    assert "add --yes if you mean it" in refused.stderr
    assert "trader" not in [each.instance_id for each in (await fleet.engines()).engines]
    # Without the confirmation it is refused by what decides, and nothing is shown.
    unconfirmed = await asyncio.to_thread(stack.cli, *start, "--yes")
    assert (unconfirmed.returncode, digest in unconfirmed.stderr) == (3, False)
    assert "add --confirm-live-trading" in unconfirmed.stderr
    # Stored, it is what a restart would run.
    await ok(stack, "engine", "configure", "trader", *start[3:])
    again = ("engine", "start", "trader", "--stored", "--no-wait", "--confirm-live-trading")
    restart = ("engine", "restart", "trader", "--no-wait", "--confirm-live-trading")
    for command in (again, restart):
        refused = await asyncio.to_thread(stack.cli, *command)
        assert (refused.returncode, digest in refused.stderr) == (3, True)
