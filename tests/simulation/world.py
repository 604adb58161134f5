"""One seed is one world: machines, services, engines, people who give commands, and trouble. It ends when all is settled, or never will be."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.fleet_stop import stop_fleet
from flotilla.schemas.brakes import BrakeEngine
from flotilla.schemas.config import EngineConfig, RestartPolicy, VenueChoice
from flotilla.schemas.contract import (
    EMERGENCY_STOP,
    ENGINE_HALT,
    ENGINE_REDUCE,
    ENGINE_RESTART,
    ENGINE_RESUME,
    ENGINE_START,
    ENGINE_STOP,
    LIFT_STOP,
    Call,
)
from flotilla.schemas.engine import EngineAccepted, RestartEngine, StartEngine, StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import EmergencyStop, LiftStop
from flotilla.schemas.states import RunState
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.ports import Change
from tests.fakes.memory_record import Store
from tests.simulation.actors import Disk, Machine, Service, StoreTrouble, live, orchestrator, supervisor_of
from tests.simulation.docker import RUNNING, Container, Docker
from tests.simulation.docker import Trouble as DockerTrouble
from tests.simulation.engine import script_of
from tests.simulation.invariants import OVER, Judge
from tests.simulation.loop import Process, SimLoop, Stalled, world_of
from tests.simulation.network import Server
from tests.simulation.network import Trouble as NetworkTrouble

SETTLE_S: Final = 400.0
"""How long everything may take to settle once there is no trouble any more."""
_ASKED_FOR: Final = {
    "fleet.engine.start": "running",
    "fleet.engine.restart": "running",
    "fleet.engine.stop": "stopped",
}
ASKS: Final = 6
"""How often somebody gives a command that he has no answer to."""


class Report(msgspec.Struct, frozen=True):
    """What one seed came to. `story` is what happened, line by line; `turns` counts the steps of all processes."""

    seed: int
    wrong: tuple[str, ...]
    story: tuple[str, ...]
    turns: int
    virtual_s: float


class JudgedStore(Store):
    """A store whose changes are looked at before they are made."""

    judge: Judge

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self._tell = tell

    def save(self, change: Change) -> None:
        known = len(self.judge.wrong)
        self.judge.saves(change)
        try:
            super().save(change)
        except Exception:
            del self.judge.wrong[known:]
            raise
        session = change.engine.session
        self._tell(
            f"record: {change.engine.instance_id} is to be {change.engine.desired},"
            f" {session.session_id} is {session.state}"
            if session
            else f"record: {change.engine.instance_id}"
        )


class World:
    """All that there is in one seed."""

    def __init__(self, loop: SimLoop, seed: int, stdout: int) -> None:
        self.loop, self.random, self.stdout = loop, Random(seed * 7 + 3), stdout
        self.story: list[str] = []
        self.server = Server(loop)
        self.store = JudgedStore(self.tell)
        self.store_trouble = StoreTrouble()
        self.center = Machine(loop, self.server, "center")
        self.hosts: list[Machine] = []
        self.dockers: list[Docker] = []
        self.disks: dict[str, Disk] = {}
        self.is_faulty = True
        self.halted: set[str | None] = set()
        """Engines of which somebody wanted an emergency stop; None is all of them."""
        self.is_handover = self.random.random() < 0.06
        """An account goes from one engine to another while nobody can see the first."""
        for number in range(2 if self.is_handover else self.random.choice((1, 1, 2))):
            self._add_host(f"h{number + 1}", "docker")
        if self.random.random() < 0.2:
            self._add_host("p1", "process")
        self.judge = self.store.judge = Judge(loop, self.store, self.dockers, self.disks)
        self.server.heard = self.judge.heard
        for docker in self.dockers:
            docker.ends, docker.signals = self.judge.ends, self.judge.signals
            docker.passes = partial(self.judge.passes, docker.host)
        lease_ttl_s = 24.0 if self.is_handover else self.random.choice((8.0, 24.0))
        self.orchestrator = orchestrator(self.center, self.store, self.store_trouble, lease_ttl_s, self.tell)
        self.supervisors = [
            supervisor_of(machine, docker, self.disks[docker.host], self.tell)
            for machine, docker in zip(self.hosts, self.dockers, strict=True)
        ]

    def _add_host(self, name: str, kind: str) -> None:
        machine = Machine(self.loop, self.server, name)
        docker = Docker(self.loop, name, kind, machine.wall)
        docker.began = lambda container: self._began(machine, container)
        docker.seen = lambda container: self.tell(
            f"{name}: {container.spec.session_id} is {container.status}"
        )
        self.hosts.append(machine)
        self.dockers.append(docker)
        self.disks[name] = Disk()

    def tell(self, text: str) -> None:
        """One line of the story."""
        self.story.append(f"{self.loop.time():8.3f} {text}")

    def _began(self, machine: Machine, container: Container) -> None:
        self.judge.began(container)
        script = script_of(self.random, is_faulty=self.is_faulty)
        seen = self.judge.of(container)
        seen.engine = live(machine, container, script, self.stdout, seen)

    # -- trouble

    def services(self) -> list[Service]:
        return [self.orchestrator, *self.supervisors]

    async def trouble(self, until: float) -> None:
        """One thing after another goes wrong."""
        random = self.random
        while (now := self.loop.time()) < until:
            await asyncio.sleep(random.uniform(0.2, 6.0))
            if now < until and self.is_faulty:
                self._go_wrong(random.random())

    def _go_wrong(self, chance: float) -> None:
        random = self.random
        if chance < 0.34:
            service = random.choice(self.services())
            service.process.doomed_in = random.choice((0, 1, 2, 3, 5, 8, 13, 30, 80))
            self.tell(f"{service.name} is killed {service.process.doomed_in} steps from now")
        elif chance < 0.48:
            machine = random.choice([self.center, *self.hosts])
            self._for_a_while(f"{machine.name} is cut off", machine.cut, machine.mend, (1.0, 4.0, 11.0, 25.0))
        elif chance < 0.56:
            process = random.choice(self.services()).process
            self._for_a_while(f"{process.name} is suspended", process.stop, process.go_on, (0.5, 3.0, 9.0))
        elif chance < 0.66:
            away = self.store_trouble
            self._for_a_while("the record is away", *_switch(away, "is_away", True, False), (0.5, 3.0, 8.0))
        elif chance < 0.76:
            docker = random.choice(self.dockers)
            docker.frozen_until = self.loop.time() + random.choice((1.0, 4.0, 9.0))
            self.tell(f"{docker.host}: the daemon is frozen until {docker.frozen_until:.1f}")
        elif chance < 0.82:
            self.tell("the bus is restarted")
            self.server.restart(random.choice((0.3, 2.0, 6.0)))
        elif chance < 0.90:
            machine = random.choice([self.center, *self.hosts])
            machine.ahead_s += random.choice((-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0))
            self.tell(f"the clock of {machine.name} is set")
        else:
            running = [
                each
                for docker in self.dockers
                for each in docker.containers.values()
                if each.status == RUNNING
            ]
            if running:
                container = random.choice(running)
                self.tell(f"{container.spec.session_id} is killed from outside")
                container.exit(-9)

    def _for_a_while(self, what: str, begin: Any, end: Any, choices: tuple[float, ...]) -> None:
        seconds = self.random.choice(choices)
        self.tell(f"{what} for {seconds:g} s")
        begin()
        self.loop.outside(seconds, end)

    def unsettle(self) -> None:
        """From now on messages get lost, and so on."""
        random = self.random
        if self.random.random() < 0.7:
            self.server.trouble = NetworkTrouble(
                lost=random.choice((0.004, 0.03)),
                twice=random.choice((0.01, 0.1)),
                late=random.choice((0.03, 0.2)),
                latest_s=random.choice((0.5, 3.0, 9.0)),
            )
        for docker in self.dockers:
            if self.random.random() < 0.5:
                docker.trouble = DockerTrouble(
                    slow=0.1, longest_s=self.random.choice((1.0, 5.0)), fails=0.03, lost=0.02
                )
        self.store_trouble.unknown = 0.02

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.tell("everything is mended")
        self.is_faulty = False
        self.server.trouble = NetworkTrouble()
        self.store_trouble.unknown, self.store_trouble.is_away = 0.0, False
        for docker in self.dockers:
            docker.trouble = DockerTrouble()
        for machine in [self.center, *self.hosts]:
            if machine.is_cut:
                machine.mend()
        for service in self.services():
            service.process.doomed_in = -1
            if service.process.is_stopped:
                service.process.go_on()

    # -- how it ends

    def unsettled(self) -> str:
        """Why it is not over: what is, beside what was asked for; empty once they are the same."""
        for instance_id, wanted in self._wanted().items():
            engine = self.store.engines[instance_id]
            if problem := self._unsettled(engine, wanted):
                return f"{instance_id}: {problem}"
        return ""

    def _wanted(self) -> dict[str, str]:
        """What was asked for last of each engine, by the commands on record."""
        wanted: dict[str, str] = {}
        for command in self.store.commands.values():
            if command.subject in _ASKED_FOR:
                wanted[command.instance_id] = _ASKED_FOR[command.subject]
        # A stop of all may be heard before or after a start: whichever it was stands on record.
        halted = [each for each in wanted if self.halted & {None, each}]
        return wanted | {each: str(self.store.engines[each].desired) for each in halted}

    def _unsettled(self, engine: Engine, wanted: str) -> str:
        session = engine.session
        if engine.desired != wanted:
            return f"was asked to be {wanted} and is to be {engine.desired}"
        if engine.desired == "running" and self.is_flagged(engine.instance_id):
            return "is to be running under a stop flag"
        if session is None:
            return ""
        found = [each for docker in self.dockers for each in docker.containers.values()]
        mine = [each for each in found if each.spec.instance_id == engine.instance_id]
        state = self.store.sessions[session.session_id].state
        if state in OVER:
            is_next_due = engine.pending is not None or engine.restart_at is not None
            if is_next_due and not self._waits_for_account(session.session_id):
                return f"{session.session_id} is {state} and is to be followed by another"
            if mine:
                return f"{session.session_id} is {state} and there is {mine[0].spec.session_id}, {mine[0].status}"
            if wanted == "running" and state == RunState.STOPPED and session.stop is not None:
                return f"{session.session_id} was stopped and is to run"
            return ""
        if wanted == "stopped":
            return f"{session.session_id} is {state}"
        if state != (RunState.IMPAIRED if engine.brake.is_on else RunState.TRADING):
            return f"{session.session_id} is {state}"
        others = [each for each in mine if each.spec.session_id != session.session_id]
        if others or not mine or mine[0].status != RUNNING:
            return f"{session.session_id} is {state} and its container is not all there is"
        return ""

    def is_flagged(self, instance_id: str) -> bool:
        """True while a host has a stop flag that names the engine."""
        flags = [flag for disk in self.disks.values() for flag in disk.flags]
        return any(flag.instance_id in (None, instance_id) for flag in flags)

    def _waits_for_account(self, session_id: str) -> bool:
        """True while another engine has an account that the next session needs; people are told of that."""
        lease = self.store.specs[session_id].lease
        held = [self.store.leases[each] for each in lease.accounts] if lease else []
        return any(each.session_id != session_id and each.free_at is None for each in held)


def _switch(of: Any, name: str, to: Any, back: Any) -> tuple[Any, Any]:
    return lambda: setattr(of, name, to), lambda: setattr(of, name, back)


class Person:
    """Somebody who starts, stops and restarts one engine, and asks again when no answer comes."""

    def __init__(self, world: World, config: EngineConfig) -> None:
        self._world, self._random, self._config = world, world.random, config
        self._pace_s = world.random.choice((0.5, 3.0, 15.0))
        self._answers: dict[str, EngineAccepted] = {}
        self._number = 0

    async def act(self, bus: Bus, until: float) -> None:
        """One command after another."""
        while self._world.loop.time() < until:
            await asyncio.sleep(self._random.uniform(0.0, 1.0) ** 2 * self._pace_s)
            await self.give(bus, *self._next())

    def _next(self) -> tuple[Call[Any, EngineAccepted], Any]:
        chance = self._random.random()
        if self._number == 0 or chance < 0.4:
            return ENGINE_START, self._start()
        if chance < 0.65:
            return ENGINE_RESTART, RestartEngine(**self._named(), confirm_live_trading=self._may())
        return ENGINE_STOP, StopEngine(**self._named(), force=self._random.random() < 0.3)

    async def start(self, bus: Bus) -> None:
        """Gives the command to start it."""
        await self.give(bus, ENGINE_START, self._start())

    async def stop(self, bus: Bus, *, is_forced: bool) -> None:
        """Gives the command to stop it."""
        await self.give(bus, ENGINE_STOP, StopEngine(**self._named(), force=is_forced))

    def _start(self) -> StartEngine:
        named = self._named()
        return StartEngine(
            config=self._config, request_id=named["request_id"], confirm_live_trading=self._may()
        )

    def _named(self) -> dict[str, str]:
        self._number += 1
        return {"instance_id": self._config.instance_id, "request_id": self._request_id}

    @property
    def _request_id(self) -> str:
        return f"{self._config.instance_id}-{self._number}"

    def _may(self) -> bool:
        is_confirmed = self._random.random() < 0.9
        if is_confirmed:
            self._world.judge.confirmed(self._request_id)
        return is_confirmed

    async def give(self, bus: Bus, call: Call[Any, EngineAccepted], request: Any) -> None:
        """Until it is answered, or refused, or a while has passed."""
        what = f"{request.request_id} ({type(request).__name__})"
        for _ in range(ASKS):
            try:
                answer = await bus.call(call, request)
            except FaultError as error:
                self._world.tell(f"{what} is not done: {error.fault.code} {error.fault.message[:80]}")
                if error.fault.code == FaultCode.INTERNAL:
                    self._world.judge.wrong.append(f"{what} failed for a reason of the product's own")
                if error.fault.code not in (FaultCode.OUTCOME_UNKNOWN, FaultCode.UNAVAILABLE):
                    return
                await asyncio.sleep(self._random.uniform(0.1, 2.0))
                continue
            self._world.tell(f"{what} is accepted: {answer.session_id}")
            self._world.judge.acknowledged(request.request_id, answer, self._answers.get(request.request_id))
            self._answers[request.request_id] = answer
            if self._random.random() < 0.9:
                return


class Braker(Person):
    """Somebody who halts an engine, lets it reduce only, and resumes it."""

    def _next(self) -> tuple[Call[Any, EngineAccepted], Any]:
        call = self._random.choice((ENGINE_HALT, ENGINE_HALT, ENGINE_REDUCE, ENGINE_RESUME))
        return call, BrakeEngine(**self._named())

    @property
    def _request_id(self) -> str:
        return f"{self._config.instance_id}-brake-{self._number}"


class Warden:
    """Somebody who has an engine, or all of them, stopped at once, with the orchestrator or without it, and lifts that later."""

    def __init__(self, world: World) -> None:
        self._world, self._random = world, world.random

    async def act(self, bus: Bus, until: float) -> None:
        """One stop, and perhaps its lift."""
        random, loop = self._random, self._world.loop
        await asyncio.sleep(random.uniform(0.0, until - loop.time()))
        name = random.choice((None, "e1"))
        self._world.halted.add(name)
        request = EmergencyStop(
            instance_id=name, deadline_s=random.choice((2.0, 6.0, 15.0)), request_id="emergency-1"
        )
        is_direct = random.random() < 0.5
        await self._try(f"emergency stop of {name or 'all'}", lambda: self._stop(bus, request, is_direct))
        if random.random() < 0.6:
            await asyncio.sleep(random.uniform(0.0, 5.0))
            lift = LiftStop(instance_id=name, request_id="lift-1")
            for _ in range(ASKS):
                await self._try(f"lift of {name or 'all'}", lambda: bus.call(LIFT_STOP, lift))
                await asyncio.sleep(random.uniform(0.5, 3.0))

    async def _stop(self, bus: Bus, request: EmergencyStop, is_direct: bool) -> None:
        if is_direct:
            done = await stop_fleet(bus, request)
        else:
            done = await bus.call(EMERGENCY_STOP, request, timeout_s=request.deadline_s + 8.0)
        self._world.judge.receipts(done)

    async def _try(self, what: str, do: Callable[[], Awaitable[object]]) -> None:
        self._world.tell(f"{what} is asked for")
        try:
            await do()
        except FaultError as error:
            self._world.tell(f"{what}: {error.fault.code} {error.fault.message[:80]}")
        else:
            self._world.tell(f"{what} is answered")


def _live_config(name: str, account: str, restart: RestartPolicy) -> EngineConfig:
    venue = VenueChoice(name="BAZAAR", adapter="bazaar", account=account, secret="key")
    return EngineConfig(
        instance_id=name, engine_type="live", trading_mode="live", venues=(venue,), restart=restart
    )


def _configs(random: Random) -> Iterator[EngineConfig]:
    """The engines: some on paper, some that trade money, on accounts that they may have in common."""
    for number in range(random.choice((1, 1, 2, 3))):
        restart = RestartPolicy(max_restarts=random.choice((0, 1, 2)), backoff_s=random.choice((0.5, 3.0)))
        name = f"e{number + 1}"
        if random.random() < 0.4:
            yield _live_config(name, f"A{random.choice((1, 1, 2))}", restart)
        else:
            yield EngineConfig(engine_type="sandbox", instance_id=name, restart=restart)


async def _live(world: World) -> None:
    operator = Process(world.loop, "gateway")
    bus = await world.center.connect(operator, "gateway")
    await asyncio.sleep(1.5)
    acting = _hand_over(world, operator, bus) if world.is_handover else _anything(world, operator, bus)
    await asyncio.wait(acting)
    for task in acting:
        task.result()
    world.heal()
    await _settle(world)
    world.judge.concludes()


def _anything(world: World, operator: Process, bus: Bus) -> list[asyncio.Task[None]]:
    """People who want this and that of engines while services, machines, bus and stores fail."""
    random = world.random
    until = world.loop.time() + random.choice((2.0, 4.0, 10.0, 20.0, 40.0))
    configs = tuple(_configs(random))
    acting = [operator.run(Person(world, config).act(bus, until)) for config in configs]
    if random.random() < 0.3:
        acting.append(operator.run(Braker(world, configs[0]).act(bus, until)))
    if random.random() < 0.2:
        acting.append(operator.run(Warden(world).act(bus, until)))
    world.judge.is_quiet = random.random() < 0.1
    if not world.judge.is_quiet:
        world.unsettle()
        acting.append(world.loop.create_task(world.trouble(until)))
    return acting


def _hand_over(world: World, operator: Process, bus: Bus) -> list[asyncio.Task[None]]:
    """A host goes out of sight with an engine on it, which is given up; somebody else wants its account."""
    random, asleep = world.random, asyncio.sleep
    first, second = (Person(world, _live_config(f"e{number}", "A1", RestartPolicy())) for number in (1, 2))

    async def act() -> None:
        world.is_faulty = random.random() < 0.3
        await first.start(bus)
        await asleep(random.uniform(4.0, 10.0))
        running = [
            machine
            for machine, docker in zip(world.hosts, world.dockers, strict=True)
            if any(each.spec.instance_id == "e1" for each in docker.containers.values())
        ]
        for machine in running:
            machine.cut()
        world.tell("the engine is out of sight")
        away_until = world.loop.time() + random.choice((20.0, 45.0, 110.0))
        await asleep(random.uniform(11.0, 14.0))
        await first.stop(bus, is_forced=True)
        while world.loop.time() < away_until + 10.0:
            await second.start(bus)
            await asleep(random.uniform(1.0, 6.0))
            if world.loop.time() > away_until:
                for machine in running:
                    machine.mend()

    return [operator.run(act())]


async def _settle(world: World) -> None:
    until = world.loop.time() + SETTLE_S
    quiet = 0
    while quiet < 3:
        quiet = 0 if world.unsettled() else quiet + 1
        if world.loop.time() > until:
            world.judge.wrong.append(f"it never settles: {world.unsettled()}")
            return
        await asyncio.sleep(1.0)


def run(seed: int) -> Report:
    """One seed, the same each time."""
    with world_of(seed) as loop, _nowhere() as stdout:
        world = World(loop, seed, stdout)
        try:
            loop.run_until_complete(_live(world))
        except Stalled:
            world.judge.wrong.append("nothing goes on any more")
        wrong = (*dict.fromkeys(world.judge.wrong), *loop.problems)
        return Report(seed, wrong, tuple(world.story), loop.turns, loop.time())


@contextmanager
def _nowhere() -> Iterator[int]:
    stdout = os.open(os.devnull, os.O_WRONLY)
    try:
        yield stdout
    finally:
        with suppress(OSError):
            os.close(stdout)
