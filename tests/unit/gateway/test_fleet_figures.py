"""What Prometheus is told of the rows in memory, with a table for what is known and what is not."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.services.gateway.live.fleet_figures import (
    ENGINE_FIGURES,
    FLEET_FIGURES,
    HOST_FIGURES,
    MOST_CURRENCIES,
    SERVICE_FIGURES,
    FleetFigures,
)
from flotilla.services.gateway.live.http_metrics import exposition
from flotilla.services.gateway.live.rows import EngineRow, HostRow, Mode, Row, ServiceRow

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def row(instance_id: str = "e1", **changes: Any) -> EngineRow:
    usual = {"mode": Mode.PAPER, "state": ClientState.RUNNING, "desired": DesiredState.RUNNING}
    return EngineRow(instance_id=instance_id, **{**usual, **changes})


def host(name: str = "h1", **changes: Any) -> HostRow:
    usual: dict[str, Any] = {
        "host": name,
        "heard_at": ago(2),
        "runtime": "docker",
        "is_runtime_up": True,
        "cpus": 4,
        "memory_bytes": 8,
        "sessions": 3,
        "version": "1",
        "has_cache": False,
    }
    return HostRow(**{**usual, **changes})


def told(*rows: Row, most: int = 100, is_bus_up: bool = True) -> dict[str, float]:
    """Each series with its value."""
    text = exposition([FleetFigures(rows, NOW, most=most, is_bus_up=is_bus_up)]).decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    assert len({series for series, _ in lines}) == len(lines)
    return {series: float(value) for series, value in lines}


def of_engines(found: dict[str, float]) -> set[str]:
    return {series.partition("{")[0] for series in found if series.startswith("flotilla_engine_")}


def test_an_engine_that_never_ran_has_no_figure_that_nobody_knows() -> None:
    found = told(row(state=ClientState.STOPPED, desired=DesiredState.STOPPED))
    assert found['flotilla_engine_state{engine="e1",state="stopped"}'] == 1
    assert found['flotilla_engine_info{engine="e1",host="",mode="paper"}'] == 1
    assert found['flotilla_engine_wanted{engine="e1"}'] == 0
    known = {"info", "state", "wanted", "braked", "restarts"}
    assert of_engines(found) == {f"flotilla_engine_{name}" for name in known}


FULL = row(
    run_state=RunState.TRADING,
    host="h1",
    heard_at=ago(0.5),
    fed_at=ago(7),
    problems=("one", "two"),
    restarts=2,
    lease_s=20.0,
    events_queued=3,
    cpu_fraction=0.25,
    memory_bytes=100,
    memory_limit_bytes=200,
    orders_open=4,
    orders_total=50,
    fills_total=40,
    positions_open=1,
    equity="1000.50",
    equity_currency="USDT",
    balances={"BTC": "0.1", "USDT": "999.99"},
    realized_pnl={"USDT": "-3.10"},
    unrealized_pnl={"USDT": "0.00"},
)


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ('info{engine="e1",host="h1",mode="paper"}', 1),
        ('state{engine="e1",state="trading"}', 1),
        ('heartbeat_age_seconds{engine="e1"}', 0.5),
        ('feed_age_seconds{engine="e1"}', 7),
        ('frozen{engine="e1"}', 0),
        ('problems{engine="e1"}', 2),
        ('restarts{engine="e1"}', 2),
        ('lease_seconds{engine="e1"}', 20),
        ('events_queued{engine="e1"}', 3),
        ('cpu_cores{engine="e1"}', 0.25),
        ('memory_bytes{engine="e1"}', 100),
        ('memory_limit_bytes{engine="e1"}', 200),
        ('orders_open{engine="e1"}', 4),
        ('orders_total{engine="e1"}', 50),
        ('fills_total{engine="e1"}', 40),
        ('positions_open{engine="e1"}', 1),
        ('equity{currency="USDT",engine="e1"}', 1000.5),
        ('balance{currency="BTC",engine="e1"}', 0.1),
        ('balance{currency="USDT",engine="e1"}', 999.99),
        ('realized_pnl{currency="USDT",engine="e1"}', -3.1),
        ('unrealized_pnl{currency="USDT",engine="e1"}', 0),
    ],
)
def test_what_is_known_of_an_engine_is_told(series: str, value: float) -> None:
    assert told(FULL)[f"flotilla_engine_{series}"] == value


def test_an_engine_of_which_all_is_known_has_a_series_of_every_name_and_one_state() -> None:
    found = told(FULL)
    assert of_engines(found) == {figure.name for figure in ENGINE_FIGURES}
    assert sum(series.startswith("flotilla_engine_state{") for series in found) == 1


def test_amounts_that_are_no_numbers_and_currencies_that_are_no_words_make_no_series() -> None:
    many = {f"C{number:04}": "1" for number in range(500)}
    claims = {"USDT": "much", "EUR": "nan", "JPY": "inf", "a b": "1", 'x"': "1", "U" * 17: "1", "BTC": "2"}
    found = told(row(balances=claims, realized_pnl=many))
    assert [series for series in found if "balance" in series] == [
        'flotilla_engine_balance{currency="BTC",engine="e1"}'
    ]
    assert sum("realized_pnl" in series for series in found) == MOST_CURRENCIES


def test_of_more_engines_than_may_be_those_in_sight_have_series_and_the_others_are_in_the_totals() -> None:
    rows = [row(f"e{number}", heard_at=ago(1) if number > 6 else None) for number in range(10)]
    found = told(*rows, most=4)
    shown = {series for series in found if series.startswith("flotilla_engine_info")}
    assert shown == {
        f'flotilla_engine_info{{engine="{name}",host="",mode="paper"}}' for name in ("e0", "e7", "e8", "e9")
    }
    assert found["flotilla_engines_left_out"] == 6
    assert found['flotilla_engines{mode="paper",state="running"}'] == 10
    assert told(*rows, most=10)["flotilla_engines_left_out"] == 0


def test_a_host_that_is_heard_no_more_grows_old() -> None:
    found = told(host(), host("h2", heard_at=ago(90), is_runtime_up=False))
    assert found['flotilla_host_heartbeat_age_seconds{host="h2"}'] == 90
    assert found['flotilla_host_runtime_up{host="h2"}'] == 0
    assert found['flotilla_host_sessions{host="h1"}'] == 3
    named = {series.partition("{")[0] for series in found if series.startswith("flotilla_host_")}
    assert named == {figure.name for figure in HOST_FIGURES}


@pytest.mark.parametrize(("age", "is_up"), [(0.0, True), (5.0, True), (5.1, False)])
def test_an_orchestrator_that_is_heard_no_more_is_down_and_its_figures_are_gone(
    age: float, is_up: bool
) -> None:
    metrics = {"engines": 2.0, "Not a name": 1.0, "events_recorded_total": 9.0}
    said = ServiceRow(service="orchestrator", is_ready=True, heard_at=ago(age), metrics=metrics)
    found = told(said, ServiceRow(service="nats", is_ready=False), is_bus_up=False)
    assert found['flotilla_up{service="orchestrator"}'] == is_up
    assert found['flotilla_up{service="bus"}'] == 0
    own = {series for series in found if series.startswith("flotilla_orchestrator_")}
    names = {"flotilla_orchestrator_engines", "flotilla_orchestrator_events_recorded_total"}
    assert own == (names if is_up else set())
    assert found['flotilla_service_ready{service="nats"}'] == 0
    assert found['flotilla_service_heartbeat_age_seconds{service="orchestrator"}'] == age
    assert 'flotilla_service_heartbeat_age_seconds{service="nats"}' not in found


def test_a_scrape_of_200_engines_is_a_matter_of_milliseconds() -> None:
    """A generous limit; `make bench ARGS=scrape` measures."""
    rows = [msgspec.structs.replace(FULL, instance_id=f"e{number}") for number in range(200)]
    began = time.process_time()
    assert len(told(*rows, most=200)) > 200 * len(ENGINE_FIGURES)
    assert time.process_time() - began < 1


def test_names_say_their_unit_and_no_two_are_the_same() -> None:
    figures = (*ENGINE_FIGURES, *HOST_FIGURES, *SERVICE_FIGURES)
    names = [figure.name for figure in figures] + list(FLEET_FIGURES)
    assert len(set(names)) == len(names)
    for name in names:
        assert not name.endswith(("_s", "_ms", "_mb")), name
        assert not ("age" in name.split("_") and not name.endswith("_seconds")), name
        assert not ("memory" in name and not name.endswith("_bytes")), name
