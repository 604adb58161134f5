"""A real worker: it takes trials from the queue, runs each in a process, and tells what came of it."""

import asyncio
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.bus.queue import WorkQueue
from flotilla.schemas.backtest import (
    CancelTrial,
    ClaimTrial,
    Outcome,
    TrialBeat,
    TrialCancelled,
    TrialClaimed,
    TrialData,
    TrialEvent,
    TrialFailed,
    TrialFailure,
    TrialJob,
    TrialPart,
    TrialPlan,
    TrialStarted,
    WorkerPlan,
)
from flotilla.schemas.catalog import ATTACHED_FILE, AttachedCatalog
from flotilla.schemas.contract import (
    COMMAND_CANCEL_TRIAL,
    COMMAND_STOP,
    TRIAL_BEAT,
    TRIAL_CLAIM,
    TRIAL_CONSUMER,
    TRIAL_EVENT,
    TRIAL_QUEUE,
)
from flotilla.schemas.ids import new_session_id
from flotilla.schemas.session import BusAccess, EngineCommand, EnginePlan, Launch, SessionSpec
from flotilla.schemas.states import EngineType, FailureReason, RunState, TradingMode
from flotilla.stack.servers.nats import NatsServer
from tests.engine_processes import ROOT, ema_cross
from tests.integration.logins import engine_login
from tests.integration.sidecars import recorded, until
from tests.integration.test_replay_equals_backtest import catalog
from tests.integration.test_trial_equals_backtest import ENGINE, FOREVER, VENUE

__all__ = ["catalog"]

DATA = TrialData(kind="bars", identifier="SPX.SIM-1-DAY-LAST-EXTERNAL")  # type: ignore[arg-type]


def plan(*strategies: dict[str, Any]) -> TrialPlan:
    return TrialPlan(
        engine=ENGINE,
        venues=(VENUE,),
        data=(DATA,),
        instruments=("SPX.SIM",),
        strategies=strategies or (ema_cross(),),
        start_ns=0,
        end_ns=FOREVER,
    )


def misbehaving(how: str, where: object = "") -> dict[str, Any]:
    return {
        "strategy_path": "tests.trial_strategies:Misbehaves",
        "config_path": "tests.trial_strategies:MisbehavesConfig",
        "config": {"bar_type": DATA.identifier, "how": how, "where": str(where), "order_id_tag": "001"},
    }


class Workers:
    """Worker processes, and what an orchestrator would be told of their trials."""

    def __init__(self, nats: NatsServer, bus: Bus, folder: Path, catalog: Path) -> None:
        self._nats, self._bus, self._folder, self._catalog = nats, bus, folder, catalog
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.events: list[TrialEvent] = []
        self.beats: list[TrialBeat] = []
        self.claims: list[ClaimTrial] = []
        self.unwanted: set[str] = set()
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        await WorkQueue(self._bus, TRIAL_QUEUE, TRIAL_CONSUMER).ensure(ack_wait_s=3)
        await self._bus.serve(TRIAL_CLAIM, self._claim)
        await self._bus.listen(TRIAL_EVENT, self._hear)
        await self._bus.listen(TRIAL_BEAT, self._beat)

    def start(
        self,
        name: str,
        catalog: Path | None = None,
        attached: tuple[str, ...] | None = None,
        **spec: Any,
    ) -> None:
        session_id = new_session_id(datetime.now(UTC))
        settings = engine_login(self._nats, name, session_id, is_worker=True)
        values: dict[str, Any] = {
            "instance_id": name,
            "session_id": session_id,
            "generation": 1,
            "engine_type": EngineType.BACKTEST,
            "trading_mode": TradingMode.PAPER,
            "plan": EnginePlan(trader_id="W-001", node={}),
            "worker": WorkerPlan(slots=1),
        }
        launch = Launch(
            bus=BusAccess(url=settings.url, creds=settings.creds, fleet=settings.obeys),
            spec=SessionSpec(**values | spec),
            catalog_path=str(catalog or self._catalog),
            enforce_memory=True,
            host="h1",
            image="sha256:none",
            attached=attached,
        )
        with (self._folder / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "flotilla.engine_sidecar"],
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(self._folder)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(launch) + b"\n")
        process.stdin.close()
        self.processes[name] = process

    def log(self, name: str) -> Path:
        """What a worker says."""
        return self._folder / f"{name}.log"

    async def put(self, backtest_id: str, *strategies: dict[str, Any], **order: Any) -> None:
        work = TrialJob(backtest_id=backtest_id, plan=plan(*strategies), **order)
        await self._bus.publish_durable(TRIAL_QUEUE, work, message_id=backtest_id)

    async def until(self, kind: type[Any], backtest_id: str, timeout_s: float = 60) -> Any:
        """The first event of this kind about the trial."""
        async with asyncio.timeout(timeout_s):
            while True:
                for event in self.events:
                    if event.backtest_id == backtest_id and isinstance(event.data, kind):
                        return event.data
                self._changed.clear()
                await self._changed.wait()

    async def outcome(self, backtest_id: str) -> Outcome:
        return msgspec.json.decode(await self.document(backtest_id, "outcome"), type=Outcome)

    async def document(self, backtest_id: str, name: str) -> bytes:
        """All parts of one document, once they are there."""
        async with asyncio.timeout(90):
            while not (parts := self._parts(backtest_id, name)) or len(parts) < parts[0].count:
                self._changed.clear()
                await self._changed.wait()
        whole = b"".join(parts[index].data for index in range(parts[0].count))
        assert hashlib.sha256(whole).hexdigest() == parts[0].sha256
        return zlib.decompress(whole)

    def _parts(self, backtest_id: str, name: str) -> dict[int, TrialPart]:
        return {
            event.data.index: event.data
            for event in self.events
            if event.backtest_id == backtest_id
            and isinstance(event.data, TrialPart)
            and event.data.document == name
        }

    async def _claim(self, claim: ClaimTrial) -> TrialClaimed:
        self.claims.append(claim)
        return TrialClaimed(is_wanted=claim.backtest_id not in self.unwanted)

    async def _hear(self, event: TrialEvent, _: object) -> None:
        self.events.append(event)
        self._changed.set()

    async def _beat(self, beat: TrialBeat, _: object) -> None:
        self.beats.append(beat)


@pytest.fixture
async def workers(nats: NatsServer, bus: Bus, tmp_path: Path, catalog: Path) -> AsyncIterator[Workers]:
    made = Workers(nats, bus, tmp_path, catalog)
    await made.listen()
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_a_trial_gives_its_whole_result_and_manifest(workers: Workers) -> None:
    workers.start("w-1")
    await workers.put("bt-1")
    outcome = await workers.outcome("bt-1")
    assert len(outcome.result.fills) == 443
    assert outcome.manifest.host == "h1"
    assert {file.path.split("/")[1] for file in outcome.manifest.files} >= {"bar", "equity"}
    assert all(len(digest) == 64 for digest in outcome.manifest.strategy_sources.values())
    started = await workers.until(TrialStarted, "bt-1")
    assert (started.worker, started.host, started.attempt) == ("w-1", "h1", 1)
    assert workers.beats[-1].progress.events == workers.beats[-1].progress.total == 5_031


async def test_the_tear_sheet_follows_the_result_as_a_document_of_its_own(workers: Workers) -> None:
    workers.start("w-1")
    await workers.put("bt-1", wants_report=True)
    assert (await workers.outcome("bt-1")).report is None
    html = await workers.document("bt-1", "report")
    assert html.startswith(b"<html>") or b"<html" in html[:200]
    assert b"plotly" in html
    assert b"bt-1" in html
    assert b"Marked equity" in html
    assert b"NautilusTrader" in html


async def test_what_was_cancelled_before_it_began_is_not_run(workers: Workers) -> None:
    workers.unwanted.add("bt-1")
    await workers.put("bt-1")
    await workers.put("bt-2")
    workers.start("w-1")
    await workers.outcome("bt-2")
    assert not [event for event in workers.events if event.backtest_id == "bt-1"]


async def test_a_cancelled_trial_is_gone_within_a_second(workers: Workers, bus: Bus) -> None:
    workers.start("w-1")
    await workers.put("bt-1", misbehaving("loop"))
    started = await workers.until(TrialStarted, "bt-1")
    gone = await bus.call(COMMAND_CANCEL_TRIAL, CancelTrial(backtest_id="bt-1"), instance_id="w-1")
    assert gone.pid == started.pid
    assert not is_alive(started.pid)
    assert gone.milliseconds < 1_000
    await workers.until(TrialCancelled, "bt-1")
    await workers.put("bt-2")
    assert (await workers.outcome("bt-2")).result.events == 5_031


@pytest.mark.parametrize(
    ("how", "reason", "detail"),
    [
        ("raise", TrialFailure.STRATEGY, "boom"),
        ("loop", TrialFailure.TIMEOUT, "did not end within 2 s"),
        ("eat", TrialFailure.OOM, "memory"),
        ("exit", TrialFailure.CRASH, "exited with 3"),
    ],
)
async def test_a_trial_that_fails_says_why_and_the_worker_goes_on(
    workers: Workers, how: str, reason: TrialFailure, detail: str
) -> None:
    workers.start("w-1", memory_bytes=1 << 30)
    await workers.put("bad", misbehaving(how), timeout_s=2.0 if how == "loop" else 60.0)
    await workers.put("good")
    failed = await workers.until(TrialFailed, "bad")
    assert failed.reason == reason
    assert detail in failed.detail
    assert (await workers.outcome("good")).result.events == 5_031


ENDINGS = [
    ("start", TrialFailure.STRATEGY, "ValueError: boom at the start"),
    ("stop", TrialFailure.STRATEGY, "ValueError: boom at the stop"),
    ("vanish", TrialFailure.CRASH, "exited with 0"),
    ("abort", TrialFailure.CRASH, "SIGABRT"),
    ("close", TrialFailure.CRASH, "exited with 1"),
    ("ignore", TrialFailure.TIMEOUT, "did not end within 2 s"),
    ("write", TrialFailure.CONFIG, "was changed while the trial ran"),
]


async def test_one_worker_outlives_every_way_to_end(workers: Workers, catalog: Path, tmp_path: Path) -> None:
    own = shutil.copytree(catalog, tmp_path / "catalog")
    workers.start("w-1", catalog=own)
    for how, _, _ in ENDINGS:
        await workers.put(how, misbehaving(how, own), timeout_s=2.0 if how == "ignore" else 60.0)
    await workers.put("good")
    for how, reason, detail in ENDINGS:
        failed = await workers.until(TrialFailed, how)
        assert failed.reason == reason, failed
        assert detail in failed.detail
    assert (await workers.outcome("good")).result.events == 5_031


async def test_what_a_trial_leaves_behind_is_gone_and_its_result_counts(
    workers: Workers, tmp_path: Path
) -> None:
    workers.start("w-1")
    for how, where in (("fork", tmp_path / "pid"), ("thread", ""), ("print", 20_000)):
        await workers.put(how, misbehaving(how, where))
    for how in ("fork", "thread", "print"):
        assert (await workers.outcome(how)).result.events == 5_031
    left = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(15):
        while is_alive(left):
            await asyncio.sleep(0.05)
    assert "line 19999" in workers.log("w-1").read_text()


async def test_a_trial_that_attacks_its_worker_gets_nowhere(workers: Workers, nats: NatsServer) -> None:
    workers.start("w1")
    bus = urlsplit(nats.url)
    await workers.put("b1", misbehaving("attack", f"{bus.hostname}:{bus.port}"))
    await workers.outcome("b1")
    await workers.put("b2")
    await workers.outcome("b2")
    said = workers.log("w1").read_text()
    assert re.search(r"tried \d\d, let through: \[\]", said), said[-2000:]


async def test_the_trial_of_a_killed_worker_is_run_by_another(workers: Workers) -> None:
    workers.start("w-1")
    await workers.put("bt-1", misbehaving("loop"))
    first = await workers.until(TrialStarted, "bt-1")
    workers.processes["w-1"].kill()
    workers.start("w-2")
    async with asyncio.timeout(30):
        while len([event for event in workers.events if isinstance(event.data, TrialStarted)]) < 2:
            await asyncio.sleep(0.05)
    second = workers.events[-1].data
    assert isinstance(second, TrialStarted)
    assert (second.worker, second.attempt, is_alive(first.pid)) == ("w-2", 2, False)


async def test_a_worker_whose_zygote_is_killed_fails_and_another_runs_its_trial(
    workers: Workers, bus: Bus
) -> None:
    workers.start("w-1")
    await workers.put("bt-1", misbehaving("loop"))
    first = await workers.until(TrialStarted, "bt-1")
    worker = workers.processes["w-1"]
    zygotes = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert len(zygotes) == 1
    os.kill(int(zygotes[0]), signal.SIGKILL)
    assert await asyncio.to_thread(worker.wait, 30) == 1
    end = (await recorded(bus, "w-1"))[-1].data
    assert (end.state, end.reason) == (RunState.FAILED, FailureReason.CRASH)
    assert end.detail == "the process that trials are forked from was ended by signal 9 (SIGKILL)"
    assert not is_alive(first.pid)
    workers.start("w-2")
    await until(lambda: [claim.worker for claim in workers.claims] == ["w-1", "w-2"], timeout_s=60)
    assert {type(event.data) for event in workers.events} == {TrialStarted}


async def test_a_worker_that_is_stopped_gives_its_trial_back(workers: Workers, bus: Bus) -> None:
    workers.start("w-1")
    await workers.put("bt-1", misbehaving("loop"))
    await workers.until(TrialStarted, "bt-1")
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="w-1")
    assert await asyncio.to_thread(workers.processes["w-1"].wait, 15) == 0
    assert not [event for event in workers.events if isinstance(event.data, TrialCancelled)]
    workers.start("w-2")
    async with asyncio.timeout(30):
        while workers.claims[-1].worker != "w-2":
            await asyncio.sleep(0.05)
    assert workers.claims[-1].attempt == 2


async def test_a_worker_that_finds_no_bus_ends_when_it_is_told_to(workers: Workers, nats: NatsServer) -> None:
    nats.kill()
    workers.start("w-1")
    process, log = workers.processes["w-1"], workers.log("w-1")
    await until(lambda: "bus error" in log.read_text())
    process.terminate()
    assert await asyncio.to_thread(process.wait, 15) == 0
    nats.start()


async def test_a_worker_that_ends_while_the_bus_is_away_tells_of_it_when_the_bus_is_back(
    workers: Workers, bus: Bus, nats: NatsServer
) -> None:
    async def states() -> list[RunState]:
        return [event.data.state for event in await recorded(bus, "w-1")]

    workers.start("w-1")
    process = workers.processes["w-1"]
    async with asyncio.timeout(60):
        while RunState.TRADING not in await states():
            await asyncio.sleep(0.1)
    nats.kill()
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):  # how long it is away is what is tested
        await asyncio.to_thread(process.wait, 8)
    nats.start()
    assert await asyncio.to_thread(process.wait, 30) == 0
    await until(lambda: bus.is_connected)
    assert (await states())[-2:] == [RunState.STOPPING, RunState.STOPPED]


async def test_two_slots_run_two_trials_at_once(workers: Workers) -> None:
    workers.start("w-1", worker=WorkerPlan(slots=2))
    await workers.put("bt-1", misbehaving("loop"))
    await workers.put("bt-2")
    await workers.until(TrialStarted, "bt-1")
    assert (await workers.outcome("bt-2")).result.events == 5_031


async def test_a_worker_that_was_not_given_a_catalog_attached_since_leaves_its_trials_to_another(
    workers: Workers, catalog: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(catalog, mine)
    attached = [AttachedCatalog(name="theirs", path="/srv/theirs")]
    (mine / ATTACHED_FILE).write_bytes(msgspec.json.encode(attached))
    workers.start("w-1", mine, attached=())
    await workers.put("bt-1")
    assert await asyncio.to_thread(workers.processes["w-1"].wait, 60) == 0
    assert workers.events == []
    workers.start("w-2", mine, attached=("/srv/theirs",))
    await workers.outcome("bt-1")
    assert (await workers.until(TrialStarted, "bt-1")).worker == "w-2"


async def test_an_idle_worker_ends(workers: Workers) -> None:
    workers.start("w-1", worker=WorkerPlan(slots=1, idle_s=0.5))
    assert await asyncio.to_thread(workers.processes["w-1"].wait, 30) == 0


@pytest.fixture(autouse=True)
def show_output(tmp_path: Path) -> Iterator[None]:
    """What the workers said, where a test fails."""
    yield
    for file in tmp_path.glob("w-*.log"):
        print(f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}")
