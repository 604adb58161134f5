"""A gateway with a fleet that is only said to be there: engines and hosts that speak on a real bus as sidecars and supervisors do.

It runs in a thread of its own, since who drives a browser waits for it.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sin
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.tokens import add_code
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, EngineView, FleetStatus, SessionList
from flotilla.schemas.ids import InstanceId
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from flotilla.schemas.telemetry import (
    EngineMetrics,
    FeedProgress,
    Heartbeat,
    HostHeartbeat,
    MarkedEquity,
    Resources,
)
from flotilla.services.gateway.service import serve
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.ports import free_port
from tests.access import create_token
from tests.integration import gateways
from tests.integration.logins import engine_login

HOSTS: Final = ("ldn-1", "ny-1", "ny-2")
CURRENCIES: Final = ("USD", "USDT", "EUR", "BTC")
LIVE, PAPER = 3, 60
IMPAIRED: Final = "BYBIT quotes are 48 s old; the limit is 10 s"
_STRATEGIES: Final = ("ema-cross", "grid-maker", "basis", "trend", "breakout", "vwap")


def name_of(index: int) -> str:
    """As a person might name it."""
    return f"{_STRATEGIES[index % len(_STRATEGIES)]}-{index:03}"


def session_of(index: int) -> str:
    return f"20260131-142501-{index:012x}"


def config_of(index: int) -> EngineConfig:
    kinds = {"engine_type": "live", "trading_mode": "live" if index < LIVE else "paper"}
    if index >= PAPER:
        kinds = {"engine_type": "sandbox", "trading_mode": "paper"}
    desk = ("rates", "fx", "crypto")[index % 3]
    return EngineConfig(instance_id=name_of(index), template="sandbox_engine", labels={"desk": desk}, **kinds)


def state_of(index: int) -> RunState:
    """Most trade; one of the live ones is impaired."""
    if index == 1 or index % 29 == 17:
        return RunState.IMPAIRED
    if index % 31 == 23:
        return RunState.FAILED
    return RunState.STOPPED if index % 19 == 11 else RunState.TRADING


def view_of(index: int, state: RunState | None = None, **changes: Any) -> EngineView:
    """The engine as the orchestrator has it on record."""
    run = state or state_of(index)
    now = datetime.now(UTC)
    began = now - timedelta(minutes=7 + index)
    session = gateways.session(
        session_of(index),
        name_of(index),
        state=run,
        generation=1 + index % 5,
        host=HOSTS[index % len(HOSTS)],
        created_at=began,
        started_at=began,
        ended_at=now - timedelta(seconds=60 + index) if run.is_terminal else None,
        reason=FailureReason.OOM if run is RunState.FAILED else None,
        detail="out of memory at 2 GB" if run is RunState.FAILED else IMPAIRED if run is RunState.IMPAIRED else None,
        exit_code=137 if run is RunState.FAILED else None,
    )  # fmt: skip
    known: dict[str, Any] = {
        "instance_id": name_of(index),
        "state": run.for_clients,
        "desired": DesiredState.STOPPED if run is RunState.STOPPED else DesiredState.RUNNING,
        "config": config_of(index),
        "session": session,
        "restarts": 1 if run is RunState.FAILED else 0,
        **changes,
    }
    return EngineView(**known)


def beat_of(index: int, number: int, state: RunState) -> Heartbeat:
    return Heartbeat(
        instance_id=name_of(index),
        session_id=session_of(index),
        generation=1 + index % 5,
        beat=number,
        at_ns=number,
        state=state,
        problems=(IMPAIRED,) if state is RunState.IMPAIRED else (),
        lease_s=22.0,
        resources=Resources(
            cpu_fraction=0.02 + (index * 7 + number) % 30 / 100,
            memory_bytes=(300 + index) << 20,
            memory_limit_bytes=2 << 30,
            pids=5,
        ),
    )


def metrics_of(index: int, number: int) -> EngineMetrics:
    """Money that moves; the same each time."""
    currency = "USD" if index < LIVE else CURRENCIES[index % len(CURRENCIES)]
    swing = Decimal(round(900 * sin(index + number / 5) + 400 * sin(index * 3 + number / 2))) / 10
    equity = Decimal(3) + swing / 100 if currency == "BTC" else Decimal(20_000 + index * 613) + swing
    return EngineMetrics(
        instance_id=name_of(index),
        session_id=session_of(index),
        at_ns=number,
        orders_open=index % 9,
        orders_total=40 + index + number,
        fills_total=30 + index,
        positions_open=index % 4,
        equity=MarkedEquity(currency=currency, amount=equity),
        balances={currency: str(equity)},
        realized_pnl={currency: str(Decimal(index % 13 - 5) * 91 / 10)},
        unrealized_pnl={currency: str(swing)},
        strategies={f"{_STRATEGIES[index % 6].title().replace('-', '')}-000": "RUNNING"},
        feeds=(FeedProgress(venue="BYBIT", events=number, age_s=48.0 if state_of(index) is RunState.IMPAIRED else 0.4),),
    )  # fmt: skip


class Stand:
    """The fleet. What a test changes it tells by `say`; `orchestrator.answers` are what is answered to commands."""

    def __init__(self, folder: Path, nats: NatsServer, engines: int) -> None:
        self.tokens = folder / "tokens.jsonl"
        self.engines = engines
        self.address = ""
        self._nats = nats
        self._states = {index: state_of(index) for index in range(engines)}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand")
        self._parts = AsyncExitStack()
        self._gateway = AsyncExitStack()
        self._sidecars: dict[int, Bus] = {}
        self.settings = msgspec.structs.replace(
            GatewaySettings.from_env({}), tokens_file=self.tokens, port=free_port("127.0.0.1")
        )

    def start(self) -> None:
        for role in Role:
            create_token(self.tokens, str(role), role)
        self._thread.start()
        self.run(self._start(), 60)
        self.open()

    def stop(self) -> None:
        self.close()
        self.run(self._parts.aclose(), 60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run[T](self, work: Coroutine[Any, Any, T], timeout_s: float = 20) -> T:
        """Does it in the thread of the stand."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def open(self) -> None:
        """Starts the gateway, on the port that it had."""
        self.address = self.run(self._open())

    def close(self) -> None:
        """Ends the gateway."""
        self.run(self._gateway.aclose())

    def link(self, role: Role = Role.ADMIN, place: str = "") -> str:
        """An address that signs in once."""
        code, _ = add_code(self.tokens, str(role), now=datetime.now(UTC))
        return f"{self.address}/{place}#code={code}"

    def say(self, index: int, state: RunState, **changes: Any) -> None:
        """What the orchestrator puts on record of an engine, and tells."""
        self._states[index] = state
        self.run(self.orchestrator.publish(view_of(index, state, **changes)))

    def view(self, index: int) -> EngineView:
        """The engine as it is on record."""
        return view_of(index, self._states[index])

    async def _start(self) -> None:
        bus = await self._connect(self._nats.settings(Actor.ORCHESTRATOR))
        await gateways.ensure_streams(bus)
        self.orchestrator = gateways.Orchestrator(bus)
        views = tuple(view_of(index) for index in range(self.engines))
        self.orchestrator.answers |= {
            "fleet.engine.list": EngineList(engines=views, total_count=len(views)),
            "fleet.engine.status": lambda asked: FleetStatus(engine=self._view(asked.instance_id), active=()),
            "fleet.engine.sessions": lambda asked: SessionList(sessions=(self._session(asked.instance_id),)),
        }
        await self.orchestrator.start()
        supervisor = await self._connect(self._nats.settings(Actor.SUPERVISOR))
        self.hosts = {host: gateways.Supervisor(supervisor, host) for host in HOSTS}
        for host in self.hosts.values():
            await host.start()
        for index in range(self.engines):
            if not self._states[index].is_terminal:
                login = engine_login(self._nats, name_of(index), session_of(index))
                self._sidecars[index] = await self._connect(login)
        beating = asyncio.ensure_future(self._keep_beating(supervisor))  # noqa: TID251 - ended with the stand
        self._parts.push_async_callback(_ended, beating)

    async def _connect(self, settings: Any) -> Bus:
        bus = await connect(settings)
        self._parts.push_async_callback(bus.client.close)
        return bus

    async def _open(self) -> str:
        bus = await connect(self._nats.settings(Actor.GATEWAY))
        self._gateway.push_async_callback(bus.client.close)
        return (await self._gateway.enter_async_context(serve(bus, self.settings))).address

    async def _keep_beating(self, supervisor: Bus) -> None:
        number = 0
        while True:
            number += 1
            for index, bus in self._sidecars.items():
                state = self._states[index]
                if not state.is_terminal:
                    name = name_of(index)
                    await bus.publish(contract.HEARTBEAT, beat_of(index, number, state), instance_id=name)
                    await bus.publish(contract.METRICS, metrics_of(index, number), instance_id=name)
            for host in HOSTS:
                beat = HostHeartbeat(host=host, runtime="docker", at_ns=number, cpus=16, memory_bytes=64 << 30,
                                     sessions=self.engines // 3, version="0.1.0", has_cache=True)  # fmt: skip
                await supervisor.publish(contract.HOST_HEARTBEAT, beat, host=host)
            await asyncio.sleep(1)

    def _view(self, instance_id: InstanceId) -> EngineView:
        index = next(one for one in range(self.engines) if name_of(one) == instance_id)
        return self.view(index)

    def _session(self, instance_id: InstanceId) -> Any:
        return self._view(instance_id).session


async def _ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def standing(folder: Path, engines: int = 200) -> Iterator[Stand]:
    """A stand on a bus of its own. To be called by the main thread: servers are started by no other."""
    nats = NatsServer(folder / "nats", FleetKeys(folder / "keys"))
    nats.start()
    stand = Stand(folder, nats, engines)
    stand.start()
    try:
        yield stand
    finally:
        stand.stop()
        nats.stop()
