"""CPU of a backtest on quotes of a catalog that NautilusTrader wrote and that is attached, against the same quotes imported: a trial each.

Each runs in a process of its own, imports included; their results are compared before anything is told.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.market import FIRST_NS, INSTRUMENT, quotes, write
from benchmarks.rounds import compare, report
from flotilla.schemas.backtest import DataKind, TrialData, TrialPlan, TrialResult

QUOTES = 500_000
ROUNDS = 3
LIMIT = 1.1
_EMA = "nautilus_trader.examples.strategies.ema_cross"


def plan() -> TrialPlan:
    """A crossing of averages of bars of a minute, which the engine makes of all the quotes there are."""
    return TrialPlan(
        engine={"trader_id": "BENCH-001", "logging": {"log_level": "ERROR"}},
        venues=(
            {
                "name": "SIM",
                "oms_type": "NETTING",
                "account_type": "MARGIN",
                "base_currency": "USD",
                "starting_balances": ["1000000 USD"],
            },
        ),
        data=(TrialData(kind=DataKind.QUOTES, identifier=INSTRUMENT),),
        instruments=(INSTRUMENT,),
        strategies=(
            {
                "strategy_path": f"{_EMA}:EMACross",
                "config_path": f"{_EMA}:EMACrossConfig",
                "config": {
                    "instrument_id": INSTRUMENT,
                    "bar_type": f"{INSTRUMENT}-1-MINUTE-BID-INTERNAL",
                    "trade_size": "100",
                },
            },
        ),
        start_ns=FIRST_NS,
        end_ns=FIRST_NS + QUOTES * 1_000_000_000,
    )


def catalogs(folder: Path) -> dict[str, Path]:
    """The same quotes: attached as NautilusTrader wrote them, and imported from CSV."""
    theirs, file = folder / "theirs", folder / "quotes.csv"
    write(theirs, quotes(), QUOTES)
    with file.open("w") as out:
        out.write("timestamp,bid_price,ask_price,bid_size,ask_size\n")
        for each in islice(quotes(), QUOTES):
            out.write(f"{each.ts_init},{each.bid_price},{each.ask_price},{each.bid_size},{each.ask_size}\n")
    made = {"attached": folder / "attached", "imported": folder / "imported"}
    _catalog("attach", str(theirs), made["attached"])
    given = ["--type=quotes", f"--instrument={INSTRUMENT}", "--class=equity"]
    _catalog("import", str(file), made["imported"], *given)
    return made


def _catalog(command: str, what: str, catalog: Path, *more: str) -> None:
    program = [sys.executable, "-m", "flotilla.engine_sidecar.catalog", command, what, *more]
    subprocess.run([*program, "--catalog", str(catalog)], check=True, stdout=subprocess.DEVNULL)


def ran(catalog: Path) -> tuple[float, TrialResult]:
    """CPU seconds of one trial, and what came of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-W", "ignore", "-m", "flotilla.engine_sidecar.backtest", str(catalog)]
    done = subprocess.run(command, input=msgspec.json.encode(plan()), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    last: dict[str, Any] = msgspec.json.decode(done.stdout.splitlines()[-1])
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, msgspec.convert(last["result"], TrialResult)


async def measure(folder: Path) -> int:
    """Rounds of both, in turn."""
    made = await asyncio.to_thread(catalogs, folder)
    results: dict[str, TrialResult] = {}

    async def one(which: str) -> float:
        took, results[which] = await asyncio.to_thread(ran, made[which])
        return took

    attached, imported = await compare(lambda: one("attached"), lambda: one("imported"), rounds=ROUNDS)
    mine, theirs = results["attached"], results["imported"]
    if mine.events != QUOTES or not mine.trades or mine.equity_curve != theirs.equity_curve:
        raise RuntimeError(f"the two are not the same run: {mine.events} and {theirs.events} events")
    return report(f"backtest of {QUOTES:,} attached quotes", attached, imported, "CPU s", LIMIT)


def main() -> int:
    """1 when the ratio is over the limit."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
