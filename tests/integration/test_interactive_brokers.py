"""Interactive Brokers: a real engine process on the gateway of `exchanges/`, as far as the handshake and the first requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.engine.node_plan import BAND, first_client_id
from flotilla.engine_sidecar.link.frames import Run, Stop
from flotilla.schemas.session import EnginePlan
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from flotilla.stack.servers.ports import free_port
from tests.engine_processes import ROOT, ZygoteProcess, zygote_process
from tests.integration.exchanges.ib_beside import gateway_beside

ACCOUNT = "DU1234567"
VENUE = msgspec.json.decode((ROOT / "templates/venues/interactive_brokers.json").read_bytes())


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


def run(tmp_path: Path, port: int, account: str = ACCOUNT, timeout_s: float = 15.0, **config: Any) -> Run:
    common = {"ibg_host": "127.0.0.1", "ibg_port": port} | config
    node: dict[str, Any] = {
        "environment": "live",
        "timeout_connection": timeout_s,
        "timeout_reconciliation": 10.0,
        "timeout_portfolio": 10.0,
        "timeout_disconnection": 2.0,
        "timeout_post_stop": 0.1,
        "exec_engine": {"inflight_check_interval_ms": 0},
        "data_clients": {"IB": client("data", common)},
        "exec_clients": {"IB": client("execution", common | {"account_id": account})},
    }
    node["exec_clients"]["IB"].pop("factory")
    plan = EnginePlan(trader_id="ENGINE-001", node=node, exec_factories={"IB": VENUE["execution"]["factory"]})
    return Run(
        instance_id="engine-1",
        session_id="session-1",
        plan=plan,
        catalog_path=str(tmp_path),
        log_level="INFO",
        stop_timeout_s=10.0,
    )


def client(side: str, config: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "path": VENUE[side]["path"],
        "factory": {"path": VENUE[side]["factory"]},
        "config": VENUE["defaults"][side] | VENUE["paper"][side] | config,
    }
    return made


def test_an_engine_trades_the_account_with_a_client_of_its_own_for_data_and_for_execution(
    zygote: ZygoteProcess, tmp_path: Path
) -> None:
    with gateway_beside(ACCOUNT, "100000") as gateway:
        engine = zygote.fork(run(tmp_path, gateway.port))
        engine.until_state(RunState.TRADING)
        engine.send(Stop(StopPolicy.CANCEL, 10.0))
        ended, code = engine.until_ended()
        clients, requests = gateway.clients(), gateway.requests()
    assert (ended.reason, code) == (None, 0)
    first = first_client_id("engine-1")
    assert sorted(set(clients)) == [first, first + BAND // 2]
    account = engine.events(EventKind.ACCOUNT)[-1]
    assert account["account_id"] == f"IB-{ACCOUNT}"
    assert account["balances"][0] | {"locked": ""} == {
        "currency": "USD",
        "total": "100000.00",
        "free": "100000.00",
        "locked": "",
    }
    execution = {asked["name"] for asked in requests if asked["client"] == first + BAND // 2}
    assert {"reqAccountSummary", "reqPositions", "reqOpenOrders"} <= execution


def test_client_ids_can_be_chosen(zygote: ZygoteProcess, tmp_path: Path) -> None:
    chosen = run(tmp_path, 0)
    for kind, number in (("data_clients", 71), ("exec_clients", 72)):
        chosen.plan.node[kind]["IB"]["config"]["ibg_client_id"] = number
    with gateway_beside(ACCOUNT, "100000") as gateway:
        for kind in ("data_clients", "exec_clients"):
            chosen.plan.node[kind]["IB"]["config"]["ibg_port"] = gateway.port
        engine = zygote.fork(chosen)
        engine.until_state(RunState.TRADING)
        engine.send(Stop(StopPolicy.CANCEL, 10.0))
        engine.until_ended()
        assert sorted(set(gateway.clients())) == [71, 72]


def test_an_account_that_the_gateway_does_not_have_is_a_failure_of_the_venue(
    zygote: ZygoteProcess, tmp_path: Path
) -> None:
    with gateway_beside("DU7654321", "100000") as gateway:
        ended, code = zygote.fork(run(tmp_path, gateway.port, timeout_s=5.0)).until_ended(30)
    assert (ended.reason, code) == (FailureReason.VENUE, 1), ended
    assert "DU7654321" in ended.detail, ended
    assert ACCOUNT in ended.detail


def test_without_a_gateway_the_session_fails_in_time_and_says_where_it_looked(
    zygote: ZygoteProcess, tmp_path: Path
) -> None:
    port = free_port("127.0.0.1")
    ended, code = zygote.fork(run(tmp_path, port, timeout_s=3.0)).until_ended(30)
    assert (ended.reason, code) == (FailureReason.VENUE, 1), ended
    assert "IB" in ended.detail
    assert f"127.0.0.1:{port}" in ended.detail
