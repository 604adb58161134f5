"""An emergency stop when the runtime itself is in trouble, and a start that was let through just before it."""

import asyncio
import gc
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import WorkerPlan
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    EmergencyStop,
    EndNow,
    LiftStop,
    SessionEnded,
    SessionSpec,
    container_name,
)
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import StateChange, StopReport
from flotilla.services.supervisor import emergency
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.emergency import EmergencyStops
from flotilla.services.supervisor.stop_gate import StopGate
from tests.fakes.supervised import session

AWAY = fault(FaultCode.UNAVAILABLE, "Docker does not answer")


def facts_of(spec: SessionSpec, status: ContainerStatus, exit_code: int | None = None) -> ContainerFacts:
    return ContainerFacts(
        session_id=spec.session_id,
        instance_id=spec.instance_id,
        generation=spec.generation,
        host="h1",
        name=container_name(spec.session_id),
        status=status,
        runtime="docker",
        exit_code=exit_code,
        is_worker=spec.worker is not None,
    )


class FakeRuntime:
    """Sessions in a dict; while it is `away` every verb fails."""

    kind = "docker"

    def __init__(self) -> None:
        self.sessions: dict[str, ContainerFacts] = {}
        self.is_away = False
        self.killed: list[str] = []
        self.stopped: list[str] = []
        self.obeys = False

    def put(self, spec: SessionSpec, status: ContainerStatus = ContainerStatus.RUNNING) -> ContainerFacts:
        self.sessions[spec.session_id] = facts_of(spec, status)
        return self.sessions[spec.session_id]

    def end(self, session_id: str, exit_code: int = 0) -> None:
        self.sessions[session_id] = msgspec.structs.replace(
            self.sessions[session_id], status=ContainerStatus.EXITED, exit_code=exit_code
        )

    async def list(self) -> tuple[ContainerFacts, ...]:
        self._answer()
        return tuple(self.sessions.values())

    async def inspect(self, session_id: str) -> ContainerFacts:
        self._answer()
        if session_id not in self.sessions:
            raise fault(FaultCode.NOT_FOUND, "not here")
        return self.sessions[session_id]

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        self.stopped.append(session_id)
        if self.obeys:
            self.end(session_id)
        return await self.inspect(session_id)

    async def kill(self, session_id: str) -> ContainerFacts:
        await self.inspect(session_id)
        self.killed.append(session_id)
        self.end(session_id, -9)
        return self.sessions[session_id]

    def _answer(self) -> None:
        if self.is_away:
            raise AWAY


class FrozenRuntime(FakeRuntime):
    """Takes whatever it is asked, and never answers."""

    async def list(self) -> tuple[ContainerFacts, ...]:
        return await asyncio.get_running_loop().create_future()

    async def inspect(self, session_id: str) -> ContainerFacts:
        return await asyncio.get_running_loop().create_future()

    async def kill(self, session_id: str) -> ContainerFacts:
        return await self.inspect(session_id)


class FakeBus:
    """Sidecars that do what `answer` does."""

    is_connected = True

    def __init__(self, answer: Callable[[str, EndNow], Any]) -> None:
        self._answer = answer
        self.is_deaf = False

    async def is_heard(self, within_s: float) -> bool:
        return not self.is_deaf

    async def call(self, _: Any, request: EndNow, *, timeout_s: float, instance_id: str) -> Any:
        answer = self._answer(instance_id, request)
        if isinstance(answer, Exception):
            raise answer
        return answer


def flat(spec: SessionSpec) -> SessionEnded:
    report = StopReport(policy=StopPolicy.FLATTEN, is_flat=True)
    end = StateChange(state=RunState.STOPPED, stop=report)
    return SessionEnded(instance_id=spec.instance_id, session_id=spec.session_id, end=end)


class Bench:
    def __init__(
        self, folder: Path, answer: Callable[[str, EndNow], Any], runtime: FakeRuntime | None = None
    ) -> None:
        self.runtime = runtime or FakeRuntime()
        self.known: list[ContainerFacts] = []
        self.orders = StopGate(StopFlagFile(folder), lambda: datetime(2026, 1, 1, tzinfo=UTC))
        self.bus: Any = FakeBus(answer)
        made: Any = self.runtime
        self.stops = EmergencyStops(self.bus, made, self.orders, "h1", lambda: self.known)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emergency, "KILL_S", 0.2)
    monkeypatch.setattr(emergency, "LAST_WORDS_S", 0.05)


async def test_without_its_runtime_it_asks_the_sidecars_it_knew_of_and_claims_no_end(tmp_path: Path) -> None:
    spec = session()
    bench = Bench(tmp_path, lambda _name, _request: flat(spec))
    bench.known = [bench.runtime.put(spec)]
    bench.runtime.is_away = True
    (receipt,) = (await bench.stops.stop(EmergencyStop(deadline_s=1))).receipts
    assert (receipt.is_flat, receipt.is_gone, receipt.gone_ms) == (False, False, None)
    assert "may still run" in receipt.not_confirmed[-1]


async def test_without_its_runtime_and_any_memory_it_says_that_it_does_not_know_and_the_flag_holds(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, lambda _name, _request: AWAY)
    bench.runtime.is_away = True
    with pytest.raises(FaultError) as caught:
        await bench.stops.stop(EmergencyStop(deadline_s=1))
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    assert bench.orders.flags


async def test_a_runtime_that_hangs_keeps_nobody_from_being_asked_and_the_answer_comes_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emergency, "LIST_S", 0.1)
    spec, asked_after_s = session(), [0.0]
    now = asyncio.get_running_loop().time
    began = now()

    def answer(_name: str, _: EndNow) -> Any:
        asked_after_s[0] = now() - began
        return flat(spec)

    bench = Bench(tmp_path, answer, FrozenRuntime())
    with pytest.raises(FaultError, match="does not say what runs here"):
        await bench.stops.stop(EmergencyStop(deadline_s=1))
    bench.known = [facts_of(spec, ContainerStatus.RUNNING)]
    async with asyncio.timeout(5):
        (receipt,) = (await bench.stops.stop(EmergencyStop(deadline_s=1))).receipts
    assert 0 < asked_after_s[0] < 1, "well before the deadline"
    assert (receipt.is_flat, receipt.is_gone) == (False, False)
    assert "it may still run, the runtime does not say that it was killed" in receipt.not_confirmed


async def test_a_worker_that_is_named_holds_up_the_answer_no_longer_than_an_engine(tmp_path: Path) -> None:
    spec = session(instance_id="worker-h1", worker=WorkerPlan())
    bench = Bench(tmp_path, lambda _name, _request: AWAY, FrozenRuntime())
    bench.known = [facts_of(spec, ContainerStatus.RUNNING)]
    async with asyncio.timeout(6):
        done = await bench.stops.stop(EmergencyStop(instance_id=spec.instance_id, deadline_s=1))
    assert done.receipts == ()


async def test_one_engine_that_breaks_the_supervisor_does_not_keep_the_others_from_being_stopped(
    tmp_path: Path,
) -> None:
    good, bad = session(instance_id="good"), session(instance_id="bad")

    def answer(name: str, _: EndNow) -> Any:
        if name == "bad":
            return RuntimeError("a bug of ours")
        bench.runtime.end(good.session_id)
        return flat(good)

    bench = Bench(tmp_path, answer)
    bench.runtime.put(good)
    bench.runtime.put(bad)
    receipts = (await bench.stops.stop(EmergencyStop(deadline_s=1))).receipts
    told = {receipt.instance_id: (receipt.is_flat, receipt.is_gone) for receipt in receipts}
    assert told == {"good": (True, True), "bad": (False, False)}


async def test_the_answer_of_another_session_is_no_account_of_this_one(tmp_path: Path) -> None:
    spec = session()

    def answer(_name: str, _: EndNow) -> Any:
        bench.runtime.end(spec.session_id)
        return flat(session(instance_id=spec.instance_id))

    bench = Bench(tmp_path, answer)
    bench.runtime.put(spec)
    (receipt,) = (await bench.stops.stop(EmergencyStop(deadline_s=1))).receipts
    assert (receipt.is_flat, receipt.stop) == (False, None)
    assert receipt.not_confirmed


async def test_a_start_that_was_let_through_is_killed_when_it_is_done_and_has_its_receipt(
    tmp_path: Path,
) -> None:
    bench, spec = Bench(tmp_path, lambda _name, _request: AWAY), session()
    async with bench.orders.starting(spec) as start:
        stopping = asyncio.get_running_loop().create_task(bench.stops.stop(EmergencyStop(deadline_s=5)))
        async with asyncio.timeout(5):
            while not start.is_caught:
                await asyncio.sleep(0.01)
        bench.runtime.put(spec)
    (receipt,) = (await stopping).receipts
    assert (receipt.session_id, receipt.is_killed, receipt.is_gone, receipt.is_flat) == (
        spec.session_id,
        True,
        True,
        False,
    )
    assert bench.runtime.killed == [spec.session_id]


async def test_a_start_that_came_to_nothing_has_no_receipt_and_one_that_hangs_says_so(tmp_path: Path) -> None:
    bench, nothing, hangs = Bench(tmp_path, lambda _name, _request: AWAY), session(), session()
    async with bench.orders.starting(hangs) as hanging:
        async with bench.orders.starting(nothing) as start:
            stopping = asyncio.get_running_loop().create_task(bench.stops.stop(EmergencyStop(deadline_s=1)))
            async with asyncio.timeout(5):
                while not start.is_caught:
                    await asyncio.sleep(0.01)
        (receipt,) = (await stopping).receipts
        assert (receipt.session_id, receipt.is_gone, receipt.is_flat) == (hangs.session_id, False, False)
        # Whoever starts it kills it then.
        assert hanging.is_caught


async def test_lifting_that_cannot_be_stored_lifts_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    bench = Bench(tmp_path / "state", lambda _name, _request: AWAY)
    with pytest.raises(FaultError) as caught:
        await bench.stops.lift(LiftStop())
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    assert bench.orders.flags


async def test_a_start_that_cannot_be_looked_at_is_killed_and_told_of(tmp_path: Path) -> None:
    """The runtime is away just when the start that was caught is done: nobody knows what came of it, so it is not left out."""
    bench, spec = Bench(tmp_path, lambda _name, _request: AWAY), session()
    async with bench.orders.starting(spec) as start:
        stopping = asyncio.get_running_loop().create_task(bench.stops.stop(EmergencyStop(deadline_s=5)))
        async with asyncio.timeout(5):
            while not start.is_caught:
                await asyncio.sleep(0.01)
        bench.runtime.put(spec)
        bench.runtime.is_away = True
    (receipt,) = (await stopping).receipts
    assert (receipt.session_id, receipt.is_gone, receipt.is_flat) == (spec.session_id, False, False)
    assert "could not be killed" in receipt.not_confirmed[-1]


async def test_a_killed_engine_is_not_flat_although_somebody_answered_for_it(tmp_path: Path) -> None:
    spec = session()
    # A stolen credential answers in order; the engine itself was never told and trades on.
    bench = Bench(tmp_path, lambda _name, _request: flat(spec))
    bench.runtime.put(spec)
    (receipt,) = (await bench.stops.stop(EmergencyStop(deadline_s=1))).receipts
    assert (receipt.is_flat, receipt.is_gone, receipt.is_killed) == (False, True, True)
    assert "it was killed" in receipt.not_confirmed[0]


async def test_a_worker_is_no_engine_it_runs_on_and_has_no_receipt(tmp_path: Path) -> None:
    worker, engine = session(instance_id="worker-h1", worker=WorkerPlan()), session(instance_id="e1")

    def answer(name: str, _: EndNow) -> Any:
        assert name == "e1"
        bench.runtime.end(engine.session_id)
        return flat(engine)

    bench = Bench(tmp_path, answer)
    bench.runtime.put(worker)
    bench.runtime.put(engine)
    done = await bench.stops.stop(EmergencyStop(deadline_s=1))
    assert [receipt.instance_id for receipt in done.receipts] == ["e1"]
    assert bench.runtime.sessions[worker.session_id].status == ContainerStatus.RUNNING
    # Nor is it kept from starting, as every engine is.
    async with bench.orders.starting(worker):
        pass
    with pytest.raises(FaultError):
        async with bench.orders.starting(engine):
            pytest.fail("it was let through")


async def test_a_worker_that_is_named_is_ended_and_kept_from_starting(tmp_path: Path) -> None:
    worker = session(instance_id="worker-h1", worker=WorkerPlan())
    bench = Bench(tmp_path, lambda _name, _request: AWAY)
    bench.runtime.obeys = True
    bench.runtime.put(worker)
    done = await bench.stops.stop(EmergencyStop(instance_id="worker-h1", deadline_s=1))
    assert (done.receipts, bench.runtime.stopped) == ((), [worker.session_id])
    with pytest.raises(FaultError):
        async with bench.orders.starting(worker):
            pytest.fail("it was let through")


async def test_the_same_request_gets_its_receipts_again_and_another_does_not(tmp_path: Path) -> None:
    spec = session()

    def answer(_name: str, _: EndNow) -> Any:
        bench.runtime.end(spec.session_id)
        return flat(spec)

    bench = Bench(tmp_path, answer)
    bench.runtime.put(spec)
    first = await bench.stops.stop(EmergencyStop(deadline_s=1, request_id="r1"))
    assert [receipt.is_flat for receipt in first.receipts] == [True]
    again = await bench.stops.stop(EmergencyStop(deadline_s=1, request_id="r1"))
    assert again.receipts == first.receipts
    assert (await bench.stops.stop(EmergencyStop(deadline_s=1, request_id="r2"))).receipts == ()


async def test_on_a_bus_that_hangs_an_engine_is_told_by_its_runtime_and_not_flat(tmp_path: Path) -> None:
    spec = session()

    class HangingBus(FakeBus):
        async def call(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    bench = Bench(tmp_path, lambda _name, _request: AWAY)
    bus = HangingBus(lambda _name, _request: AWAY)
    bus.is_deaf = True
    runtime: Any = bench.runtime
    stops = EmergencyStops(bus, runtime, bench.orders, "h1", lambda: ())  # type: ignore[arg-type]
    bench.runtime.obeys = True
    bench.runtime.put(spec)
    (receipt,) = (await stops.stop(EmergencyStop(deadline_s=20))).receipts
    assert bench.runtime.stopped == [spec.session_id]
    assert (receipt.is_flat, receipt.is_gone, receipt.is_killed) == (False, True, False)
    assert "its sidecar did not answer" in receipt.not_confirmed[0]


async def test_a_session_is_ending_until_its_end_was_seen(tmp_path: Path) -> None:
    spec, is_asked = session(), asyncio.Event()

    def answer(_name: str, _: EndNow) -> Any:
        is_asked.set()
        return flat(spec)

    bench = Bench(tmp_path, answer)
    bench.runtime.put(spec)
    stopping = asyncio.get_running_loop().create_task(bench.stops.stop(EmergencyStop(deadline_s=5)))
    await is_asked.wait()
    assert bench.stops.is_ending(spec.session_id)
    bench.runtime.end(spec.session_id)
    assert [receipt.is_flat for receipt in (await stopping).receipts] == [True]
    assert not bench.stops.is_ending(spec.session_id)


async def test_lifting_takes_a_stop_that_was_left_in_the_folder_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda _name, _request: AWAY)
    StopFlagFile(tmp_path).leave(EmergencyStop(reason="left"))
    assert (await bench.stops.lift(LiftStop())).flags == ()
    assert await bench.orders.take_left() == ()
    assert bench.orders.flags == ()


async def test_who_asks_for_the_same_while_an_engine_is_just_gone_has_its_receipt_too(tmp_path: Path) -> None:
    """As when the supervisor found the stop on the bus itself a moment before it was asked for it."""
    spec = session()
    answered = asyncio.Event()

    async def answer(*_: Any, **__: Any) -> SessionEnded:
        await answered.wait()
        return flat(spec)

    bench = Bench(tmp_path, lambda _name, _request: AWAY)
    bench.bus.call = answer
    bench.runtime.put(spec)
    request = EmergencyStop(deadline_s=3, request_id="req-1234567890")
    loop = asyncio.get_running_loop()
    first = loop.create_task(bench.stops.stop(request))
    async with asyncio.timeout(5):
        while not bench.stops.is_ending(spec.session_id):
            await asyncio.sleep(0.01)
    bench.runtime.end(spec.session_id)
    second = loop.create_task(bench.stops.stop(request))
    await asyncio.sleep(0.01)
    answered.set()
    receipts = [(await each).receipts for each in (first, second)]
    assert [one.session_id for one in receipts[0]] == [spec.session_id]
    assert receipts[0] == receipts[1]


async def test_a_stop_that_is_cancelled_before_it_asks_anybody_leaves_nothing_that_was_never_awaited(
    tmp_path: Path,
) -> None:
    spec = session()
    bench = Bench(tmp_path, lambda _name, _request: flat(spec))
    bench.runtime.put(spec)
    stopping = asyncio.get_running_loop().create_task(bench.stops.stop(EmergencyStop(deadline_s=5)))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with asyncio.timeout(5):
            while not bench.stops.is_ending(spec.session_id):
                await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait({stopping})
        del stopping
        gc.collect()
    assert [str(each.message) for each in warned] == []


async def test_a_container_is_looked_at_seldom_before_its_sidecar_has_answered_and_often_after(
    tmp_path: Path,
) -> None:
    spec, looks = session(), [0, 0]
    runtime, answered = FakeRuntime(), asyncio.Event()
    inspect = runtime.inspect

    async def counted(session_id: str) -> ContainerFacts:
        looks[answered.is_set()] += 1
        if looks[1] == 3:
            runtime.end(session_id)
        return await inspect(session_id)

    runtime.inspect = counted  # type: ignore[method-assign]
    bench = Bench(tmp_path, lambda _name, _request: None, runtime)

    async def call(_: Any, request: EndNow, *, timeout_s: float, instance_id: str) -> SessionEnded:
        await asyncio.sleep(0.3)
        answered.set()
        return flat(spec)

    bench.bus.call = call
    runtime.put(spec)
    began = asyncio.get_running_loop().time()
    (receipt,) = (await bench.stops.stop(EmergencyStop(deadline_s=5))).receipts
    assert (receipt.is_flat, receipt.is_gone) == (True, True)
    assert looks[0] == 1, "nobody looked again while it was waited for"
    assert asyncio.get_running_loop().time() - began < 0.3 + 0.4


async def test_a_container_that_ends_without_an_answer_is_seen_before_the_deadline(tmp_path: Path) -> None:
    spec = session()
    bench = Bench(tmp_path, lambda _name, _request: None)

    async def call(_: Any, request: EndNow, *, timeout_s: float, instance_id: str) -> SessionEnded:
        bench.runtime.end(spec.session_id, 1)
        return await asyncio.get_running_loop().create_future()

    bench.bus.call = call
    bench.runtime.put(spec)
    async with asyncio.timeout(4):
        (receipt,) = (await bench.stops.stop(EmergencyStop(deadline_s=5))).receipts
    assert (receipt.is_flat, receipt.is_gone, receipt.is_killed) == (False, True, False)
