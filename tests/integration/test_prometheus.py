"""What Prometheus and Grafana are told to look at is what the gateway really tells, and Grafana's dashboards are sound."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flotilla.bus.bus import connect
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor
from flotilla.schemas.health import Health
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import (
    EngineMetrics,
    FeedProgress,
    Heartbeat,
    HostHeartbeat,
    MarkedEquity,
    Resources,
)
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import NOW, Stage, staged
from tests.integration.logins import engine_login

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "deploy/prometheus/rules.yaml").read_text()
DASHBOARDS = {path.name: json.loads(path.read_text()) for path in (ROOT / "deploy/grafana").glob("*.json")}
PAGE = (ROOT / "docs/metrics.md").read_text()
NAME = re.compile(r"\bflotilla_[a-z0-9_]+")
ORCHESTRATORS = {"disk_free_bytes", "audit_entries_lost_total"}
"""What those ask for of the orchestrator's own figures."""

BEAT = Heartbeat(
    instance_id="e1",
    session_id="s1",
    generation=1,
    beat=1,
    at_ns=1,
    state=RunState.TRADING,
    lease_s=20.0,
    resources=Resources(cpu_fraction=0.5, memory_bytes=1, memory_limit_bytes=2, pids=3),
)
METRICS = EngineMetrics(
    instance_id="e1",
    session_id="s1",
    at_ns=1,
    feeds=(FeedProgress(venue="SIM", events=1, age_s=0.5),),
    balances={"USDT": "10.5"},
    realized_pnl={"USDT": "1"},
    unrealized_pnl={"USDT": "-1"},
    equity=MarkedEquity(currency="USDT", amount=Decimal("10.5")),
)
HOST = HostHeartbeat(host="h1", runtime="docker", at_ns=1, cpus=2, memory_bytes=1, sessions=1, version="1")


def expressions(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


async def told(stage: Stage) -> str:
    async with stage.http.get("/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


@pytest.fixture
async def page(connect_as: ConnectAs, nats: NatsServer, tmp_path: Path) -> str:
    """What a gateway tells of a fleet of which everything is known."""
    sidecar = await connect(engine_login(nats, "e1"))
    supervisor = await connect_as(Actor.SUPERVISOR)
    said = Health(
        service="orchestrator",
        version="1",
        is_ready=True,
        started_at=NOW,
        metrics=dict.fromkeys(ORCHESTRATORS, 1.0),
    )
    async with staged(connect_as, tmp_path) as stage:
        async with asyncio.timeout(10):
            while True:
                await sidecar.publish(contract.HEARTBEAT, BEAT, instance_id="e1")
                await sidecar.publish(contract.METRICS, METRICS, instance_id="e1")
                await supervisor.publish(contract.HOST_HEARTBEAT, HOST, host="h1")
                await stage.orchestrator.bus.publish(contract.ORCHESTRATOR_HEARTBEAT, said)
                text = await told(stage)
                if all(
                    f"\n{name}" in text
                    for name in (
                        "flotilla_engine_lease_seconds{",
                        "flotilla_engine_equity{",
                        "flotilla_host_sessions{",
                        "flotilla_orchestrator_disk_free_bytes",
                        "flotilla_gateway_http_requests_total{",
                    )
                ):
                    break
                await asyncio.sleep(0.02)
    await sidecar.close()
    return text


async def test_every_name_in_rules_dashboards_and_the_page_is_one_that_the_gateway_tells(page: str) -> None:
    series = {line.split("{")[0].split()[0] for line in page.splitlines() if not line.startswith("#")}
    rules = set(NAME.findall("\n".join(re.findall(r"expr: (.*)", RULES))))
    assert len(rules) > 15
    assert rules <= series
    for dashboard in DASHBOARDS.values():
        asked = set(NAME.findall("\n".join(expressions(dashboard))))
        assert len(asked) > 15
        assert asked <= series
    families = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    documented = set(re.findall(r"^\| `(flotilla_[a-z_]+)", PAGE, re.MULTILINE))
    of_the_orchestrator = {name for name in families if name.startswith("flotilla_orchestrator_")}
    assert documented == families - of_the_orchestrator


async def test_what_a_scrape_is_told_passes_promtools_eyes(page: str) -> None:
    """Only where there is one: units in names, counters that say so, no family twice."""
    try:
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        assert os.environ.get("FLOTILLA_REQUIRE_PROMTOOL") != "1"
        pytest.skip("there is no promtool here")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_asked_of_the_orchestrator_is_what_it_tells() -> None:
    asked = set(re.findall(r"flotilla_orchestrator_([a-z_]+)", RULES))
    for dashboard in DASHBOARDS.values():
        asked |= set(re.findall(r"flotilla_orchestrator_([a-z_]+)", "\n".join(expressions(dashboard))))
    assert asked == ORCHESTRATORS
    source = "".join(
        (ROOT / "services/orchestrator" / name).read_text() for name in ("service.py", "engines/stores.py")
    )
    for name in asked:
        assert f'"{name}": ' in source


def test_dashboards_are_sound() -> None:
    assert set(DASHBOARDS) == {"fleet.json", "engine.json"}
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    for dashboard in DASHBOARDS.values():
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert len({panel["title"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {
                (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
            }
            assert max(x for x, _ in cells) < 24
            assert not cells & taken, panel["title"]
            taken |= cells
        variables = {variable["name"] for variable in dashboard["templating"]["list"]}
        assert set(re.findall(r"\$\{?([a-z]+)", json.dumps(dashboard))) <= variables


def test_every_alert_has_a_test_that_raises_it() -> None:
    alerts = re.findall(r"- alert: (\S+)", RULES)
    assert len(set(alerts)) == len(alerts) > 0
    tests = (ROOT / "deploy/prometheus/rules.test.yaml").read_text()
    raised = set(re.findall(r"alertname: (\S+)\n\s+exp_alerts:\n", tests))
    assert raised == set(alerts)
