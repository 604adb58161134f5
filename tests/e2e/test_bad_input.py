"""Bad input on the whole stack, over REST and NATS: each is refused naming the field, and leaves no row, container or file."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from flotilla.bus.bus import Bus
from flotilla.client.client import Flotilla
from flotilla.stack.servers.postgres import PostgresServer
from tests.e2e.engines import paced, stopped, trading
from tests.e2e.rest import ENGINE, ENGINES, Rest
from tests.e2e.stacks import RunningStack

# What is refused never comes to a runtime.
pytestmark = pytest.mark.parametrize("runtime", ["process"], indirect=True)

START = "fleet.engine.start"
DEEP = b'{"config":{"parameters":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}"


def config(**fields: Any) -> bytes:
    return json.dumps({"config": {"engine_type": "sandbox", "instance_id": "bad-input", **fields}}).encode()


def strategy(**parameters: Any) -> bytes:
    return config(strategies=[{"template": "ema_cross", "parameters": parameters}])


COMMON = [
    (b"", 400, None),
    (b"not json", 400, None),
    (b'{"config": {"max_position_size": NaN}}', 400, None),
    (b"\xff\xfe\x00", 400, None),
    (DEEP, 400, None),
    (b" " * 300_000, 413, None),
    (b"[]", 422, "body"),
    (config(template="unheard_of"), 422, "config.template"),
    (config(template="../../etc/passwd"), 422, "config.template"),
    (config(strategies=[{"template": "unheard_of"}]), 422, "config.strategies[0].template"),
    (strategy(instrument_id="NONE.SIM"), 422, "config.strategies[0].parameters.instrument_id"),
    (strategy(bar_type="NONE.SIM-1-DAY-LAST-EXTERNAL"), 422, "config.strategies[0].parameters.bar_type"),
    (strategy(trade_size="-5"), 422, "config.strategies[0].parameters.trade_size"),
    (strategy(trade_size="NaN"), 422, "config.strategies[0].parameters.trade_size"),
    (strategy(trade_size="Infinity"), 422, "config.strategies[0].parameters.trade_size"),
    (strategy(fast_ema_period=1.5), 422, "config.strategies[0].parameters.fast_ema_period"),
    (strategy(fast_ema_period="ten"), 422, "config.strategies[0].parameters.fast_ema_period"),
    (strategy(fast_ema_period=0), 422, "config.strategies[0].parameters.fast_ema_period"),
    (strategy(unheard_of=1), 422, "config.strategies[0].parameters.unheard_of"),
    (config(parameters={"speed": -1}), 422, "config.parameters.speed"),
    (config(parameters={"speed": "fast"}), 422, "config.parameters.speed"),
    (config(parameters={"starting_balance": "0"}), 422, "config.parameters.starting_balance"),
    (config(instance_id="a.b"), 422, "config.instance_id"),
    (config(instance_id="a*"), 422, "config.instance_id"),
    (config(instance_id=">"), 422, "config.instance_id"),
    (config(instance_id="a/b"), 422, "config.instance_id"),
    (config(instance_id="a\n"), 422, "config.instance_id"),
    (config(instance_id="a" * 64), 422, "config.instance_id"),
    (config(max_memory="lots"), 422, "config.max_memory"),
    (config(max_cpu="-1"), 422, "config.max_cpu"),
    (config(max_position_size=-1), 422, "config.max_position_size"),
    (config(max_position_size=1e999), 400, None),
    (config(engine_type="unheard_of"), 422, "config.engine_type"),
    (config(trade_size=1), 422, "config.trade_size"),
    (config(engine_type="LIVE", trading_mode="Live"), 400, None),
]


async def everything(stack: RunningStack, fleet: Flotilla) -> dict[str, Any]:
    """What a refused request could leave behind."""
    root = stack.folder.root
    database = await asyncpg.connect(PostgresServer(root / "postgres").dsn)
    try:
        tables = ("engines", "sessions", "commands", "events")
        rows = {name: await database.fetchval(f"select count(*) from {name}") for name in tables}
    finally:
        await database.close()
    sessions = root / "sessions"
    return {
        "rows": rows,
        "containers": [container.name for container in (await fleet.containers()).containers],
        "engines": [engine.instance_id for engine in (await fleet.engines()).engines],
        # A check of a template is under way now and then, whoever asks for what.
        "files": sorted(path.name for path in sessions.glob("*") if not path.name.startswith(".check-")),
        "catalog": sorted(str(path) for path in (root / "catalog").rglob("*")),
    }


async def over_nats(bus: Bus, subject: str, body: bytes) -> tuple[int, list[str]]:
    answer = await bus.client.request(subject, body, timeout=10)
    assert answer.headers, answer.data
    fields = [error["field"] for error in json.loads(answer.data)["errors"]]
    return int(answer.headers["Nats-Service-Error-Code"]), fields


async def over_rest(
    stack: RunningStack, path: str, body: bytes, method: str = "POST"
) -> tuple[int, list[str]]:
    async with aiohttp.ClientSession() as session:
        status, told = await Rest(stack, session).call(method, path, raw=body)
    assert told["success"] is False
    return status, [error["field"] for error in told.get("errors", [])]


@pytest.mark.parametrize("way", ["nats", "rest"])
async def test_every_bad_start_is_refused_and_leaves_nothing(
    stack: RunningStack, fleet: Flotilla, way: str
) -> None:
    before = await everything(stack, fleet)
    for body, status, field in COMMON:
        if way == "nats":
            told, fields = await over_nats(fleet.bus, START, body)
        else:
            told, fields = await over_rest(stack, "/api/v1/nautilus/engine/start", body)
        shown = body[:120]
        assert told == status, shown
        assert field is None or field in fields, (shown, fields)
    # What is begun is on record before it is answered.
    assert await everything(stack, fleet) == before


CONFIG = ("PUT", f"{ENGINE}/config")
VALIDATE = ("POST", f"{ENGINE}/strategies/validate")
EMERGENCY = ("POST", f"{ENGINE}/emergency-stop")
ADD = ("POST", f"{ENGINES}/bad-input/strategies")
CHANGES = [
    *(
        (*where, body, status, field)
        for where in (CONFIG, VALIDATE, EMERGENCY, ADD)
        for body, status, field in (
            (b"not json", 400, None),
            (b'{"config": NaN}', 400, None),
            (b"\xff\xfe\x00", 400, None),
            (DEEP, 400, None),
            (b" " * 300_000, 413, None),
            (b"[]", 422, "body"),
            (b'{"unheard_of": 1}', 422, None),
        )
    ),
    # What the orchestrator refuses: the shape of it is sound.
    (*CONFIG, config(template="unheard_of"), 422, "config.template"),
    (*CONFIG, config(parameters={"speed": -1}), 422, "config.parameters.speed"),
    (*CONFIG, strategy(trade_size="-5"), 422, "config.strategies[0].parameters.trade_size"),
    (*CONFIG, strategy(unheard_of=1), 422, "config.strategies[0].parameters.unheard_of"),
    (*CONFIG, config(instance_id="../x"), 422, "config.instance_id"),
    (
        *VALIDATE,
        b'{"strategy_name":"ema_cross","parameters":{"trade_size":-5}}',
        422,
        "parameters.trade_size",
    ),
    (*VALIDATE, b'{"strategy_name":"ema_cross","parameters":{"unheard_of":1}}', 422, "parameters.unheard_of"),
    (*VALIDATE, b'{"strategy_name":"../ema_cross"}', 422, "strategy_name"),
    (*EMERGENCY, b'{"deadline_s":0}', 422, "deadline_s"),
    (*EMERGENCY, b'{"deadline_s":"soon"}', 422, "deadline_s"),
    (*EMERGENCY, b'{"instance_id":"*"}', 422, "instance_id"),
    (*ADD, b'{"strategy":{"template":"../x"}}', 422, "strategy.template"),
    (*ADD, b'{"strategy":{"template":"ema_cross"}}', 404, None),
    ("POST", f"{ENGINES}/bad-input/start", b"", 404, None),
    ("POST", f"{ENGINES}/bad-input/start", b'{"config":{"instance_id":"other"}}', 422, "config.instance_id"),
    ("POST", f"{ENGINES}/bad-input/strategies/EMACross-000/stop", b'{"policy":"vanish"}', 422, "policy"),
    ("POST", f"{ENGINES}/bad-input/strategies/EMACross/stop", b"", 422, "strategy_id"),
    ("DELETE", f"{ENGINES}/bad-input", b"", 404, None),
    ("DELETE", f"{ENGINES}/bad.input", b"", 422, "instance_id"),
    ("DELETE", f"{ENGINE}/containers/cleanup?force=perhaps", b"", 422, "force"),
    ("DELETE", f"{ENGINE}/emergency-stop?instance_id=a*", b"", 422, "instance_id"),
]


async def test_every_other_bad_request_is_refused_and_changes_nothing(
    stack: RunningStack, fleet: Flotilla
) -> None:
    before = await everything(stack, fleet)
    for method, path, body, status, field in CHANGES:
        told, fields = await over_rest(stack, path, body, method)
        shown = (method, path, body[:120])
        assert told == status, shown
        assert field is None or field in fields, (shown, fields)
    assert await everything(stack, fleet) == before


@pytest.mark.parametrize(
    ("subject", "body", "status"),
    [
        ("engine.start", b'{"spec":{}}', 422),
        ("engine.start", b"", 400),
        ("engine.stop", b'{"session_id":"../x"}', 422),
        ("engine.kill", b'{"session_id":"a.b"}', 422),
        ("engine.remove", b'{"session_id":7}', 422),
        ("engine.inspect", b'{"session_id":"never-was"}', 404),
        ("fleet.engine.stop", b'{"instance_id":"never-was"}', 404),
        ("fleet.engine.stop", b'{"policy":"vanish"}', 422),
        ("fleet.engine.restart", b'{"instance_id":"never-was"}', 404),
        ("fleet.engine.logs", b'{"lines":0}', 422),
        ("fleet.engine.events", b'{"instance_id":"x","limit":100000}', 422),
        ("fleet.engine.list", b'{"limit":-1}', 422),
        ("fleet.engine.configure", b'{"config":{"template":"unheard_of"}}', 422),
        ("fleet.engine.remove", b'{"instance_id":"never-was"}', 404),
        ("fleet.engine.emergency_stop", b'{"deadline_s":0}', 422),
        ("fleet.engine.lift_stop", b'{"instance_id":"a.b"}', 422),
        ("fleet.container.cleanup", b'{"force":"yes"}', 422),
        ("fleet.strategy.list", b'{"instance_id":"never-was"}', 404),
        ("fleet.strategy.add", b'{"strategy":{}}', 422),
        ("fleet.strategy.stop", b'{"strategy_id":"EMACross"}', 422),
        ("fleet.strategy.validate", b'{"strategy_name":"../x"}', 422),
        ("fleet.strategy.validate", b'{"strategy_name":"mine@../x"}', 422),
        ("fleet.package.upload", b'{"digest":"../x","index":0,"count":1,"data":"eA=="}', 422),
        ("fleet.package.push", b'{"name":"../x","digest":"' + b"0" * 64 + b'"}', 422),
        ("fleet.package.push", b'{"name":"never_was","digest":"' + b"0" * 64 + b'"}', 409),
        ("fleet.package.show", b'{"name":"never_was"}', 404),
        ("fleet.package.remove", b'{"name":"never_was","version":"1"}', 404),
        ("fleet.package.fetch", b'{"digest":"' + b"0" * 64 + b'"}', 404),
    ],
)
async def test_every_other_bad_call_is_refused(
    stack: RunningStack, fleet: Flotilla, subject: str, body: bytes, status: int
) -> None:
    before = await everything(stack, fleet)
    told, _ = await over_nats(fleet.bus, subject, body)
    assert told == status
    assert await everything(stack, fleet) == before


async def test_a_trading_engine_shrugs_off_bad_commands(stack: RunningStack, fleet: Flotilla) -> None:
    view = await trading(fleet, paced("sturdy"))
    assert view.session is not None
    for verb in ("stop", "cancel_orders", "flatten"):
        for body, status in (
            (b"", 400),
            (b"x", 400),
            (b'{"policy":"vanish"}', 422),
            (b'{"session_id":"another"}', 409),
        ):
            told, _ = await over_nats(fleet.bus, f"engine.sturdy.command.{verb}", body)
            assert told == status, (verb, body)
    # Poison on the feeds that the services listen to.
    for feed in ("heartbeat", "metrics", "state", "fill", "log"):
        for body in (b"", b"\xff", b'{"seq":-1}', DEEP):
            await fleet.bus.client.publish(f"engine.sturdy.{feed}", body)
    after = await fleet.engine("sturdy")
    assert after.session is not None
    assert after.session.session_id == view.session.session_id
    await stopped(fleet, "sturdy")
    assert not [path for path in Path(stack.folder.root).rglob("*.creds") if "sturdy" in path.name]
