"""Backtests for figures: the same plan through the platform, and by NautilusTrader alone in the same worker's container."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestConfig, BacktestView, Manifest, ResultPart, TrialPlan

_RAW = Path(__file__).with_name("raw_backtest.py").read_text()
_CATALOG = "/app/data"
LIMIT_S = 900.0


async def finished(fleet: Flotilla, backtest_id: str, config: BacktestConfig) -> BacktestView:
    """Runs one, and returns when it has completed. Raises BacktestFailedError."""
    await fleet.run_backtest(backtest_id, config)
    return await fleet.wait_for_backtest(backtest_id, timeout_s=LIMIT_S)


def seconds_of(view: BacktestView) -> float:
    """From the request's acceptance until its result was on record."""
    if view.completed_at is None:
        raise RuntimeError(f"{view.backtest_id} has not completed")
    return (view.completed_at - view.created_at).total_seconds()


async def plan_of(fleet: Flotilla, backtest_id: str) -> TrialPlan:
    """What it ran."""
    manifest: Manifest = await fleet.backtest_result(backtest_id, ResultPart.MANIFEST)
    return manifest.plan


async def worker_container(fleet: Flotilla) -> str:
    """The name of the only container of the fleet: its worker's."""
    (container,) = (await fleet.containers()).containers
    return container.name


async def raw_runs(container: str, plans: Sequence[TrialPlan]) -> list[dict[str, Any]]:
    """Runs the plans one after another in one process in the container: for each its seconds, events and statistics."""
    process = await asyncio.create_subprocess_exec(
        *("docker", "exec", "-i", container, "/venv/bin/python", "-W", "ignore", "-c", _RAW, _CATALOG),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    said, _ = await process.communicate(b"\n".join(msgspec.json.encode(plan) for plan in plans))
    runs = [json.loads(line) for line in said.splitlines() if line.startswith(b"{")]
    if process.returncode != 0 or len(runs) != len(plans):
        raise RuntimeError(f"NautilusTrader alone ended with {process.returncode} after {len(runs)} runs")
    return runs


def differences(statistics: dict[str, Any], alone: dict[str, Any]) -> list[str]:
    """Statistics of the run alone that are not the same to the last bit. A figure that is not defined is null with us."""
    return [
        f"{group}/{name}"
        for group, stats in alone["statistics"].items()
        for name, value in stats.items()
        if statistics[group][name] != (value if value == value else None)  # noqa: PLR0124  NaN
    ]


def say(text: str) -> None:
    """Tells how far a figure is."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
