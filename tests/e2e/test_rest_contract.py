"""What an API of this shape has been known to get wrong, each on a real stack: docs/rest-contract.md says which is pinned where."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.telemetry import EngineEvent, Fill, PositionUpdate
from tests.e2e.engines import PACED, eventually, paced, stopped, trading
from tests.e2e.rest import ENGINE, ENGINES, Rest
from tests.e2e.stacks import RunningStack

ROOT = Path(__file__).parents[2]
EMERGENCY = f"{ENGINE}/emergency-stop"
TEMPLATES = f"{ENGINE}/strategies/templates"
VALIDATE = f"{ENGINE}/strategies/validate"
BROKEN = {
    "name": "classless",
    "description": "Names a class that nobody wrote.",
    "strategy_class": "NoSuch",
    "strategy_path": "no.such.module:NoSuch",
    "config_path": "no.such.module:NoSuchConfig",
    "config": {},
}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One stack of local processes, whose engines can import the strategies of our tests; with templates of its own, all broken."""
    made = RunningStack("process", env={"PYTHONPATH": str(ROOT), "FLOTILLA_STRATEGY_MODULES": "tests"})
    own = made.root / "templates/strategies"
    own.mkdir(parents=True)
    (own / "classless.json").write_text(json.dumps(BROKEN))
    (own / "torn.json").write_text('{"name": "torn"')
    made.start("--templates", str(own.parent))
    yield made
    made.remove()


@pytest.fixture
async def rest(stack: RunningStack) -> AsyncIterator[Rest]:
    """Its REST API."""
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


def body(config: EngineConfig, **more: Any) -> dict[str, Any]:
    return {"config": {**msgspec.to_builtins(config), **more}}


def holding(instance_id: str) -> EngineConfig:
    """An engine that holds a position and an order far from the market, and does nothing more."""
    bars = {"bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL"}
    strategy = StrategyChoice(
        strategy_path="tests.strategies_for_tests:HoldsAndRests",
        config_path="tests.strategies_for_tests:BarsConfig",
        config=bars,
    )
    return msgspec.structs.replace(paced(instance_id), strategies=(strategy,))


async def status_of(rest: Rest, name: str) -> Any:
    return (await rest.done("GET", f"{ENGINE}/status?instance_id={name}"))["status"]


async def metrics_of(rest: Rest, name: str) -> Any:
    return (await rest.done("GET", f"{ENGINES}/{name}/metrics"))["metrics"] or {}


async def test_running_is_said_of_an_engine_that_trades_and_of_no_other(rest: Rest) -> None:
    await rest.done("POST", f"{ENGINE}/start", body(paced("truthful")))
    seen: list[str] = []
    async with asyncio.timeout(60):
        while (now := await status_of(rest, "truthful"))["state"] != "running":
            seen.append(now["state"])
            assert now["health_check"].get("status", "starting") != "healthy", now
            await asyncio.sleep(0.02)  # nobody may ask more than 200 times a second
    assert set(seen) <= {"starting"}
    assert now["health_check"]["run_state"] == "trading"

    async def fills() -> Any:
        return (await metrics_of(rest, "truthful")).get("fills_total")

    await eventually(fills, what="a fill")
    metrics = await metrics_of(rest, "truthful")
    assert set(metrics["strategies"].values()) == {"RUNNING"}
    status, health = await rest.call("GET", f"{ENGINE}/health")
    assert (status, health["service"]) == (200, "nautilus-engine-api")
    assert (health["status"], health["engine_state"]) == ("healthy", "running")
    stop = await rest.done("POST", f"{ENGINES}/truthful/stop?wait=true")
    assert stop["data"]["session"]["stop"]["is_flat"] is True, stop
    assert stop["message"] == "truthful has stopped"


async def test_logs_are_the_engines_own_and_are_kept_when_its_container_is_gone(
    rest: Rest, fleet: Flotilla
) -> None:
    await trading(fleet, paced("talker"))
    lines = (await rest.done("GET", f"{ENGINES}/talker/logs?lines=1000"))["logs"]
    assert any("TALKER-001.TradingNode" in line for line in lines), lines[:20]
    assert any("TALKER-001.EMACross" in line for line in lines), lines[-20:]
    await stopped(fleet, "talker")
    kept = await rest.done("GET", f"{ENGINES}/talker/logs?lines=1000")
    assert kept["total_lines"] >= len(lines)
    # What was there is still there, in the same order.
    assert not Counter(lines) - Counter(kept["logs"]) or kept["total_lines"] > 1000

    async def is_the_end_of_all() -> bool:
        # Log lines follow on a feed of their own: some may come after the end is known.
        last = await rest.done("GET", f"{ENGINES}/talker/logs?lines=3")
        everything = await rest.done("GET", f"{ENGINES}/talker/logs?lines=1000")
        return bool(last["logs"] == everything["logs"][-3:])

    await eventually(is_the_end_of_all, what="the last three lines of its log")


async def test_a_stored_configuration_is_what_the_next_start_and_restart_use(rest: Rest) -> None:
    stored = await rest.done("PUT", f"{ENGINE}/config", body(paced("stored"), max_memory="700m"))
    assert stored["state"] == "config_updated"
    assert (await status_of(rest, "stored"))["state"] == "stopped"
    started = await rest.done("POST", f"{ENGINES}/stored/start?wait=true")
    assert (started["state"], started["data"]["config"]["max_memory"]) == ("running", "700m")
    assert await _memory_limit(rest, "stored") == 700 << 20
    await rest.done("PUT", f"{ENGINES}/stored/config", body(paced("stored"), max_memory="600m"))
    assert await _memory_limit(rest, "stored") == 700 << 20, "what runs goes on as it is"
    again = await rest.done("POST", f"{ENGINES}/stored/restart?wait=true")
    assert again["data"]["session"]["session_id"] != started["data"]["session_id"]
    assert again["data"]["previous_session"]["session_id"] == started["data"]["session_id"]
    assert await _memory_limit(rest, "stored") == 600 << 20
    await rest.done("POST", f"{ENGINES}/stored/stop?wait=true")


async def _memory_limit(rest: Rest, name: str) -> int:
    async def limit() -> Any:
        return (await status_of(rest, name))["resource_usage"].get("memory_limit_bytes")

    return int(await eventually(limit, what="the figures"))


async def test_figures_are_the_sums_of_the_engines_own_fills(rest: Rest, fleet: Flotilla) -> None:
    """The whole of the sample data in some seconds; then nothing moves any more."""
    config = paced("counted", speed=PACED * 400)
    assert config.strategies is not None
    slower = {**config.strategies[0].parameters, "fast_ema_period": 5, "slow_ema_period": 20}
    strategy = StrategyChoice(template="ema_cross", parameters=slower)
    stays = {**config.parameters, "on_end": "idle"}
    await trading(fleet, msgspec.structs.replace(config, strategies=(strategy,), parameters=stays))

    async def settled() -> Any:
        metrics = await metrics_of(rest, "counted")
        feeds = metrics.get("feeds", [])
        is_over = feeds and all(feed["is_finished"] for feed in feeds)
        fills = await _fills(fleet, "counted") if is_over else []
        return (metrics, fills) if fills and metrics["fills_total"] == len(fills) else None

    metrics, fills = await eventually(settled, 60, "the end of the data, with every fill on record")
    held = sum(Decimal(fill.last_qty) * (1 if fill.side == "BUY" else -1) for fill in fills)
    assert len(fills) > 100
    assert Decimal(metrics["net_positions"].get("SPX.SIM", "0")) == held
    realized = await _realized(fleet, "counted")
    assert Decimal(metrics["realized_pnl"]["USD"].split()[0]) == realized != 0
    await stopped(fleet, "counted")


async def _fills(fleet: Flotilla, name: str) -> list[Fill]:
    return [
        msgspec.convert(msgspec.to_builtins(event), EngineEvent[Fill]).data
        async for event in fleet.all_events(name, kind="fill")
    ]


async def _realized(fleet: Flotilla, name: str) -> Decimal:
    """What positions made when they closed, and the open one so far: one position of an instrument follows the other."""
    closed, open_one = Decimal(0), Decimal(0)
    async for event in fleet.all_events(name, kind="position"):
        update = msgspec.convert(msgspec.to_builtins(event), EngineEvent[PositionUpdate]).data
        open_one = Decimal(update.realized_pnl.split()[0])
        if update.event == "PositionClosed":
            closed, open_one = closed + open_one, Decimal(0)
    return closed + open_one


async def test_limits_reach_the_risk_engine_and_deny_what_is_over_them(rest: Rest, fleet: Flotilla) -> None:
    await rest.done("POST", f"{ENGINE}/start?wait=true", body(holding("limited"), max_position_size=1000.0))

    async def denials() -> list[Any]:
        page = await rest.done("GET", f"{ENGINES}/limited/events?kind=order")
        return [one["data"] for one in page["events"] if one["data"]["event"] == "OrderDenied"]

    denied = await eventually(denials, what="an order that is denied")
    assert "NOTIONAL" in denied[0]["reason"].upper(), denied
    metrics = await eventually(lambda: metrics_of(rest, "limited"), what="metrics")
    assert metrics["fills_total"] == 0
    await stopped(fleet, "limited")


async def test_an_emergency_stop_cancels_orders_closes_positions_and_keeps_engines_stopped(
    rest: Rest,
) -> None:
    for name in ("held", "also-held"):
        await rest.done("POST", f"{ENGINE}/start?wait=true", body(holding(name)))

        async def holds(name: str = name) -> bool:
            metrics = await metrics_of(rest, name)
            return bool(metrics.get("orders_open") and metrics.get("positions_open"))

        await eventually(holds, what=f"an open order and a position of {name}")
    reply = await rest.done("POST", EMERGENCY, {"reason": "drill"})
    assert reply["state"] == "stopped"
    receipts = {receipt["instance_id"]: receipt for receipt in reply["data"]["receipts"]}
    for receipt in (receipts["held"], receipts["also-held"]):
        assert (receipt["orders_cancelled"], receipt["positions_closed"]) == (1, 1), receipt
        assert (receipt["confirmed_flat"], receipt["container_gone"]) == (True, True), receipt
        assert receipt["not_confirmed"] == []
        assert None not in receipt["milliseconds"].values()
    status, refused = await rest.call("POST", f"{ENGINES}/held/start")
    assert (status, refused["code"]) == (409, "conflict")

    async def is_marked() -> Any:
        return (await status_of(rest, "held"))["stop_flag"]

    flag = await eventually(is_marked, what="the stop flag")
    assert flag["reason"] == "drill"
    assert (await status_of(rest, "held"))["state"] == "stopped"
    lifted = await rest.done("DELETE", EMERGENCY)
    assert lifted["data"]["flags"] == []

    async def starts() -> bool:
        return (await rest.call("POST", f"{ENGINES}/held/start"))[0] == 200

    await eventually(starts, what="a start after the stop was lifted")
    await rest.done("POST", f"{ENGINES}/held/stop?wait=true")


async def test_an_emergency_stop_needs_neither_orchestrator_nor_database(
    stack: RunningStack, rest: Rest
) -> None:
    await rest.done("POST", f"{ENGINE}/start?wait=true", body(holding("unattended")))
    with stack.without("orchestrator", "postgres"):
        reply = await rest.done("POST", f"{ENGINES}/unattended/emergency-stop")
        assert [one["instance_id"] for one in reply["data"]["receipts"]] == ["unattended"]
    await rest.done("DELETE", f"{ENGINES}/unattended/emergency-stop")

    async def is_on_record() -> bool:
        _, told = await rest.call("GET", f"{ENGINE}/status?instance_id=unattended")
        return bool(told["status"]["state"] == "stopped")

    await eventually(is_on_record, 60, "the record of its end, once there is one again")


async def test_strategies_come_and_go_while_the_engine_trades(rest: Rest, fleet: Flotilla) -> None:
    await trading(fleet, paced("changing"))
    strategies = f"{ENGINES}/changing/strategies"
    (first,) = (await rest.done("GET", strategies))["strategies"]
    assert first["strategy_class"].endswith(":EMACross")
    assert first["state"] == "RUNNING"
    parameters = {"instrument_id": "IXIC.SIM", "bar_type": "IXIC.SIM-1-DAY-LAST-EXTERNAL"}
    added = await rest.done(
        "POST", strategies, {"strategy": {"template": "ema_cross", "parameters": parameters}}
    )
    second = added["data"]["strategy_id"]
    assert second != first["strategy_id"]

    async def states() -> dict[str, str]:
        listed = (await rest.done("GET", strategies))["strategies"]
        return {one["strategy_id"]: one["state"] for one in listed}

    assert await states() == {first["strategy_id"]: "RUNNING", second: "RUNNING"}
    await rest.done("POST", f"{strategies}/{second}/stop", {"policy": "flatten"})
    assert await states() == {first["strategy_id"]: "RUNNING", second: "STOPPED"}
    await rest.done("POST", f"{strategies}/{second}/start")
    await rest.done("DELETE", f"{strategies}/{second}")
    assert await states() == {first["strategy_id"]: "RUNNING"}
    status, _ = await rest.call("POST", f"{strategies}/{second}/start")
    assert status == 404
    await stopped(fleet, "changing")
    status, _ = await rest.call("GET", strategies)
    assert status == 409


async def test_a_template_whose_class_does_not_exist_is_a_fault_and_never_served(rest: Rest) -> None:
    async def checked() -> Any:
        listed = await rest.done("GET", TEMPLATES)
        return listed if {"classless.json", "torn.json"} <= {_file(one) for one in listed["faults"]} else None

    listed = await eventually(checked, 20, "the faults of both broken files")
    served = [one["name"] for one in listed["strategies"]]
    assert served == sorted(served)
    assert listed["total_count"] == len(served)
    assert "ema_cross" in served
    assert not {"classless", "torn"} & set(served)
    for name in ("classless", "torn", "unheard_of"):
        assert (await rest.call("GET", f"{TEMPLATES}/{name}"))[0] == 404
    for name in served:
        template = (await rest.done("GET", f"{TEMPLATES}/{name}"))["template"]
        assert template["config"], name
    engines = await rest.done("GET", "/api/v1/nautilus/templates/engine")
    assert {one["name"] for one in engines["templates"]} >= {
        "live_engine",
        "paper_trading",
        "sandbox_engine",
        "backtest_engine",
    }


def _file(template_fault: dict[str, str]) -> str:
    return Path(template_fault["file"]).name


async def test_wrong_parameters_are_refused_all_at_once(rest: Rest) -> None:
    wrong = {"trade_size": "-5", "fast_ema_period": "ten", "unheard_of": 1}
    status, told = await rest.call("POST", VALIDATE, {"strategy_name": "ema_cross", "parameters": wrong})
    assert status == 422
    assert {error["field"] for error in told["errors"]} == {f"parameters.{name}" for name in wrong}
    assert told["error"] == told["message"]
    assert {"required_parameters", "missing_parameters"} <= set(told)
    status, told = await rest.call("POST", VALIDATE, {"strategy_name": "unheard_of"})
    assert (status, told["errors"][0]["field"]) == (422, "strategy_name")
    sound = await rest.done("POST", VALIDATE, {"strategyName": "ema_cross", "parameters": {"trade_size": 5}})
    assert sound["config"]["trade_size"] == "5"


async def test_cleanup_leaves_active_engines_alone_and_a_dry_run_everything(
    rest: Rest, fleet: Flotilla
) -> None:
    view = await trading(fleet, paced("kept"))
    assert view.session is not None
    container = view.session.container_name
    cleanup = f"{ENGINE}/containers/cleanup"
    assert container not in (await rest.done("DELETE", cleanup))["cleaned_containers"]
    tried = await rest.done("DELETE", f"{cleanup}?force=true&dry_run=true")
    assert container in tried["cleaned_containers"]
    assert tried["total_cleaned"] == len(tried["cleaned_containers"])
    listed = await rest.done("GET", f"{ENGINE}/containers")
    assert container in [one["name"] for one in listed["containers"] if one["is_active"]]
    status, _ = await rest.call("DELETE", f"{ENGINES}/kept")
    assert status == 409, "an active engine is not forgotten"
    assert container in (await rest.done("DELETE", f"{cleanup}?force=true"))["cleaned_containers"]

    async def is_over() -> bool:
        return (await status_of(rest, "kept"))["state"] in ("stopped", "error")

    await eventually(is_over, 30, "the end of the engine that was cleaned up")
    await rest.done("DELETE", f"{ENGINES}/kept")
    assert (await rest.call("GET", f"{ENGINES}/kept"))[0] == 404
