"""The table of alerts: nothing else makes one, every row is raised somewhere, and it says what was said before it was a table."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flotilla.schemas import alerts
from flotilla.schemas.alerts import ALERTS, AlertKind, closers
from flotilla.schemas.export import alerts_table
from flotilla.schemas.telemetry import Severity

CHECKOUT = Path(__file__).parents[3]
PRODUCT = ("bus", "schemas", "services", "engine_sidecar", "templates", "data", "flotilla")
TABLE = "schemas/alerts.py"
MAKERS = {"Alert", "FleetAlert", "AlertKind"}

# As people have seen them since before there was a table: code → severity, and the graver one where there are two.
SAID = {
    "agreed": "info",
    "clock_off": "warning",
    "loss_limit": "critical",
    "loss_limit_lifted": "info",
    "account_held": "critical",
    "book_gap": "warning",
    "cache_back": "info",
    "cache_incomplete": "critical",
    "cache_lost": "critical",
    "cache_lost_over": "info",
    "cache_not_available": "warning",
    "cancel_confirmed": "info",
    "cancel_not_confirmed": "critical",
    "disk_low": "critical",
    "disk_low_over": "info",
    "record_over_budget": "warning",
    "record_within_budget": "info",
    "commanded_directly": "warning",
    "doubtful_claim": "warning",
    "emergency_stop": "critical",
    "emergency_stop_asked": "critical",
    "emergency_stop_failed": "critical",
    "engine_ended": "warning or critical",
    "engine_failed": "warning or critical",
    "engine_restarted": "warning",
    "events_dropped": "critical",
    "flatten_confirmed": "info",
    "flatten_not_confirmed": "critical",
    "forged_claim": "critical",
    "frozen": "critical",
    "frozen_over": "info",
    "heard_again": "info",
    "impaired": "warning or critical",
    "impaired_over": "info",
    "control_plane_back": "info",
    "control_plane_lost": "warning or critical",
    "control_plane_lost_over": "info",
    "lease_lost": "critical",
    "lease_lost_over": "info",
    "lease_not_renewed": "critical",
    "lease_regained": "info",
    "no_data": "warning",
    "mismatch": "critical",
    "mismatch_over": "info",
    "orders_forgotten": "warning",
    "orphan_adopted": "warning",
    "orphan_container": "warning or critical",
    "orphan_stopped": "warning",
    "recovered": "info",
    "restart_budget_spent": "critical",
    "silent": "critical",
    "silent_over": "info",
    "state_not_saved": "warning",
    "state_restored": "info",
    "stop_lift_asked": "warning",
    "stop_lifted": "warning",
    "stop_not_lifted": "warning",
    "telemetry_lost": "warning",
    "trading_again": "info",
    "unexpected_command": "warning",
    "unexpected_phase": "warning",
    "unreadable_event": "critical",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every file of the product but the table; the links below flotilla/ lead to folders that are listed themselves."""
    for folder in PRODUCT:
        for path in sorted((CHECKOUT / folder).rglob("*.py", recurse_symlinks=False)):
            name = path.relative_to(CHECKOUT).as_posix()
            if name != TABLE:
                yield name, ast.parse(path.read_text())


def made_by_hand(tree: ast.Module) -> list[int]:
    """The lines that make an alert, or a row, otherwise than from the table."""
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [func.lineno for func in called if name_of(func) in MAKERS]


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_every_code_that_was_ever_told_is_in_the_table_as_grave_as_it_was() -> None:
    told = {
        code: f"{kind.severity} or critical" if kind.critical_when else str(kind.severity)
        for code, kind in ALERTS.items()
    }
    assert told == SAID


def test_no_alert_is_made_otherwise_than_from_a_row() -> None:
    found = {name: lines for name, tree in sources() if (lines := made_by_hand(tree))}
    assert found == {}, "name the row of schemas/alerts.py instead"


@pytest.mark.parametrize(
    "planted",
    [
        'Alert(severity=Severity.INFO, code="mine", message="m")',
        'telemetry.FleetAlert(at=now, severity=grave, code=f"{policy}_mine", message="m")',
        'AlertKind(code="mine")',
    ],
)
def test_an_alert_that_is_made_by_hand_is_found(planted: str) -> None:
    assert made_by_hand(ast.parse(f"x = {planted}")) == [1]


def test_every_row_is_raised_by_somebody() -> None:
    rows = {name for name, kind in vars(alerts).items() if isinstance(kind, AlertKind)}
    named = {
        name_of(node)
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    # What closes an alert with its session is found by the row of that alert: tests/unit/orchestrator/test_ends.py raises each.
    with_the_end = {
        "IMPAIRED_OVER",
        "MISMATCH_OVER",
        "SILENT_OVER",
        "FROZEN_OVER",
        "LEASE_LOST_OVER",
        "CONTROL_PLANE_LOST_OVER",
        "CACHE_LOST_OVER",
    }
    assert rows - named == with_the_end


def test_the_sidecars_alerts_that_stay_open_are_taken_back_by_another() -> None:
    assert closers(of=alerts.RaisedBy.ENGINE) == {
        "impaired": "trading_again",
        "mismatch": "agreed",
        "frozen": "recovered",
        "lease_lost": "lease_regained",
        "control_plane_lost": "control_plane_back",
        "cache_lost": "cache_back",
        "loss_limit": "loss_limit_lifted",
    }


def test_a_row_makes_the_alert_as_grave_as_it_says() -> None:
    assert alerts.IMPAIRED.alert("m").severity == Severity.WARNING
    assert alerts.IMPAIRED.alert("m", is_critical=True).severity == Severity.CRITICAL
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = alerts.ENGINE_FAILED.fleet_alert("m", now, is_critical=True, instance_id="e1", host="h")
    assert (told.at, told.code, told.severity) == (now, "engine_failed", Severity.CRITICAL)
    assert (told.instance_id, told.host, told.session_id) == ("e1", "h", None)


def test_what_the_table_does_not_say_is_critical_cannot_be_told_so() -> None:
    with pytest.raises(ValueError, match="does not say when no_data is critical"):
        alerts.NO_DATA.alert("m", is_critical=True)


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    assert [kind.code for kind in ALERTS.values() if not (kind.meaning and kind.remedy)] == []


def test_the_page_has_a_line_for_each_code() -> None:
    page = alerts_table()
    for code in SAID:
        assert f"\n| `{code}` |" in page
    assert "critical when the engine's trading mode is live" in page
    assert "| `trading_again`, `impaired_over` |" in page
