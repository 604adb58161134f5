"""Every engine template renders into what NautilusTrader takes, unknown keys refused, and into a node that is built and runs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.link.frames import Run, Stop
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import PlanCheck, PlanProblems, SessionSpec
from flotilla.schemas.states import EngineType, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from flotilla.services.orchestrator.adapters.template_files import TemplateFiles
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.orchestrator.templates.core.checkup import due
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.templates import EngineTemplate, TemplateSet
from flotilla.services.orchestrator.templates.core.venues import VenueClient, VenueTemplate
from tests.engine_processes import ROOT, EngineProcess, ZygoteProcess, zygote_process

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
KNOWN = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset({BARS}))
BROKER = VenueChoice(name="BINANCE", adapter="binance", secret="keys")
MODES: dict[str, dict[str, Any]] = {
    "live_engine": {"engine_type": "live", "trading_mode": "live", "venues": (BROKER,)},
    "paper_trading": {"engine_type": "paper"},
    "sandbox_engine": {"engine_type": "sandbox"},
    "backtest_engine": {"engine_type": "backtest"},
}
# Texts that a template reads in a way of its own.
TEXTS = {"start": "1999-01-04", "end": "1999-03-31", "base_currency": "EUR", "replay_venue": "SIM"}
_CHECKS = """
import sys
import msgspec
from flotilla.engine_sidecar.checking.__main__ import problems_of
from flotilla.schemas.session import CheckLine

for line in sys.stdin.buffer:
    found = problems_of(msgspec.json.decode(line, type=CheckLine))
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\\n")
    sys.stdout.buffer.flush()
"""

type Check = Callable[[PlanCheck], tuple[FieldError, ...]]


@pytest.fixture(scope="module")
def check() -> Iterator[Check]:
    """What NautilusTrader refuses of a plan; each is parsed and built in a process of its own."""
    command = [sys.executable, "-c", _CHECKS]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        to, back = process.stdin, process.stdout

        def ask(request: PlanCheck) -> tuple[FieldError, ...]:
            to.write(msgspec.json.encode(request) + b"\n")
            to.flush()
            return msgspec.json.decode(back.readline(), type=PlanProblems).problems

        yield ask


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
async def template_set() -> TemplateSet:
    found = await TemplateFiles(OrchestratorSettings.from_env({}).templates).template_set()
    assert found.faults == ()
    return found


def rendered(template_set: TemplateSet, name: str, **chosen: Any) -> SessionSpec:
    config = EngineConfig(**{"instance_id": "engine-1", **MODES[name], **chosen})
    return render(config, template_set, KNOWN, session_id="session-1")


def boundary_values(template: EngineTemplate) -> list[dict[str, Any]]:
    """All parameters at their least, all at their most, and each of its choices."""
    least = {name: _boundary(name, each, each.min) for name, each in template.parameters.items()}
    most = {name: _boundary(name, each, each.max) for name, each in template.parameters.items()}
    sets = [least, most]
    for name, each in template.parameters.items():
        sets += [{name: choice} for choice in each.choices]
    return [{name: value for name, value in each.items() if value is not None} for each in sets]


def _boundary(name: str, parameter: Parameter, bound: float | None) -> Any:
    if bound is None or parameter.type == "string":
        return TEXTS.get(name)
    return int(bound) if parameter.type == "integer" else bound


def test_there_is_a_template_for_every_type_of_engine(template_set: TemplateSet) -> None:
    assert {each.engine_type for each in template_set.engines.values()} == set(EngineType)
    assert set(template_set.engines) == {*MODES, "backtest_worker"}  # which trades nothing


@pytest.mark.parametrize("name", MODES)
def test_an_engine_template_is_built_with_defaults_limits_and_boundary_values(
    name: str, template_set: TemplateSet, check: Check
) -> None:
    without_venue = (template_set.engines[name].venues is not None) and "venues" not in MODES[name]
    for values in [{}, *boundary_values(template_set.engines[name])]:
        if without_venue:
            values.pop("timeout_connection", None)
        spec = rendered(template_set, name, parameters=values, max_order_rate=1, max_position_size=0.5)
        assert check(PlanCheck(plan=spec.plan)) == (), values
        risk = spec.plan.node["risk_engine"]
        assert (risk["max_order_submit_rate"], risk["max_notional_per_order"]) == ("1/00:01:00", {"*": 0.5})


def test_what_nautilustrader_does_not_know_in_a_template_is_refused(
    template_set: TemplateSet, check: Check
) -> None:
    plan = rendered(template_set, "sandbox_engine").plan
    for field in ("colour", "risk_engine"):
        node = {**plan.node, field: {"colour": "red"}}
        (problem,) = check(PlanCheck(plan=msgspec.structs.replace(plan, node=node)))
        assert problem.field == "plan.node"
        assert "colour" in problem.message


def test_a_live_engine_is_careful_by_default(template_set: TemplateSet) -> None:
    spec = rendered(template_set, "live_engine")
    node = spec.plan.node
    assert (node["environment"], spec.stop_policy, spec.uses_cache, spec.has_egress) == (
        "live",
        StopPolicy.CANCEL,
        True,
        True,
    )
    assert node["risk_engine"]["bypass"] is False
    assert node["risk_engine"]["max_order_submit_rate"] == "100/00:01:00"
    execution = node["exec_engine"]
    assert execution["reconciliation"] is True
    assert min(execution["inflight_check_interval_ms"], execution["open_check_interval_secs"]) > 0
    assert spec.boot_timeout_s > node["timeout_connection"] + node["timeout_reconciliation"]


def test_venues_with_simulated_execution_are_built_side_by_side(
    template_set: TemplateSet, check: Check
) -> None:
    venues = tuple(VenueChoice(name=name.upper(), adapter=name) for name in ("binance", "bybit", "kraken"))
    chosen: dict[str, Any] = {"timeout_connection": 5, "base_currency": "USDT"}
    plan = rendered(template_set, "paper_trading", venues=venues, parameters=chosen).plan
    assert check(PlanCheck(plan=plan)) == ()
    odd = (*venues[:2], VenueChoice(name="KRAKEN", adapter="kraken", config={"colour": "red"}))
    plan = rendered(template_set, "paper_trading", venues=odd, parameters=chosen).plan
    (problem,) = check(PlanCheck(plan=plan))
    assert "data_clients.KRAKEN" in problem.message
    assert "colour" in problem.message


def test_every_strategy_template_is_taken_with_its_defaults(template_set: TemplateSet, check: Check) -> None:
    (checkup,) = due(template_set, {})
    assert {each.name for each in checkup.contents} == set(template_set.strategies)
    assert check(checkup.request) == ()


def test_nothing_that_a_parameter_says_is_evaluated(template_set: TemplateSet, check: Check) -> None:
    for value in ("{trader_id}", "{0.__class__}", "{starting_balance}", "%(x)s"):
        spec = rendered(
            template_set, "paper_trading", parameters={"base_currency": value, "starting_balance": "5"}
        )
        client = spec.plan.node["exec_clients"]["SIM"]["config"]
        assert (client["base_currency"], client["starting_balances"]) == (value, ["5"])
        (problem,) = check(PlanCheck(plan=spec.plan))
        assert "exec_clients.SIM" in problem.message


def engine_of(
    zygote: ZygoteProcess, spec: SessionSpec, catalog: Path, **secrets: dict[str, Any]
) -> EngineProcess:
    return zygote.fork(
        Run(
            instance_id=spec.instance_id,
            session_id=spec.session_id,
            plan=spec.plan,
            catalog_path=str(catalog),
            log_level=spec.log_level,
            stop_timeout_s=10.0,
            stop_policy=spec.stop_policy,
            secrets=secrets,
        )
    )


def test_a_backtest_engine_replays_everything_and_ends_by_itself(
    template_set: TemplateSet, zygote: ZygoteProcess, catalog: Path
) -> None:
    spec = rendered(template_set, "backtest_engine", parameters={"start": "1999-01-01", "end": "2001-12-31"})
    engine = engine_of(zygote, spec, catalog)
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (None, 0)
    assert engine.metrics()[-1].feeds[0].is_finished
    assert len(engine.events(EventKind.FILL)) > 10


@pytest.mark.parametrize("name", ["sandbox_engine", "paper_trading", "backtest_engine"])
def test_what_was_imported_at_another_venue_is_replayed_and_traded_there(
    template_set: TemplateSet, zygote: ZygoteProcess, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "acme.csv"
    rows = "".join(f"2024-01-{day:02},{day},{day},{day},{day},1000\n" for day in range(1, 31))
    file.write_text(f"date,open,high,low,close,volume\n{rows}")
    bars = "ACME.XNYS-1-DAY-LAST-EXTERNAL"
    program = (sys.executable, "-m", "flotilla.engine_sidecar.catalog", "import", str(file))
    said = ("--catalog", str(tmp_path / "catalog"), "--type", "bars", "--instrument", "ACME.XNYS")
    subprocess.run((*program, *said, "--bar-type", bars), cwd=ROOT, check=True)
    config = EngineConfig(
        instance_id="engine-1",
        **MODES[name],
        strategies=(
            StrategyChoice(
                template="buy_and_hold", parameters={"instrument_id": "ACME.XNYS", "bar_type": bars}
            ),
        ),
        parameters={"speed": 0, "on_end": "stop"} if name != "backtest_engine" else {},
    )
    known = Known(instruments=frozenset({"ACME.XNYS"}), bar_types=frozenset({bars}))
    spec = render(config, template_set, known, session_id="session-1")
    engine = engine_of(zygote, spec, tmp_path / "catalog")
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (None, 0)
    assert [feed.venue for feed in engine.metrics()[-1].feeds] == ["XNYS"]
    assert {event["instrument_id"] for event in engine.events(EventKind.FILL)} == {"ACME.XNYS"}


def test_a_paper_engine_trades_on_a_venues_data_with_simulated_fills(
    template_set: TemplateSet, zygote: ZygoteProcess, catalog: Path
) -> None:
    tape = VenueTemplate(
        name="tape",
        description="Replays the data catalog as if it were a venue.",
        data=VenueClient(
            path="engine_sidecar.replay.config:ReplayDataClientConfig",
            factory="engine_sidecar.replay.client:ReplayDataClientFactory",
        ),
    )
    venue = VenueChoice(name="SIM", adapter="tape", config={"end": "2001-12-31"})
    spec = rendered(
        msgspec.structs.replace(template_set, venues={"tape": tape}),
        "paper_trading",
        venues=(venue,),
        parameters={"base_currency": "USD"},
        strategies=(StrategyChoice(template="ema_cross"),),
    )
    engine = engine_of(zygote, spec, catalog)
    engine.until_state(RunState.TRADING)
    engine.until(lambda _: len(engine.events(EventKind.FILL)) > 10)
    engine.send(Stop(StopPolicy.FLATTEN, 5.0))
    ended, code = engine.until_ended()
    assert (ended.reason, ended.not_confirmed, code) == (None, (), 0)


def test_a_live_engine_is_built_and_connects_to_its_venue(
    template_set: TemplateSet, zygote: ZygoteProcess, catalog: Path
) -> None:
    nobody = {"base_url_http": "http://127.0.0.1:9", "base_url_ws": "ws://127.0.0.1:9"}
    venue = msgspec.structs.replace(BROKER, config=nobody)
    spec = rendered(template_set, "live_engine", venues=(venue,), parameters={"timeout_connection": 2})
    engine = engine_of(zygote, spec, catalog, keys={"api_key": "k" * 64, "api_secret": "s" * 64})
    engine.until_state(RunState.CONNECTING)
    ended, _ = engine.until_ended(40.0)
    assert ended.reason == FailureReason.VENUE
    assert "BINANCE" in ended.detail
    assert "k" * 64 not in "".join(engine.log)
