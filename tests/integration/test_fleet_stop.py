"""An emergency stop over two supervisors on a real bus: receipts, flags, deadlines, and nobody else needed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from flotilla.bus import fleet_stop
from flotilla.bus.bus import Bus, connect
from flotilla.bus.fleet_stop import FleetStop, lift_stops, stop_around, stop_fleet
from flotilla.bus.receipts import are_confirmed, is_confirmed
from flotilla.bus.sightings import Sighted
from flotilla.bus.streams import ensure_streams
from flotilla.schemas.backtest import WorkerPlan
from flotilla.schemas.contract import (
    COMMAND_END_NOW,
    ENGINE_HOLDINGS,
    HEARTBEAT,
    HOST_EMERGENCY_STOP,
    HOST_HEARTBEAT,
    HOST_LIFT_STOP,
    SESSION_KILL,
    STATE,
    Actor,
)
from flotilla.schemas.engine import Holdings, ReadHoldings
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    EmergencyReceipt,
    EmergencyStop,
    EndNow,
    LiftStop,
    SessionEnded,
    WhichSession,
)
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import (
    EngineEvent,
    EventKind,
    Heartbeat,
    HostHeartbeat,
    StateChange,
    StopFlag,
    StopReport,
)
from flotilla.services.supervisor.adapters.place_file import PlaceFile
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.fleet_orders import LOOK_S
from flotilla.services.supervisor.wiring import guest_runtime
from flotilla.stack.own_host import own_host
from flotilla.stack.servers.nats import NatsServer
from tests.fakes.supervised import session
from tests.integration.conftest import ConnectAs
from tests.integration.logins import engine_login
from tests.integration.supervisors import (
    SIDECAR,
    Supervisor,
    environment_of,
    eventually,
    heard,
    listed,
    ready,
    start,
)

HOSTS = ("h1", "h2")
STUBBORN = SIDECAR.replace("exit 0", "")
DEADLINE_S = 6.0


@pytest.fixture
def environments(nats: NatsServer, tmp_path: Path) -> dict[str, dict[str, str]]:
    return {host: environment_of(nats, tmp_path / host, host) for host in HOSTS}


@pytest.fixture
def supervisors(environments: dict[str, dict[str, str]], tmp_path: Path) -> Iterator[dict[str, Supervisor]]:
    made = {host: Supervisor(env, tmp_path / f"{host}.log") for host, env in environments.items()}
    for supervisor in made.values():
        supervisor.start()
    yield made
    for supervisor in made.values():
        if supervisor.process is not None and supervisor.process.poll() is None:
            supervisor.end(signal.SIGTERM)


@pytest.fixture
async def fleet(connect_as: ConnectAs, supervisors: dict[str, Supervisor]) -> AsyncIterator[Bus]:
    """An operator's connection, once both supervisors answer; all that runs is killed afterwards."""
    bus = await connect_as(Actor.OPERATOR)
    await ensure_streams(bus)
    for host in HOSTS:
        await ready(bus, host)
    yield bus
    for host, supervisor in supervisors.items():
        if supervisor.process is None or supervisor.process.poll() is not None:
            supervisor.start()
            await ready(bus, host)
        for facts in (await listed(bus, host)).values():
            if facts.status == ContainerStatus.RUNNING:
                await bus.call(SESSION_KILL, WhichSession(session_id=facts.session_id), host=host)


class Sidecar:
    """Takes END_NOW for an engine that runs, and does as told."""

    def __init__(self, facts: ContainerFacts, *, is_flat: bool = True, takes_s: float = 0.0) -> None:
        self.asked: list[EndNow] = []
        self._facts = facts
        self._is_flat = is_flat
        self._takes_s = takes_s

    @property
    def session_id(self) -> str:
        return self._facts.session_id

    async def listen(self, bus: Bus) -> None:
        await bus.serve(COMMAND_END_NOW, self._end, instance_id=self._facts.instance_id)

    async def _end(self, request: EndNow) -> SessionEnded:
        self.asked.append(request)
        await asyncio.sleep(self._takes_s)
        os.kill(int(self._facts.container_id.removeprefix("pid-")), signal.SIGTERM)
        report = StopReport(policy=StopPolicy.FLATTEN, orders_cancelled=2, is_flat=self._is_flat)
        left = () if self._is_flat else ("order O-1 still open",)
        return SessionEnded(
            instance_id=self._facts.instance_id,
            session_id=self._facts.session_id,
            end=StateChange(state=RunState.STOPPED, stop=report, not_confirmed=left),
        )


async def running(bus: Bus, instance_id: str, host: str = "h1", **sidecar: Any) -> Sidecar:
    made = Sidecar(await start(bus, session(instance_id=instance_id), host), **sidecar)
    await made.listen(bus)
    return made


async def refusal(bus: Bus, instance_id: str, host: str = "h1") -> str:
    with pytest.raises(FaultError) as caught:
        await start(bus, session(instance_id=instance_id), host)
    assert caught.value.fault.code == FaultCode.CONFLICT
    return caught.value.fault.message


def of(receipts: tuple[EmergencyReceipt, ...], instance_id: str) -> EmergencyReceipt:
    (found,) = (receipt for receipt in receipts if receipt.instance_id == instance_id)
    return found


def stop(instance_id: str | None = None, deadline_s: float = DEADLINE_S) -> EmergencyStop:
    return EmergencyStop(instance_id=instance_id, deadline_s=deadline_s, reason="drill")


async def still_running(bus: Bus) -> list[str]:
    return [
        facts.instance_id
        for host in HOSTS
        for facts in (await listed(bus, host)).values()
        if facts.status == ContainerStatus.RUNNING
    ]


async def nothing_held(_: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {}


@pytest.mark.parametrize("actor", [Actor.GATEWAY, Actor.ORCHESTRATOR])
async def test_every_engine_of_every_host_ends_flat_with_a_receipt(
    fleet: Bus, connect_as: ConnectAs, actor: Actor
) -> None:
    sidecars = [await running(fleet, "e1"), await running(fleet, "e2"), await running(fleet, "e3", "h2")]
    asker = await connect_as(actor)
    # The orchestrator is the record: it asks nobody for it.
    held = nothing_held if actor == Actor.ORCHESTRATOR else None
    done = await stop_fleet(asker, stop(), held=held)
    assert asker.client.denied == 0
    assert [(each.instance_id, each.host) for each in done.receipts] == [
        ("e1", "h1"),
        ("e2", "h1"),
        ("e3", "h2"),
    ]
    for receipt in done.receipts:
        assert receipt.is_flat
        assert receipt.is_gone
        assert not receipt.is_killed
        assert receipt.not_confirmed == ()
        assert receipt.stop is not None
        assert receipt.stop.orders_cancelled == 2
        assert receipt.engine_ms is not None
        assert receipt.gone_ms is not None
        assert 0 < receipt.engine_ms < DEADLINE_S * 1000
        assert 0 < receipt.gone_ms < DEADLINE_S * 1000
    assert done.unreached == ()
    assert [(flag.instance_id, flag.reason) for flag in done.flags] == [(None, "drill")]
    assert await still_running(fleet) == []
    assert all(0 < sidecar.asked[0].deadline_s < DEADLINE_S for sidecar in sidecars)


async def test_what_is_not_confirmed_is_never_called_flat(fleet: Bus) -> None:
    await running(fleet, "open", is_flat=False)
    await running(fleet, "mute", takes_s=60)
    await start(fleet, session(instance_id="lost"))
    done = await stop_fleet(fleet, stop(deadline_s=8))
    assert not any(receipt.is_flat for receipt in done.receipts)
    assert all(receipt.is_gone for receipt in done.receipts)
    assert of(done.receipts, "open").not_confirmed == ("order O-1 still open",)
    mute, lost = of(done.receipts, "mute"), of(done.receipts, "lost")
    assert (mute.is_killed, mute.stop, mute.engine_ms) == (True, None, None)
    assert mute.gone_ms is not None
    assert 3900 < mute.gone_ms < 15_000
    assert "not answered within" in mute.not_confirmed[0]
    # Nobody there to ask: it was told by SIGTERM, which this one obeys.
    assert (lost.is_killed, lost.stop) == (False, None)
    assert "nobody answers" in lost.not_confirmed[0]


async def test_one_that_neither_answers_nor_obeys_is_killed_at_the_deadline(
    fleet: Bus, supervisors: dict[str, Supervisor], environments: dict[str, dict[str, str]]
) -> None:
    supervisors["h1"].end(signal.SIGTERM)
    environments["h1"]["FLOTILLA_PROCESS_COMMAND"] = f"/bin/sh -c '{STUBBORN}'"
    supervisors["h1"].start()
    await ready(fleet)
    await start(fleet, session(instance_id="rock"))
    (receipt,) = (await stop_fleet(fleet, stop(deadline_s=3))).receipts
    assert (receipt.is_killed, receipt.is_gone, receipt.is_flat) == (True, True, False)
    assert receipt.gone_ms is not None
    # The deadline counts from the start of the stop, and the host is found within a second.
    assert 1_800 < receipt.gone_ms < 15_000
    assert await still_running(fleet) == []


async def test_a_flag_outlives_kill_9_of_the_supervisor_and_is_seen_until_it_is_lifted(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    await running(fleet, "e1")
    beats: list[HostHeartbeat] = await heard(fleet, HOST_HEARTBEAT)
    await stop_fleet(fleet, stop())
    for host in HOSTS:
        text = await refusal(fleet, "e1", host)
        assert "lift_stop" in text
        assert "drill" in text
    supervisors["h1"].end(signal.SIGKILL)
    supervisors["h1"].start()
    await ready(fleet)
    await refusal(fleet, "another")

    async def last_beat() -> HostHeartbeat | None:
        return next((beat for beat in reversed(beats) if beat.host == "h1"), None)

    await eventually(last_beat, lambda beat: beat is not None and beat.stop_flags)
    left = await lift_stops(fleet, LiftStop())
    assert (left.flags, left.unreached) == ((), ())
    facts = await start(fleet, session(instance_id="e1"))
    assert facts.status == ContainerStatus.RUNNING
    beats.clear()
    await eventually(last_beat, lambda beat: beat is not None and not beat.stop_flags)


async def test_a_stop_and_its_lift_are_told_before_they_are_answered(fleet: Bus) -> None:
    beats: list[HostHeartbeat] = await heard(fleet, HOST_HEARTBEAT)

    async def told() -> list[str | None]:
        await asyncio.sleep(0.05)  # for our own listener to take what came before the answer
        last = next(beat for beat in reversed(beats) if beat.host == "h1")
        return [flag.instance_id for flag in last.stop_flags]

    for _ in range(5):
        await fleet.call(HOST_EMERGENCY_STOP, stop("e1"), host="h1")
        assert await told() == ["e1"]
        await fleet.call(HOST_LIFT_STOP, LiftStop(), host="h1")
        assert await told() == []


async def test_a_stop_of_one_engine_leaves_the_others_alone(fleet: Bus) -> None:
    await running(fleet, "e1")
    other = await running(fleet, "e2")
    done = await stop_fleet(fleet, stop("e1"))
    assert [receipt.instance_id for receipt in done.receipts] == ["e1"]
    assert await still_running(fleet) == ["e2"]
    assert other.asked == []
    await refusal(fleet, "e1")
    await start(fleet, session(instance_id="e3"))
    # Another engine's flag is not this one's.
    assert [flag.instance_id for flag in (await lift_stops(fleet, LiftStop(instance_id="e2"))).flags] == [
        "e1"
    ]
    await refusal(fleet, "e1")
    assert (await lift_stops(fleet, LiftStop(instance_id="e1"))).flags == ()
    await start(fleet, session(instance_id="e1"))


async def test_asking_twice_at_once_and_once_more_is_safe(fleet: Bus) -> None:
    sidecar = await running(fleet, "e1", takes_s=1)
    first, second = await asyncio.gather(stop_fleet(fleet, stop()), stop_fleet(fleet, stop()))
    assert of(first.receipts, "e1").is_flat
    assert of(second.receipts, "e1").is_flat
    assert len(sidecar.asked) == 1
    third = await stop_fleet(fleet, stop())
    assert third.receipts == ()
    assert third.flags == first.flags


async def test_a_host_that_does_not_answer_is_named_and_does_not_hold_up_the_others(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    await running(fleet, "e1")
    supervisors["h2"].end(signal.SIGKILL)
    done = await stop_fleet(fleet, stop(), known_hosts=("h1", "h2", "h3"))
    assert done.unreached == ("h2", "h3")
    assert of(done.receipts, "e1").is_flat
    assert (await lift_stops(fleet, LiftStop(), known_hosts=("h2",))).unreached == ("h2",)


async def test_a_host_that_was_away_for_all_of_a_stop_makes_it_true_before_it_starts_anything(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    await start(fleet, session(instance_id="e1"))
    await start(fleet, session(instance_id="e2"), "h2")
    supervisors["h2"].end(signal.SIGKILL)
    done = await stop_fleet(fleet, stop(deadline_s=3), known_hosts=HOSTS)
    assert (done.unreached, done.is_kept) == (("h2",), True)
    supervisors["h2"].start()
    await ready(fleet, "h2")
    assert "drill" in await refusal(fleet, "e3", "h2")
    await eventually(lambda: still_running(fleet), lambda names: names == [])


async def test_a_host_that_was_away_for_a_lift_starts_engines_again_when_it_is_back(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    await stop_fleet(fleet, stop())
    await stop_fleet(fleet, stop("e2"))
    supervisors["h2"].end(signal.SIGKILL)
    assert (await lift_stops(fleet, LiftStop(), quiet_hosts=HOSTS)).untold == ("h2",)
    await stop_fleet(fleet, stop("e9", deadline_s=2))
    supervisors["h2"].start()
    await ready(fleet, "h2")
    assert (await start(fleet, session(instance_id="e2"), "h2")).status == ContainerStatus.RUNNING
    await refusal(fleet, "e9", "h2")


async def test_a_stop_that_is_lifted_and_asked_for_again_is_in_force_again(fleet: Bus) -> None:
    asked = msgspec.structs.replace(stop(), request_id="req-again-0001")
    await stop_fleet(fleet, asked)
    await lift_stops(fleet, LiftStop())
    await stop_fleet(fleet, asked)
    looks = asyncio.get_running_loop().time() + 2 * LOOK_S
    while asyncio.get_running_loop().time() < looks:
        await refusal(fleet, "e1")
        await asyncio.sleep(0.2)


async def test_a_host_on_which_nothing_runs_is_named_and_is_no_doubt(fleet: Bus) -> None:
    await running(fleet, "e1")
    done = await stop_fleet(fleet, stop(), quiet_hosts=("h1", "h9"), held=nothing_held)
    assert are_confirmed(done)
    assert (done.untold, done.unreached) == (("h9",), ())


async def test_where_no_host_is_in_sight_no_stop_is_said_to_be_lifted(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    await stop_fleet(fleet, stop())
    for one in supervisors.values():
        one.end(signal.SIGKILL)
    with pytest.raises(FaultError, match="no stop was lifted") as caught:
        await lift_stops(fleet, LiftStop())
    assert caught.value.fault.code == FaultCode.UNAVAILABLE


async def test_no_start_slips_through_a_stop_that_comes_meanwhile(fleet: Bus) -> None:
    for delay_s in (0.0, 0.05):
        starts = [
            asyncio.gather(start(fleet, session(instance_id=f"e{n}")), return_exceptions=True)
            for n in range(6)
        ]
        await asyncio.sleep(delay_s)
        done = await fleet.call(HOST_EMERGENCY_STOP, stop(deadline_s=5), host="h1")
        for outcome in [(await each)[0] for each in starts]:
            if isinstance(outcome, FaultError):
                assert outcome.fault.code == FaultCode.CONFLICT
        assert await still_running(fleet) == []
        assert not any(receipt.is_flat for receipt in done.receipts)
        assert all(receipt.is_gone for receipt in done.receipts)
        await lift_stops(fleet, LiftStop())


async def test_flags_that_cannot_be_read_stop_everything_until_all_are_lifted(
    fleet: Bus, supervisors: dict[str, Supervisor], tmp_path: Path
) -> None:
    await stop_fleet(fleet, stop("e9"))
    supervisors["h1"].end(signal.SIGTERM)
    (tmp_path / "h1" / "stop_flags.json").write_text('[{"since": "today"}]')
    supervisors["h1"].start()
    await ready(fleet)
    assert "cannot be read" in await refusal(fleet, "e1")
    left = await lift_stops(fleet, LiftStop(instance_id="e9"))
    assert [flag.instance_id for flag in left.flags] == [None]
    await refusal(fleet, "e1")
    assert (await lift_stops(fleet, LiftStop())).flags == ()
    await start(fleet, session(instance_id="e1"))


async def beating(bus: Bus, facts: ContainerFacts) -> None:
    """A sidecar's heartbeat, once: enough to be known during a stop that listens."""
    beat = Heartbeat(
        instance_id=facts.instance_id,
        session_id=facts.session_id,
        generation=facts.generation,
        beat=1,
        at_ns=1,
        state=RunState.TRADING,
    )
    await bus.publish(HEARTBEAT, beat, instance_id=facts.instance_id)


async def test_it_goes_on_asking_a_supervisor_that_is_away_and_has_the_receipts_of_the_one_that_comes(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    await running(fleet, "e1")
    supervisors["h1"].end(signal.SIGKILL)
    stopping = asyncio.get_running_loop().create_task(
        stop_fleet(fleet, stop(deadline_s=20), known_hosts=HOSTS)
    )
    await asyncio.sleep(0)
    supervisors["h1"].start()
    done = await stopping
    assert done.unreached == ()
    assert is_confirmed(of(done.receipts, "e1"))
    assert await still_running(fleet) == []
    await refusal(fleet, "e1")


async def test_a_frozen_supervisor_has_its_engines_asked_directly_and_it_sets_its_flag_when_it_thaws(
    fleet: Bus, supervisors: dict[str, Supervisor]
) -> None:
    facts = await start(fleet, session(instance_id="e1"))
    await Sidecar(facts).listen(fleet)
    process = supervisors["h1"].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        stopping = asyncio.get_running_loop().create_task(
            stop_fleet(fleet, stop(deadline_s=5), known_hosts=("h1",))
        )
        await asyncio.sleep(0.5)
        await beating(fleet, facts)
        done = await stopping
    finally:
        process.send_signal(signal.SIGCONT)
    assert done.unreached == ("h1",)
    receipt = of(done.receipts, "e1")
    # It said that it is flat, and nobody who answers saw its container end.
    assert (receipt.is_flat, receipt.is_gone, receipt.engine_ms is not None) == (False, False, True)
    assert receipt.stop is not None
    assert receipt.stop.orders_cancelled == 2
    assert "may still run" in receipt.not_confirmed[0]
    assert done.milliseconds < 8_000
    # What was asked of it while it was frozen is done as soon as it lives on.
    await eventually(lambda: _refused(fleet, "e1"), bool)
    assert await still_running(fleet) == []


async def _refused(bus: Bus, instance_id: str) -> bool:
    try:
        await start(bus, session(instance_id=instance_id))
    except FaultError as error:
        return error.fault.code == FaultCode.CONFLICT
    return False


async def test_an_engine_cannot_pretend_to_be_a_host(fleet: Bus, nats: NatsServer) -> None:
    eve = await connect(engine_login(nats, "eve"))

    async def pretend(message: Msg) -> None:
        ping = {"name": "supervisor", "id": "x", "version": "1", "metadata": {"host": "ghost"}}
        await eve.client.publish(message.reply, msgspec.json.encode(ping))

    for to in ("$SRV.PING.supervisor", "$SRV.PING", "$SRV.INFO", "$SRV.STATS"):
        await eve.client.subscribe(to, cb=pretend)
    await eve.client.publish("host.ghost.heartbeat", b"{}")
    await eventually(lambda: _answered(eve.client.denied >= 5), bool)
    done = await stop_fleet(fleet, stop(deadline_s=2))
    assert done.unreached == ()
    await eve.close()


async def _answered(value: bool) -> bool:
    return value


async def test_a_stop_that_was_left_in_the_folder_ends_what_runs_when_the_supervisor_starts(
    fleet: Bus, supervisors: dict[str, Supervisor], tmp_path: Path
) -> None:
    sidecar = await running(fleet, "e1")
    supervisors["h1"].end(signal.SIGKILL)
    StopFlagFile(tmp_path / "h1").leave(EmergencyStop(reason="left here"))
    assert await still_running_on_machine(tmp_path / "h1") == ["e1"]
    supervisors["h1"].start()
    await ready(fleet)
    assert "left here" in await refusal(fleet, "e1")
    await eventually(lambda: still_running(fleet), lambda names: names == [])
    assert len(sidecar.asked) == 1


async def test_flags_that_are_in_force_end_what_runs_when_the_supervisor_starts(
    fleet: Bus, supervisors: dict[str, Supervisor], tmp_path: Path
) -> None:
    await running(fleet, "e1")
    await running(fleet, "e2")
    supervisors["h1"].end(signal.SIGKILL)
    flag = StopFlag(since=datetime.now(UTC), instance_id="e1", reason="drill")
    StopFlagFile(tmp_path / "h1").save((flag,))
    supervisors["h1"].start()
    await ready(fleet)
    await eventually(lambda: still_running(fleet), lambda names: names == ["e2"])


async def test_without_supervisor_and_bus_engines_are_told_by_their_runtime_and_nothing_is_called_flat(
    fleet: Bus, supervisors: dict[str, Supervisor], tmp_path: Path, nats: NatsServer
) -> None:
    await start(fleet, session(instance_id="e1"))
    await start(fleet, session(instance_id="worker-h1", worker=WorkerPlan()))
    supervisors["h1"].end(signal.SIGKILL)
    own = own_host(tmp_path / "h1")
    assert own is not None
    assert own.host == "h1"
    done = await stop_around(own, stop(deadline_s=8))
    (receipt,) = done.receipts
    assert (receipt.instance_id, receipt.is_gone, receipt.is_killed) == ("e1", True, False)
    assert (receipt.is_flat, receipt.is_around_bus) == (False, True)
    assert "SIGTERM" in receipt.not_confirmed[0]
    assert [(flag.instance_id, flag.reason) for flag in done.flags] == [(None, "drill")]
    assert done.unreached == ()
    assert await still_running_on_machine(tmp_path / "h1") == ["worker-h1"]
    named = await stop_around(own, stop("worker-h1", deadline_s=8))
    assert (named.receipts, named.unreached) == ((), ())
    assert await still_running_on_machine(tmp_path / "h1") == []
    supervisors["h1"].start()
    await ready(fleet)
    await refusal(fleet, "e1")


async def still_running_on_machine(folder: Path) -> list[str]:
    """What the process table says of a host's sessions, whoever is dead."""
    place = PlaceFile(folder).load()
    found = await guest_runtime(place, folder).list()
    return sorted(facts.instance_id for facts in found if facts.status == ContainerStatus.RUNNING)


async def test_what_the_record_has_open_is_not_flat_although_its_sidecar_says_so(
    fleet: Bus, connect_as: ConnectAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_stop, "HELD_S", 0.5)
    short, flat = await running(fleet, "short"), await running(fleet, "flat")
    record = await connect_as(Actor.ORCHESTRATOR)

    async def held(request: ReadHoldings) -> Holdings:
        open_still = {short.session_id: ("position SPX.SIM SHORT 10 (X-001) when last heard",)}
        return Holdings(held={one: open_still[one] for one in request.session_ids if one in open_still})

    await record.serve(ENGINE_HOLDINGS, held)
    done = await stop_fleet(fleet, stop())
    doubted = of(done.receipts, "short")
    assert (doubted.is_flat, doubted.is_gone) == (False, True)
    assert "on record position SPX.SIM SHORT 10" in doubted.not_confirmed[0]
    assert is_confirmed(of(done.receipts, "flat"))
    assert flat.session_id != short.session_id


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("actor", [Actor.OPERATOR, Actor.GATEWAY])
async def test_a_session_that_ran_when_it_began_is_told_of_although_nobody_gives_a_receipt_of_it(
    fleet: Bus, connect_as: ConnectAs, supervisors: dict[str, Supervisor], actor: Actor, is_before: bool
) -> None:
    """It ends between the death of its supervisor and the next one, before it beat once more; it said so before the stop began, or since."""
    facts = await start(fleet, session(instance_id="e1"))
    before = await start(fleet, session(instance_id="over"))
    supervisors["h1"].end(signal.SIGKILL)
    os.kill(int(before.container_id.removeprefix("pid-")), signal.SIGTERM)
    await asyncio.sleep(0.5)  # so that it has surely ended before the stop begins
    supervisors["h1"].start()
    flat = StateChange(
        state=RunState.STOPPED, stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True), exit_code=0
    )
    event = EngineEvent(
        instance_id="e1",
        session_id=facts.session_id,
        generation=facts.generation,
        seq=1,
        at_ns=1,
        kind=EventKind.STATE,
        data=flat,
    )
    if is_before:
        await fleet.publish(STATE, event, instance_id="e1")
        await fleet.flush()
    asked = FleetStop(await connect_as(actor), stop(deadline_s=15), known_hosts=("h1",))
    asked.know_sessions(Sighted(one.instance_id, one.session_id, one.generation) for one in (facts, before))
    stopping = asyncio.get_running_loop().create_task(asked.run())
    await asyncio.sleep(0.05)
    os.kill(int(facts.container_id.removeprefix("pid-")), signal.SIGTERM)
    if not is_before:
        await fleet.publish(STATE, event, instance_id="e1")
    done = await stopping
    (receipt,) = done.receipts
    assert receipt.session_id == facts.session_id
    assert is_confirmed(receipt), receipt
