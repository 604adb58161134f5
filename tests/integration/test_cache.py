"""What comes back of an engine from Redis: after kill -9 of the engine, and of Redis itself while it trades."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from flotilla.engine_sidecar.link.frames import Run, Stop
from flotilla.schemas.session import CacheAccess
from flotilla.schemas.states import FailureReason, StopPolicy
from flotilla.schemas.telemetry import EventKind
from flotilla.services.supervisor.core.cache_user import CacheUser
from flotilla.stack.servers.redis import RedisServer
from tests.engine_processes import ROOT, EngineProcess, ZygoteProcess, run_of, sandbox_node, zygote_process

BAR_TYPE = "SPX.SIM-1-DAY-LAST-EXTERNAL"


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        str(folder),
        "--sample",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    one = RedisServer(tmp_path / "redis")
    one.start()
    yield one
    one.stop()


@pytest.fixture
def access(server: RedisServer) -> CacheAccess:
    """As a supervisor gives it: a user that can touch the keys of one engine only."""
    user = CacheUser(
        instance_id="engine-1",
        session_id="session-1",
        trader_id="ENGINE-001",
        password=secrets.token_hex(16),
    )
    admin(server).execute_command("ACL", "SETUSER", user.name, *user.rules)
    admin(server).execute_command("ACL", "SAVE")
    return CacheAccess(host=server.host, port=server.port, username=user.name, password=user.password)


def admin(server: RedisServer) -> Any:
    return redis.Redis(host=server.host, port=server.port, password=server.password_file.read_text())


def run(catalog: Path, access: CacheAccess | None, name: str = "Remembers") -> Run:
    """Each session replays the same days."""
    strategy = {
        "strategy_path": f"tests.strategies_for_tests:{name}",
        "config_path": "tests.strategies_for_tests:BarsConfig",
        "config": {"bar_type": BAR_TYPE},
    }
    return run_of(catalog, sandbox_node(speed=86_400 * 20, start="2010-01-01"), strategy, cache=access)


def until_told(engine: EngineProcess, kind: EventKind, key: str, value: str, timeout_s: float = 30.0) -> Any:
    """The event of one kind with this value, whether it was heard before or is yet to come."""

    def meant() -> dict[str, Any] | None:
        return next((event for event in engine.events(kind) if event[key] == value), None)

    return meant() or engine.until(lambda _: meant(), timeout_s)


def until_alert(engine: EngineProcess, code: str) -> str:
    message: str = until_told(engine, EventKind.ALERT, "code", code)["message"]
    return message


def until_event(engine: EngineProcess, kind: EventKind, name: str) -> dict[str, Any]:
    event: dict[str, Any] = until_told(engine, kind, "event", name)
    return event


def until_saved(server: RedisServer, key: str, text: bytes = b"") -> None:
    deadline = time.monotonic() + 20
    while text not in (admin(server).dump(f"trader-ENGINE-001:{key}") or b"nothing"):
        assert time.monotonic() < deadline, admin(server).keys("*")
        time.sleep(0.05)


def kill(engine: EngineProcess) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    assert engine.until_exited() == -signal.SIGKILL


def stop(engine: EngineProcess, policy: StopPolicy = StopPolicy.LEAVE) -> tuple[Any, int]:
    engine.send(Stop(policy, 10.0))
    return engine.until_ended()


def balance(event: dict[str, Any]) -> str:
    total: str = event["balances"][0]["total"]
    return total


def until_sold(engine: EngineProcess) -> None:
    """It bought, rests an order, sold half with a profit or loss."""
    until_event(engine, EventKind.POSITION, "PositionChanged")
    until_event(engine, EventKind.ORDER, "OrderAccepted")


def is_new_sale(fill: dict[str, Any]) -> bool:
    return fill["side"] == "SELL" and not fill["is_restored"]


def test_after_kill_9_orders_position_balance_counter_and_state_come_back(
    zygote: ZygoteProcess, catalog: Path, server: RedisServer, access: CacheAccess
) -> None:
    first = zygote.fork(run(catalog, access))
    until_sold(first)
    until_saved(server, "strategies:Remembers-000:state", b"sold")
    kill(first)
    was = balance(first.events(EventKind.ACCOUNT)[-1])
    assert was != "1000000.00"
    resting = until_event(first, EventKind.ORDER, "OrderAccepted")["client_order_id"]

    second = zygote.fork(run(catalog, access))
    assert "1 open orders of 3, 1 open positions of 1" in until_alert(second, "state_restored")
    assert resting in until_alert(second, "orders_forgotten")
    assert until_event(second, EventKind.ORDER, "OrderCanceled")["client_order_id"] == resting
    second.until(lambda _: [fill for fill in second.events(EventKind.FILL) if is_new_sale(fill)])
    stop(second)
    balances = [balance(event) for event in second.events(EventKind.ACCOUNT)]
    assert balances[0] == was
    assert balances[-1] != was, "an account that came back is kept up to date"
    restored, bought_more = second.events(EventKind.POSITION)[:2]
    assert (restored["event"], restored["side"], restored["quantity"]) == ("PositionRestored", "LONG", "50")
    assert bought_more["quantity"] == "150"
    first_order = second.events(EventKind.ORDER)[0]
    assert (first_order["event"], first_order["client_order_id"]) == ("OrderRestored", resting)
    new = {event["client_order_id"] for event in second.events(EventKind.ORDER)} - {resting}
    assert min(int(name.rpartition("-")[2]) for name in new) == 4
    assert any("remembers [('n', b'sold'), ('time', b'never')" in line for line in second.log)


def test_the_engine_trades_on_without_redis_and_writes_all_of_it_again(
    zygote: ZygoteProcess, catalog: Path, server: RedisServer, access: CacheAccess
) -> None:
    first = zygote.fork(run(catalog, access, "BuysEachBar"))
    until_event(first, EventKind.POSITION, "PositionChanged")
    server.kill()
    lost = until_alert(first, "cache_lost")
    assert f"{server.host}:{server.port} is lost" in lost
    fills = len(first.events(EventKind.FILL))
    first.until(lambda _: len(first.events(EventKind.FILL)) > fills + 20)
    # As bad as it gets: nothing is left of what was written.
    for file in (server.password_file.parent / "appendonlydir").iterdir():
        file.unlink()
    server.start()
    assert "written anew" in until_alert(first, "cache_back")
    kill(first)
    quantity = first.events(EventKind.POSITION)[-1]["quantity"]
    orders = len({event["client_order_id"] for event in first.events(EventKind.ORDER)})

    second = zygote.fork(run(catalog, access, "BuysEachBar"))
    restored = until_alert(second, "state_restored")
    until_event(second, EventKind.POSITION, "PositionChanged")
    stop(second)
    assert not [event for event in second.events(EventKind.ALERT) if event["code"] == "cache_incomplete"]
    came_back, next_one = second.events(EventKind.POSITION)[:2]
    assert (came_back["event"], came_back["quantity"]) == ("PositionRestored", quantity)
    grown = int(next_one["quantity"]) - int(quantity)
    assert (grown, f" of {orders}, 1 open" in restored) == (100, True), restored


def test_without_redis_at_its_start_an_engine_fails_and_says_why(
    zygote: ZygoteProcess, catalog: Path, server: RedisServer, access: CacheAccess
) -> None:
    wrong = msgspec.structs.replace(access, password="not the password")
    ended, _ = zygote.fork(run(catalog, wrong)).until_ended()
    assert (ended.reason, "WRONGPASS" in ended.detail) == (FailureReason.VENUE, True), ended
    assert "not the password" not in ended.detail
    server.kill()
    ended, _ = zygote.fork(run(catalog, access)).until_ended()
    assert ended.reason is FailureReason.VENUE
    assert f"Redis at {server.host}:{server.port}" in ended.detail


def test_what_redis_has_but_nobody_can_restore_is_told(
    zygote: ZygoteProcess, catalog: Path, server: RedisServer, access: CacheAccess
) -> None:
    first = zygote.fork(run(catalog, access))
    until_sold(first)
    kill(first)
    admin(server).delete("trader-ENGINE-001:instruments:SPX.SIM")
    second = zygote.fork(run(catalog, access))
    assert "position SPX.SIM-Remembers-000" in until_alert(second, "cache_incomplete")
    stop(second)


def test_one_engine_can_touch_its_own_keys_only(
    zygote: ZygoteProcess, catalog: Path, server: RedisServer, access: CacheAccess
) -> None:
    engine = zygote.fork(run(catalog, access))
    until_sold(engine)
    stop(engine, StopPolicy.FLATTEN)
    assert {key.partition(b":")[0] for key in admin(server).keys("*")} == {b"trader-ENGINE-001"}
    user = redis.Redis(host=server.host, port=server.port, username=access.username, password=access.password)
    with pytest.raises(redis.exceptions.NoPermissionError):
        user.get("trader-OTHER-001:accounts:SIM-001")
    again = zygote.fork(run(catalog, access))
    restored = until_alert(again, "state_restored")
    assert "0 open orders of" in restored, "an orderly stop is kept to its last event"
    assert "0 open positions of 1" in restored
    stop(again)
