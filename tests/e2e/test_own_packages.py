"""Own code from a file to an engine, by commands alone: no image, no variable, no restart; in local processes and in containers."""

import asyncio
from pathlib import Path

from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import Manifest
from tests.e2e.engines import traded_more
from tests.e2e.stacks import RunningStack

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
    assert "is equal" in await ok(stack, "backtest", "verify", "first")
    kept = await asyncio.to_thread(stack.cli, "package", "rm", "mine@1")
    assert (kept.returncode, "engine own" in kept.stderr) == (5, True)
    await ok(stack, "engine", "stop", "own")
