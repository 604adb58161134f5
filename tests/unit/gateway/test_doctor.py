"""What the page Doctor says of services, hosts, the record and alerts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flotilla.schemas.alert_rules import RULES, AlertAbout
from flotilla.schemas.alerting import AlertState, AlertView
from flotilla.schemas.fault import Fault, FaultCode
from flotilla.schemas.record import RecordKept
from flotilla.schemas.telemetry import Severity, StopFlag
from flotilla.services.gateway.fleet.doctor import DoctorReply, examined
from flotilla.services.gateway.live.rows import HostRow, Row, ServiceRow

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
KEPT = RecordKept(bytes=3 << 30, budget_bytes=20 << 30, kinds=(), deletions=())


def service(name: str, **changes: Any) -> ServiceRow:
    known: dict[str, Any] = {"is_ready": True, "heard_at": NOW, "version": "1.0", "checks": {"record": "ok"}}
    return ServiceRow(service=name, **(known | changes))


def host(**changes: Any) -> HostRow:
    known: dict[str, Any] = {
        "host": "ny-1", "heard_at": NOW, "runtime": "docker", "is_runtime_up": True, "cpus": 4, "memory_bytes": 1, "sessions": 2,
        "version": "1.0", "has_cache": True,
    }  # fmt: skip
    return HostRow(**(known | changes))


def alert(number: int = 1, **changes: Any) -> AlertView:
    known: dict[str, Any] = {
        "alert_id": f"{number:024x}", "rule": "engine_mismatch", "about_kind": AlertAbout.ENGINE, "about": "e1",
        "severity": Severity.CRITICAL, "text": "O-1 is unknown there", "state": AlertState.OPEN, "opened_at": NOW, "changed_at": NOW,
    }  # fmt: skip
    return AlertView(**(known | changes))


NATS = ServiceRow(service="nats", is_ready=True)
WELL: tuple[Row, ...] = (NATS, service("orchestrator"), service("notifier"), host())


def look(*rows: Row, record: RecordKept | Fault = KEPT) -> DoctorReply:
    return examined(rows, record, NOW, "1.0")


def test_where_all_is_well_it_says_so_of_each_and_what_to_do_of_none() -> None:
    reply = look(*WELL)
    assert reply.is_ok
    assert [(one.level, one.about, one.found) for one in reply.findings] == [
        ("ok", "nats", "ready"),
        ("ok", "notifier", "ready, version 1.0"),
        ("ok", "orchestrator", "ready, version 1.0"),
        ("ok", "ny-1", "docker answers, 2 sessions, version 1.0"),
        ("ok", "record", "3.0 GiB of its budget of 20 GiB"),
    ]
    assert {(one.means, one.remedy) for one in reply.findings} == {("", "")}


LATE = NOW - timedelta(seconds=21)


@pytest.mark.parametrize(
    ("rows", "level", "found", "remedy"),
    [
        ((NATS, host()), "fail", "was not heard", "`flotilla up`"),
        ((*WELL, service("orchestrator", heard_at=LATE)), "fail", "not heard for 21 s", "`flotilla up`"),
        (
            (*WELL, service("orchestrator", is_ready=False, checks={"record": "refused", "disk": "ok"})),
            "fail",
            "record: refused",
            "PostgreSQL",
        ),
        ((*WELL, ServiceRow(service="nats", is_ready=False)), "fail", "is not ready", "`flotilla up`"),
        (WELL[:3], "fail", "none was heard", "supervisor"),
        ((*WELL[:3], host(heard_at=LATE)), "fail", "not heard for 21 s", "connection to NATS"),
        ((*WELL[:3], host(is_runtime_up=False)), "fail", "docker does not answer", "`flotilla doctor`"),
        ((*WELL[:3], host(version="0.9")), "warn", "runs 0.9, this gateway 1.0", "one version"),
        (
            (*WELL[:3], host(stop_flags=(StopFlag(since=LATE, instance_id="e1", reason="halted"),))),
            "warn",
            "emergency stop of e1 since 2026-01-31 14:24:40 UTC: halted",
            "`flotilla emergency-stop e1 --lift`",
        ),
        ((*WELL, alert()), "fail", "engine mismatch: O-1 is unknown there", RULES["engine_mismatch"].remedy),
        ((*WELL, alert(acknowledged_by="anna")), "warn", "engine mismatch: O-1 is unknown there (anna", ""),
    ],
)
def test_what_is_amiss_comes_first_with_what_it_means_and_what_to_do(
    rows: tuple[Row, ...], level: str, found: str, remedy: str
) -> None:
    reply = look(*rows)
    first = reply.findings[0]
    assert (first.level, reply.is_ok) == (level, level != "fail")
    assert first.found.startswith(found)
    assert remedy in first.remedy
    assert first.means
    assert first.remedy


def test_a_record_that_is_too_large_or_away_is_worth_a_look() -> None:
    large = RecordKept(bytes=21 << 30, budget_bytes=20 << 30, kinds=(), deletions=(), problem="all is young")
    away = Fault(code=FaultCode.UNAVAILABLE, message="nobody answers")
    found = [look(*WELL, record=record).findings[0] for record in (large, away)]
    assert [(one.level, one.found) for one in found] == [
        ("warn", "21.0 GiB of its budget of 20 GiB: all is young"),
        ("warn", "cannot be asked: nobody answers"),
    ]


def test_more_alerts_than_anybody_reads_are_counted_and_those_that_are_over_are_not() -> None:
    reply = look(*WELL, *(alert(number) for number in range(53)), alert(99, state=AlertState.RESOLVED))
    assert (sum(one.kind == "alert" for one in reply.findings), reply.alerts_left_out) == (50, 3)
