"""What the gateway can tell of the fleet's health: services, hosts, the record, open alerts, each with what it means and what to do.

What only a machine itself can see, such as its Python, kernel, Docker and ports, `flotilla doctor` on that machine looks at.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Final, Literal

import msgspec

from flotilla.schemas import contract
from flotilla.schemas.alert_rules import RULES
from flotilla.schemas.alerting import AlertState, AlertView
from flotilla.schemas.fault import Fault, FaultError
from flotilla.schemas.record import ReadRecord, RecordKept
from flotilla.schemas.telemetry import Severity
from flotilla.services.gateway.live.fleet_figures import TOPICS
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.rows import HostRow, Row, ServiceRow
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery

type Level = Literal["ok", "warn", "fail"]
_UNHEARD: Final = timedelta(seconds=6)
"""Services and supervisors beat once a second."""
_MOST_ALERTS: Final = 50
_RECORD_S: Final = 3.0
_GRAVITY: Final[dict[Level, int]] = {"fail": 0, "warn": 1, "ok": 2}
_NEEDED: Final = ("nats", "orchestrator")
_SERVICE_MEANS: Final = {
    "nats": "Nothing reaches this gateway: what it shows is old, and no command is carried out.",
    "orchestrator": "No command is carried out but an emergency stop, and no failed engine is started again. Engines go on, unless their"
    " configuration stops them when no orchestrator is heard.",
    "notifier": "No new alert is raised, and nobody is told of any.",
    "gateway": "Pages and programs that use it see nothing new.",
}
_CHECK_REMEDIES: Final = {
    "record": "Look whether PostgreSQL runs; `flotilla doctor` on its machine says what is missing.",
    "events": "Look whether NATS runs and has room on its disk; what it refuses to store stands in its log.",
    "disk": "Make room on that disk; `flotilla record` says what is kept, and how long.",
    "loaded": "It reads the record; if that lasts longer than a minute, its log says why.",
}
_LOG: Final = "Its log says why: in `logs/` of the state folder, or `docker compose logs`."


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what was found, what follows from it, and what to do, with commands between backticks.

    `about` is what it is of, such as a service's or a host's name. Where all is well `means` and `remedy` are empty.
    """

    level: Level
    kind: Literal["service", "host", "record", "alert"]
    about: str
    found: str
    means: str = ""
    remedy: str = ""


class DoctorReply(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be mended first. `is_ok`: nothing has to be; what is worth a look is a warning. `alerts_left_out` are open and not here."""

    success: bool = True
    at: datetime
    is_ok: bool
    findings: tuple[Finding, ...]
    alerts_left_out: int = 0


async def read_doctor(gateway: Gateway, _: Ask[NoQuery, None]) -> DoctorReply:
    """From the gateway's memory, but for the record, which is asked for."""
    record = await _record(gateway)
    return examined(gateway.fleet.rows(TOPICS), record, datetime.now(UTC), version("flotilla"))


def examined(rows: Sequence[Row], record: RecordKept | Fault, now: datetime, own: str) -> DoctorReply:
    """What is to be said of these rows, the gravest first. `own` is the gateway's version, `record` what was said of it, or why nothing was."""
    hosts = [row for row in rows if isinstance(row, HostRow)]
    alerts = [row for row in rows if isinstance(row, AlertView) and row.state == AlertState.OPEN]
    shown = sorted(alerts, key=lambda one: one.opened_at, reverse=True)[:_MOST_ALERTS]
    findings = [*_services(rows, now), *_hosts(hosts, now, own), _kept(record), *map(_alert, shown)]
    return DoctorReply(
        at=now,
        is_ok=not any(one.level == "fail" for one in findings),
        findings=tuple(sorted(findings, key=lambda one: _GRAVITY[one.level])),
        alerts_left_out=len(alerts) - len(shown),
    )


def _services(rows: Iterable[Row], now: datetime) -> Iterator[Finding]:
    known = {row.service: row for row in rows if isinstance(row, ServiceRow)}
    for name in sorted({*known, *_NEEDED}):
        yield _service(name, known.get(name), now)


def _service(name: str, row: ServiceRow | None, now: datetime) -> Finding:
    means = _SERVICE_MEANS.get(name, "")
    start = f"`flotilla up` runs it with the rest of the stack. {_LOG}"
    if row is None:
        return Finding(
            level="fail", kind="service", about=name, found="was not heard", means=means, remedy=start
        )
    age = now - row.heard_at if row.heard_at else timedelta(0)
    if age > _UNHEARD:
        found = f"not heard for {age.total_seconds():.0f} s"
        return Finding(level="fail", kind="service", about=name, found=found, means=means, remedy=start)
    wrong = {check: said for check, said in row.checks.items() if said != "ok"}
    if row.is_ready and not wrong:
        found = f"ready, version {row.version}" if row.version else "ready"
        return Finding(level="ok", kind="service", about=name, found=found)
    found = "; ".join(f"{check}: {said}" for check, said in wrong.items()) or "is not ready"
    remedies = dict.fromkeys(_CHECK_REMEDIES.get(check, _LOG) for check in wrong)
    return Finding(
        level="fail", kind="service", about=name, found=found, means=means, remedy=" ".join(remedies) or start
    )


def _hosts(hosts: Sequence[HostRow], now: datetime, own: str) -> Iterator[Finding]:
    if not hosts:
        yield Finding(
            level="fail",
            kind="host",
            about="hosts",
            found="none was heard",
            means="No engine can be started.",
            remedy="`flotilla up` runs a supervisor here; on another machine its service is started by itself.",
        )
    for host in sorted(hosts, key=lambda one: one.host):
        yield from _host(host, now, own)


def _host(host: HostRow, now: datetime, own: str) -> Iterator[Finding]:
    def finding(level: Level, found: str, means: str = "", remedy: str = "") -> Finding:
        return Finding(level=level, kind="host", about=host.host, found=found, means=means, remedy=remedy)

    age = now - host.heard_at
    if age > _UNHEARD:
        yield finding(
            "fail",
            f"not heard for {age.total_seconds():.0f} s",
            "Nobody knows how its engines are, and none is started there. They may trade on.",
            "Look at the machine, and at its connection to NATS; `flotilla doctor` there checks the rest.",
        )
        return
    if not host.is_runtime_up:
        yield finding(
            "fail",
            f"{host.runtime} does not answer",
            "No engine is started or stopped there by it.",
            "`flotilla doctor` on that machine looks at it.",
        )
    for flag in host.stop_flags:
        who, lift = "every engine", "`flotilla emergency-stop --lift`"
        if flag.instance_id:
            who, lift = flag.instance_id, f"`flotilla emergency-stop {flag.instance_id} --lift`"
        why = f": {flag.reason}" if flag.reason else ""
        yield finding(
            "warn",
            f"emergency stop of {who} since {flag.since:%Y-%m-%d %H:%M:%S} UTC{why}",
            "It stays stopped, and is started by nobody, until that is lifted.",
            f"When you mean it: {lift}.",
        )
    if host.version != own:
        yield finding(
            "warn",
            f"runs {host.version}, this gateway {own}",
            "What one of them knows the other may refuse.",
            "Bring both to one version.",
        )
    elif host.is_runtime_up and not host.stop_flags:
        yield finding("ok", f"{host.runtime} answers, {host.sessions} sessions, version {host.version}")


async def _record(gateway: Gateway) -> RecordKept | Fault:
    try:
        return await gateway.bus.call(contract.RECORD_KEPT, ReadRecord(), timeout_s=_RECORD_S)
    except FaultError as error:
        return error.fault


def _kept(kept: RecordKept | Fault) -> Finding:
    if isinstance(kept, Fault):
        return Finding(
            level="warn",
            kind="record",
            about="record",
            found=f"cannot be asked: {kept.message}",
            means="How much is kept, and whether there is room, is not known.",
            remedy="See what is said of the orchestrator here; `flotilla record` asks again.",
        )
    found = f"{kept.bytes / 2**30:.1f} GiB of its budget of {kept.budget_bytes / 2**30:.0f} GiB"
    if not kept.problem:
        return Finding(level="ok", kind="record", about="record", found=found)
    return Finding(
        level="warn",
        kind="record",
        about="record",
        found=f"{found}: {kept.problem}",
        means="It grows on, until its disk is full.",
        remedy="`flotilla record` says what is kept: give it a larger budget, or keep some of it for less long.",
    )


def _alert(alert: AlertView) -> Finding:
    rule = RULES.get(alert.rule)
    taken = f" ({alert.acknowledged_by} has taken it on)" if alert.acknowledged_by else ""
    is_grave = alert.severity is Severity.CRITICAL and not alert.acknowledged_by
    return Finding(
        level="fail" if is_grave else "warn",
        kind="alert",
        about=alert.about,
        found=f"{(alert.code or alert.rule).replace('_', ' ')}: {alert.text}{taken}",
        means=rule.meaning if rule else "",
        remedy=rule.remedy if rule else "",
    )
