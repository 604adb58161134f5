"""What a supervisor lets start, said on the wire: no disguise of live trading passes, and secrets and Redis come only when all is well."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.bus.secret_store import SecretStore
from flotilla.schemas.contract import HOST_HEARTBEAT, SESSION_KILL, SESSION_REMOVE, Actor
from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.secrets import SecretBinding
from flotilla.schemas.session import EnginePlan, Launch, SessionSpec, WhichSession
from flotilla.schemas.states import TradingMode
from flotilla.schemas.telemetry import HostHeartbeat
from flotilla.stack.servers.redis import RedisServer
from tests.fakes.supervised import session
from tests.integration.conftest import ConnectAs
from tests.integration.supervisors import (
    Supervisor,
    eventually,
    heard,
    listed,
    ready,
    start,
)

BINANCE = "nautilus_trader.adapters.binance.factories:BinanceLiveExecClientFactory"
BINANCE_CONFIG = "nautilus_trader.adapters.binance.config:BinanceExecClientConfig"
SIMULATED = "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"
VALUE = "VERY-SECRET-VALUE"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def orchestrator(connect_as: ConnectAs, supervisor: Supervisor) -> AsyncIterator[Bus]:
    bus = await connect_as(Actor.ORCHESTRATOR)
    await ready(bus)
    yield bus
    for session_id in await listed(bus):
        await bus.call(SESSION_KILL, WhichSession(session_id=session_id), host="h1")


def plan(
    factory: str, config: dict[str, Any] | None = None, *, path: str = "m:C", **change: Any
) -> EnginePlan:
    node = {"exec_clients": {"X": {"path": path, "config": config or {}}}}
    return EnginePlan(**({"trader_id": "E1-001", "node": node, "exec_factories": {"X": factory}} | change))


def store_of(folder: Path) -> SecretStore:
    return SecretStore(folder / "state" / "secrets", folder / "state" / "keys" / "secrets.key")


async def answer_to(bus: Bus, **change: Any) -> Fault:
    """What a raw body is answered that asks for a session with these changes."""
    spec = msgspec.json.decode(msgspec.json.encode(session(plan=plan(SIMULATED)))) | change
    body = msgspec.json.encode({"spec": spec})
    answer = await bus.client.request("host.h1.engine.start", body, timeout=5)
    return msgspec.json.decode(answer.data, type=Fault)


DISGUISES: tuple[tuple[dict[str, Any], FaultCode], ...] = (
    ({"engine_type": "live", "trading_mode": "live"}, FaultCode.FORBIDDEN),
    ({"engine_type": "live", "trading_mode": "live", "confirm_live_trading": True}, FaultCode.FORBIDDEN),
    ({"engine_type": "LIVE", "trading_mode": "live"}, FaultCode.INVALID),
    ({"engine_type": "live", "trading_mode": "Live"}, FaultCode.INVALID),
    ({"engine_type": "live ", "trading_mode": "live"}, FaultCode.INVALID),
    ({"engine_type": "live", "trading_mode": "\u200blive"}, FaultCode.INVALID),
    ({"engine_type": "live", "trading_mode": None}, FaultCode.INVALID),
    ({"engine_type": ["live"], "trading_mode": "paper"}, FaultCode.INVALID),
    ({"confirm_live_trading": "yes"}, FaultCode.INVALID),
    ({"confirm_live_trading": 1}, FaultCode.INVALID),
    ({"Confirm_live_trading": True}, FaultCode.INVALID),
    ({"plan": plan(BINANCE)}, FaultCode.FORBIDDEN),
    ({"plan": plan(BINANCE, {"environment": "TESTNET"})}, FaultCode.FORBIDDEN),
    ({"plan": plan(f" {SIMULATED}")}, FaultCode.FORBIDDEN),
    ({"plan": plan(SIMULATED.upper())}, FaultCode.FORBIDDEN),
    ({"plan": plan(BINANCE, {"environment": "LIVE"}), "engine_type": "paper"}, FaultCode.FORBIDDEN),
    (
        {
            "plan": plan(BINANCE, {"environment": "TESTNET", "base_url_http": "https://api.binance.com"}),
            "engine_type": "paper",
        },
        FaultCode.FORBIDDEN,
    ),
)


async def test_no_disguise_of_live_trading_passes_and_nothing_is_left(
    orchestrator: Bus, tmp_path: Path
) -> None:
    for change, code in DISGUISES:
        assert (await answer_to(orchestrator, **change)).code == code, change
    assert list((tmp_path / "state" / "sessions").iterdir()) == []


async def test_secrets_reach_the_engine_by_name_and_stand_nowhere_else(
    orchestrator: Bus, supervisor: Supervisor, tmp_path: Path
) -> None:
    store = store_of(tmp_path)
    file = tmp_path / "state" / "secrets" / "keys.json"
    paper = plan(BINANCE, {"environment": "TESTNET"}, secrets={"X": "keys"}, path=BINANCE_CONFIG)
    spec = session(engine_type="paper", plan=paper)

    async def refusal(problem: str, given: SessionSpec = spec) -> None:
        with pytest.raises(FaultError) as caught:
            await start(orchestrator, given)
        assert caught.value.fault.code == FaultCode.INVALID
        assert problem in caught.value.fault.message
        assert VALUE not in caught.value.fault.message

    await refusal("is not in the secret store")
    store.save("keys", {"api_key": VALUE}, SecretBinding(adapter="nautilus_trader.adapters.bybit"))
    await refusal("is bound to another adapter")
    store.bind("keys", SecretBinding(adapter="nautilus_trader.adapters.binance", modes=(TradingMode.LIVE,)))
    await refusal("spec.trading_mode: ")
    store.bind("keys", SecretBinding(adapter="nautilus_trader.adapters.binance"))
    elsewhere = plan(
        BINANCE,
        {"environment": "TESTNET", "proxy_url": "http://evil.example"},
        secrets={"X": "keys"},
        path=BINANCE_CONFIG,
    )
    await refusal(
        "spec.plan.node.exec_clients.X.config.proxy_url: ", session(engine_type="paper", plan=elsewhere)
    )
    kept = file.read_text()
    file.write_text(f'{{"api_key": "{VALUE}"}}')
    await refusal("is not encrypted yet")
    file.write_text(kept.replace("adapters.binance", "adapters.binancf"))
    await refusal("was edited")
    file.write_text(kept)
    file.chmod(0o644)
    await refusal("chmod 600")
    file.chmod(0o600)
    facts = await start(orchestrator, spec)
    output = tmp_path / "state" / "sessions" / spec.session_id / "output.log"

    async def told() -> bytes:
        return output.read_bytes()

    launch = msgspec.json.decode(await eventually(told, lambda text: text.endswith(b"\n")), type=Launch)
    assert launch.secrets == {"keys": {"api_key": VALUE}}
    assert launch.spec == spec
    assert VALUE not in msgspec.json.encode(facts).decode()
    assert VALUE not in (tmp_path / "supervisor.log").read_text()
    others = [path for path in (tmp_path / "state").rglob("*") if path.is_file() and path != output]
    assert file in others
    assert not any(VALUE.encode() in path.read_bytes() for path in others)


async def test_secrets_of_an_earlier_release_are_encrypted_at_the_supervisors_start(
    orchestrator: Bus, supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.end(signal.SIGTERM)
    file = tmp_path / "state" / "secrets" / "keys.json"
    file.parent.mkdir(mode=0o700)
    file.write_text(f'{{"api_key": "{VALUE}"}}')
    file.chmod(0o600)
    supervisor.start()
    await ready(orchestrator)
    assert VALUE not in file.read_text()
    warned = [line for line in supervisor.log() if line.get("secret") == "keys"]
    assert warned
    for config, is_given in (
        ({"environment": "TESTNET"}, True),
        ({"environment": "TESTNET", "proxy_url": "http://a"}, False),
    ):
        spec = session(
            instance_id=f"e-{is_given}".lower(),
            engine_type="paper",
            plan=plan(BINANCE, config, secrets={"X": "keys"}, path=BINANCE_CONFIG),
        )
        if is_given:
            await start(orchestrator, spec)
        else:
            with pytest.raises(FaultError, match="flotilla secret bind keys"):
                await start(orchestrator, spec)
        assert (spec.session_id in await listed(orchestrator)) == is_given


async def test_an_engine_that_keeps_state_gets_its_own_user_and_needs_redis(
    orchestrator: Bus,
    supervisor: Supervisor,
    environment: dict[str, str],
    redis: RedisServer,
    tmp_path: Path,
) -> None:
    beats: list[HostHeartbeat] = await heard(orchestrator, HOST_HEARTBEAT)
    spec = session(uses_cache=True, plan=plan(SIMULATED))

    async def cache_seen() -> bool | None:
        return beats[-1].has_cache if beats else None

    await eventually(cache_seen, lambda seen: seen is False)
    with pytest.raises(FaultError) as caught:
        await start(orchestrator, spec)
    assert (caught.value.fault.code, "FLOTILLA_REDIS_URL" in caught.value.fault.message) == (
        FaultCode.UNAVAILABLE,
        True,
    )
    supervisor.end(signal.SIGTERM)
    environment |= {
        "FLOTILLA_REDIS_URL": redis.url,
        "FLOTILLA_REDIS_PASSWORD_FILE": str(redis.password_file),
        "FLOTILLA_ENGINE_REDIS_HOST": "redis.example",
        "FLOTILLA_ENGINE_REDIS_PORT": "7000",
    }
    await orchestrator.flush()
    before = len(beats)
    supervisor.start()
    await ready(orchestrator)
    await eventually(cache_seen, bool)
    assert all(beat.has_cache for beat in beats[before:]), "the first one says so already"
    facts = await start(orchestrator, spec)
    output = tmp_path / "state" / "sessions" / spec.session_id / "output.log"

    async def told() -> bytes:
        return output.read_bytes()

    launch = msgspec.json.decode(await eventually(told, lambda text: text.endswith(b"\n")), type=Launch)
    assert launch.cache is not None
    assert (launch.cache.host, launch.cache.port, launch.cache.username) == (
        "redis.example",
        7000,
        "engine-e1",
    )
    assert launch.cache.password not in (tmp_path / "supervisor.log").read_text()
    assert launch.cache.password not in msgspec.json.encode(facts).decode()

    await asyncio.to_thread(redis.kill)
    await eventually(cache_seen, lambda seen: seen is False)
    late = session(instance_id="e2", uses_cache=True, plan=plan(SIMULATED))
    with pytest.raises(FaultError) as caught:
        await start(orchestrator, late)
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    assert late.session_id not in await listed(orchestrator)
    await asyncio.to_thread(redis.start)
    await eventually(cache_seen, bool)
    await start(orchestrator, late)
    await orchestrator.call(SESSION_KILL, WhichSession(session_id=spec.session_id), host="h1")
    await orchestrator.call(SESSION_REMOVE, WhichSession(session_id=spec.session_id), host="h1")
