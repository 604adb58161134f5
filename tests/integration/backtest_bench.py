"""An orchestrator and a supervisor as processes of their own, real workers below it, and what tests ask of backtests."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestStatus,
    BacktestView,
    ReadResult,
    ResultPart,
    RunBacktest,
    RunStudy,
    StudyConfig,
    StudyView,
    TrialEvent,
    TrialStarted,
    WhichBacktest,
    WhichStudy,
)
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.stack.servers.nats import NatsServer
from tests.engine_processes import ROOT
from tests.integration.supervisors import environment_of

BARS: Final = "SPX.SIM-1-DAY-LAST-EXTERNAL"
DEADLINE_S: Final = 60.0


def chosen(**changes: Any) -> BacktestConfig:
    """Three years of the sample's bars with the template's strategy."""
    values: dict[str, Any] = {
        "strategy": "ema_cross",
        "start_date": "2000-01-01",
        "end_date": "2002-12-31",
        "instruments": ("SPX.SIM",),
    }
    return BacktestConfig(**values | changes)


def misbehaving(how: str, **changes: Any) -> BacktestConfig:
    """A strategy that ends its trial badly."""
    config = {"bar_type": BARS, "how": how}
    return chosen(
        strategy=None, strategy_class="tests.trial_strategies:Misbehaves", strategy_config=config, **changes
    )


class BacktestBench:
    """`views` are the states that the bus told of, in order."""

    def __init__(self, operator: Bus, nats: NatsServer, folder: Path, catalog: Path, dsn: str) -> None:
        self.operator = operator
        self._folder = folder
        self.views: list[BacktestView] = []
        self.progress: list[BacktestView] = []
        self.pids: dict[str, int] = {}
        self._env = {
            "orchestrator": {
                "FLOTILLA_NATS_URL": nats.url,
                "FLOTILLA_NATS_CREDS": str(nats.keys.write_credentials(Actor.ORCHESTRATOR)),
                "FLOTILLA_POSTGRES_DSN": dsn,
                "FLOTILLA_CATALOG": str(catalog),
                "FLOTILLA_STRATEGY_MODULES": "nautilus_trader.examples.strategies,tests.trial_strategies",
            },
            "supervisor": environment_of(nats, folder / "state")
            | {
                "FLOTILLA_CATALOG": str(catalog),
                "FLOTILLA_PROCESS_COMMAND": f"/bin/sh -c 'cd {ROOT} && exec {sys.executable} -u -m flotilla.engine_sidecar'",
            },
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str) -> None:
        with (self._folder / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"flotilla.services.{service}"],
                env=os.environ | self._env[service],
                cwd=ROOT,
                stderr=log,
                stdout=log,
            )

    def end(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes.pop(service)
        process.send_signal(number)
        process.wait(20)

    async def listen(self) -> None:
        async def heard(view: BacktestView, _: object) -> None:
            self.views.append(view)

        async def moved(view: BacktestView, _: object) -> None:
            self.progress.append(view)

        async def told(event: TrialEvent, _: object) -> None:
            if isinstance(event.data, TrialStarted):
                self.pids[event.backtest_id] = event.data.pid

        await self.operator.listen(contract.TRIAL_EVENT, told)
        await self.operator.listen(contract.FLEET_BACKTEST, heard)
        await self.operator.listen(contract.FLEET_PROGRESS, moved)

    async def run(self, backtest_id: str, config: BacktestConfig | None = None, **more: Any) -> BacktestView:
        request = RunBacktest(backtest_id=backtest_id, config=config or chosen(), **more)
        return await self.answered(lambda: self.operator.call(contract.BACKTEST_RUN, request))

    async def study(self, study_id: str, config: StudyConfig) -> StudyView:
        request = RunStudy(study_id=study_id, config=config)
        return await self.answered(lambda: self.operator.call(contract.STUDY_RUN, request))

    async def get(self, backtest_id: str) -> BacktestView:
        request = WhichBacktest(backtest_id=backtest_id)
        return await self.answered(lambda: self.operator.call(contract.BACKTEST_GET, request))

    async def of_study(self, study_id: str) -> StudyView:
        request = WhichStudy(study_id=study_id)
        return await self.answered(lambda: self.operator.call(contract.STUDY_GET, request))

    async def cancel(self, backtest_id: str) -> BacktestView:
        return await self.operator.call(contract.BACKTEST_CANCEL, WhichBacktest(backtest_id=backtest_id))

    async def part(self, backtest_id: str, part: ResultPart, **more: Any) -> list[Any]:
        request = ReadResult(backtest_id=backtest_id, part=part, **more)
        page = await self.operator.call(contract.BACKTEST_RESULT, request)
        return [msgspec.json.decode(entry) for entry in page.entries]

    async def status(self, backtest_id: str, *statuses: BacktestStatus) -> BacktestView:
        """The backtest once it is in one of these."""
        return await until(lambda: self.get(backtest_id), lambda view: view.status in statuses)

    async def answered[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, once there is an orchestrator that has read its record."""
        return await patiently(ask)

    def endings(self) -> Counter[str]:
        """How often each backtest was said to have ended."""
        told = {(view.backtest_id, view.status) for view in self.views if view.status.is_final}
        return Counter(backtest_id for backtest_id, _ in told)

    def stop(self) -> None:
        if supervisor := self.processes.get("supervisor"):
            for session in children_of(supervisor.pid):
                os.killpg(session, signal.SIGKILL)
        for service in list(self.processes):
            self.end(service)

    def workers(self) -> list[int]:
        """The processes of workers: sessions of the supervisor."""
        return children_of(self.processes["supervisor"].pid)


def children_of(pid: int) -> list[int]:
    """The direct children that live."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


async def until[T](
    ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, within_s: float = DEADLINE_S
) -> T:
    """The first answer that holds; fails with the last one when none does in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = await ask()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s; last: {answer}"
        await asyncio.sleep(0.1)


async def patiently[T](ask: Callable[[], Awaitable[T]]) -> T:
    """The answer of a service that may not be up yet."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return await ask()
        except FaultError as error:
            is_away = error.fault.code in (FaultCode.UNAVAILABLE, FaultCode.OUTCOME_UNKNOWN)
            if not is_away or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


@pytest.fixture
async def backtests(
    bus: Bus, nats: NatsServer, tmp_path: Path, catalog: Path, postgres_dsn: str
) -> AsyncIterator[BacktestBench]:
    """A bench with orchestrator and supervisor; workers come with the first backtest."""
    bench = BacktestBench(bus, nats, tmp_path, catalog, postgres_dsn)
    await bench.listen()
    bench.start("supervisor")
    bench.start("orchestrator")
    try:
        yield bench
    finally:
        bench.stop()
        for file in sorted(tmp_path.glob("*.log")):
            print(f"--- {file.name}\n{file.read_text(errors='replace')[-6000:]}")
