"""The bus's views in the shapes of the contract."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from flotilla.schemas.catalog import Parameter, TemplateView
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, FleetStatus, SessionView
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState
from flotilla.schemas.telemetry import Resources, StopFlag
from flotilla.services.gateway.engines.views import (
    health_check,
    health_view,
    overall_health,
    status_view,
    strategy_template,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SOME = Resources(cpu_fraction=0.5, memory_bytes=1 << 20, memory_limit_bytes=1 << 30, pids=3)


def view(
    name: str = "a",
    run: RunState = RunState.TRADING,
    client: ClientState = ClientState.RUNNING,
    **changes: Any,
) -> EngineView:
    session = SessionView(
        session_id=f"session-{name}",
        instance_id=name,
        generation=1,
        state=run,
        container_name=f"nautilus-engine-session-{name}",
        created_at=NOW,
        started_at=NOW,
        reason=FailureReason.CRASH if run == RunState.FAILED else None,
        detail="it broke" if run == RunState.FAILED else None,
        exit_code=-9 if run == RunState.FAILED else None,
    )
    known: dict[str, Any] = {
        "instance_id": name,
        "state": client,
        "desired": DesiredState.RUNNING,
        "config": EngineConfig(instance_id=name),
        "session": session,
        "heartbeat_age_s": 0.5,
        "resources": SOME,
        **changes,
    }
    return EngineView(**known)


def test_with_no_engine_ever_the_status_is_idle() -> None:
    status = status_view(FleetStatus(engine=None, active=()), NOW)
    assert (status.state, status.config, status.session_id, status.last_error) == (
        "stopped",
        None,
        None,
        None,
    )
    assert (status.container_count, status.active_containers) == (0, ())
    assert status.resource_usage == {"message": "No active containers"}
    assert status.container_info is None
    assert status.health_check == {"overall_status": "no_containers", "last_check": NOW}


def test_with_one_active_engine_everything_is_flat() -> None:
    status = status_view(FleetStatus(engine=view("a"), active=(view("a"),)), NOW)
    assert status.resource_usage["cpu_percent"] == "50.00%"
    assert status.container_info is not None
    assert status.container_info["name"] == "nautilus-engine-session-a"
    assert status.health_check["status"] == "healthy"
    assert "overall_status" not in status.health_check
    assert status.health_check["last_check"] == NOW


def test_with_several_active_engines_everything_is_keyed_by_session() -> None:
    starting = view("b", RunState.BOOTING, ClientState.STARTING)
    status = status_view(FleetStatus(engine=view("a"), active=(view("a"), starting)), NOW)
    keys = {"session-a", "session-b"}
    assert status.state == "running"
    assert status.container_count == 2
    assert set(status.resource_usage) == keys
    assert status.container_info is not None
    assert set(status.container_info) == keys
    assert set(status.health_check) == {*keys, "overall_status", "last_check"}
    assert status.health_check["overall_status"] == "starting"


def test_figures_of_another_engine_never_pass_for_those_of_the_one_asked_for() -> None:
    stopped = view("a", RunState.STOPPED, ClientState.STOPPED, resources=None)
    status = status_view(FleetStatus(engine=stopped, active=(view("b"),)), NOW)
    assert (status.state, status.instance_id) == ("stopped", "a")
    assert set(status.resource_usage) == {"session-b"}
    assert status.health_check["overall_status"] == "healthy"


def test_the_last_error_names_reason_text_and_exit_code() -> None:
    failed = view("a", RunState.FAILED, ClientState.ERROR)
    assert (
        status_view(FleetStatus(engine=failed, active=()), NOW).last_error == "crash: it broke, exit code -9"
    )


@pytest.mark.parametrize(
    ("status", "running"), [(ContainerStatus.RUNNING, True), (ContainerStatus.EXITED, False)]
)
def test_the_container_is_as_its_host_reported_it(status: ContainerStatus, running: bool) -> None:
    facts = ContainerFacts(
        session_id="session-a",
        instance_id="a",
        generation=1,
        host="h1",
        name="n",
        status=status,
        runtime="docker",
        image="flotilla-engine:latest",
        started_at=NOW,
    )
    info = status_view(
        FleetStatus(engine=view("a"), active=(view("a"),)), NOW, {facts.session_id: facts}
    ).container_info
    assert info == {
        "status": status,
        "running": running,
        "started_at": NOW,
        "image": "flotilla-engine:latest",
        "name": "nautilus-engine-session-a",
    }


@pytest.mark.parametrize(
    ("engine", "status"),
    [
        (view(), "healthy"),
        (view(heartbeat_age_s=5.1), "unhealthy"),
        (view(heartbeat_age_s=None), "unhealthy"),
        (view(is_frozen=True), "unhealthy"),
        (view(run=RunState.BOOTING, client=ClientState.STARTING, heartbeat_age_s=None), "starting"),
        (view(run=RunState.BOOTING, client=ClientState.STARTING, is_frozen=True), "unhealthy"),
        (view(run=RunState.STOPPING, client=ClientState.STOPPING), "stopping"),
        (view(run=RunState.UNKNOWN, client=ClientState.ERROR), "unhealthy"),
        (view(run=RunState.FAILED, client=ClientState.ERROR), "unhealthy"),
        # A container that runs and does not trade is not well, whatever its heartbeat says.
        (view(run=RunState.BOOTING, client=ClientState.RUNNING), "unhealthy"),
    ],
)
def test_healthy_means_trading_and_beating(engine: EngineView, status: str) -> None:
    assert health_check(engine, NOW)["status"] == status


def test_the_worst_engine_decides_for_all() -> None:
    well, ill = view("a"), view("b", is_frozen=True)
    starting = view("c", RunState.BOOTING, ClientState.STARTING)
    assert overall_health([well]) == "healthy"
    assert overall_health([well, starting]) == "starting"
    assert overall_health([well, starting, ill]) == "unhealthy"
    assert overall_health([]) == "no_containers"


@pytest.mark.parametrize(
    ("active", "latest", "status", "state", "session_id", "running"),
    [
        ((), None, "healthy", "stopped", None, False),
        ((), view("a", RunState.STOPPED, ClientState.STOPPED), "healthy", "stopped", None, False),
        ((), view("a", RunState.FAILED, ClientState.ERROR), "unhealthy", "error", None, False),
        ((view("a"),), None, "healthy", "running", "session-a", True),
        (
            (view("a", RunState.SCHEDULED, ClientState.STARTING),),
            None,
            "starting",
            "starting",
            "session-a",
            False,
        ),
        (
            (view("a", RunState.BOOTING, ClientState.STARTING),),
            None,
            "starting",
            "starting",
            "session-a",
            True,
        ),
        (
            (view("a", RunState.BOOTING, ClientState.STARTING), view("b")),
            None,
            "starting",
            "running",
            None,
            True,
        ),
    ],
)
def test_health_sums_up_the_engines(
    active: tuple[EngineView, ...],
    latest: EngineView | None,
    status: str,
    state: str,
    session_id: str | None,
    running: bool,
) -> None:
    health = health_view(active, latest, NOW)
    assert health.service == "nautilus-engine-api"
    assert (health.status, health.engine_state, health.session_id) == (status, state, session_id)
    assert health.container_running is running
    assert health.container_count == len(active) == len(health.active_containers)
    assert health.timestamp == NOW


def test_a_template_shows_what_it_gives_the_strategy() -> None:
    template = TemplateView(
        name="ema_cross",
        kind="strategy",
        file="f",
        description="d",
        parameters={"fast": Parameter(type="integer", help="", default=10)},
        config={"fast_ema_period": "{fast}"},
    )
    assert strategy_template(template).config == {"fast_ema_period": "{fast}"}


def test_a_zombie_is_unhealthy_and_its_problems_are_named() -> None:
    zombie = view(problems=("strategy EMACross-001 is STOPPED", "SIM is not connected"), event_age_s=90.0)
    check = health_check(zombie, NOW)
    assert (check["status"], check["event_age_s"]) == ("unhealthy", 90.0)
    assert check["problems"] == ["strategy EMACross-001 is STOPPED", "SIM is not connected"]
    health = health_view([zombie], None, NOW)
    assert health.status == "unhealthy"
    assert health.message == "a: strategy EMACross-001 is STOPPED; a: SIM is not connected"
    assert health_view([view()], None, NOW).message is UNSET


@pytest.mark.parametrize(
    ("engine", "problem"),
    [
        (view(heartbeat_age_s=None), "no heartbeat"),
        (view(heartbeat_age_s=31.4), "no heartbeat for 31 s"),
        (view(is_frozen=True), "its event loop does not turn"),
        (view(run=RunState.FAILED, client=ClientState.ERROR), "crash: it broke, exit code -9"),
    ],
)
def test_what_is_wrong_with_an_engine_is_said_in_words(engine: EngineView, problem: str) -> None:
    assert health_check(engine, NOW)["problems"] == [problem]


def test_the_status_shows_the_emergency_stop_in_force() -> None:
    flag = StopFlag(since=NOW, reason="enough")
    stopped = view(run=RunState.STOPPED, client=ClientState.STOPPED, stop_flag=flag)
    assert status_view(FleetStatus(engine=stopped, active=()), NOW).stop_flag == flag


def impaired(**changes: Any) -> EngineView:
    made = view(run=RunState.IMPAIRED, client=ClientState.ERROR, **changes)
    assert made.session is not None
    session = msgspec.structs.replace(made.session, detail="strategy A-000 is STOPPED")
    return msgspec.structs.replace(made, session=session)


@pytest.mark.parametrize("said", [("strategy A-000 is STOPPED",), ()])
def test_state_last_error_and_health_agree_on_an_impaired_engine(said: tuple[str, ...]) -> None:
    engine = impaired(problems=said)
    status = status_view(FleetStatus(engine=engine, active=(engine,)), NOW)
    assert (status.state, status.last_error) == ("error", "impaired: strategy A-000 is STOPPED")
    assert status.health_check["status"] == "unhealthy"
    (problem,) = status.health_check["problems"]
    assert problem.removeprefix("impaired: ") == "strategy A-000 is STOPPED"
    assert health_view((engine,), engine, NOW).status == "unhealthy"


def test_an_engine_whose_data_is_quiet_is_not_called_healthy() -> None:
    quiet = view(notes=("no trades of X for 95 s",))
    checked = health_check(quiet, NOW)
    assert (checked["status"], checked["notes"], checked["problems"]) == (
        "unknown",
        ["no trades of X for 95 s"],
        [],
    )
    assert overall_health((view(), quiet)) == "unknown"
    assert overall_health((view(is_frozen=True), quiet)) == "unhealthy"


@pytest.mark.parametrize(
    ("run", "error"), [(RunState.SILENT, "silent"), (RunState.UNKNOWN, "unknown: its host is out of sight")]
)
def test_an_engine_that_is_not_heard_has_that_as_its_last_error(run: RunState, error: str) -> None:
    engine = view(run=run, client=ClientState.ERROR)
    assert status_view(FleetStatus(engine=engine, active=(engine,)), NOW).last_error == error
