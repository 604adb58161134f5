"""What the audit keeps of commands that were refused here, and of those that hosts were asked directly."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bus.endpoint import Witnessed
from bus.streams import Delivery
from schemas import contract
from schemas.audit import Caller, HostCommand
from schemas.fault import Fault, FaultCode, fault
from schemas.telemetry import FleetAlert, Severity
from services.orchestrator import audit
from services.orchestrator.audit import Audit
from services.orchestrator.audit_entries import alert_of, entry_of_host, refusal_of
from services.orchestrator.ports import Command, Refusal, RepeatedCommand

NOW = datetime(2026, 1, 31, tzinfo=UTC)
ANN = Caller(credential="gateway", name="ann", origin="10.0.0.5", via="rest")


def seen(
    body: bytes = b'{"instance_id": "e1", "request_id": "r1"}',
    call: contract.Call[Any, Any] = contract.ENGINE_STOP,
    code: FaultCode | None = FaultCode.CONFLICT,
) -> Witnessed:
    problem = Fault(code=code, message="no\x00") if code else None
    return Witnessed(call, ANN, body, b"{}", problem)


def told(**changes: Any) -> HostCommand:
    given: dict[str, Any] = {
        "host": "h1",
        "at": NOW,
        "request_id": "r1",
        "subject": "engine.emergency_stop",
        "about": "all",
        "caller": ANN,
        "message": "2 of 2 sessions flat and gone",
    }
    return HostCommand(**(given | changes))


def test_a_refusal_has_who_what_and_why() -> None:
    found = refusal_of(seen(b'{"config": {"instance_id": "e1", "api_key": "AKIA"}, "request_id": "r1"}'), NOW)
    assert found == Refusal(
        request_id="r1",
        subject="fleet.engine.stop",
        instance_id="e1",
        created_at=NOW,
        code=FaultCode.CONFLICT,
        message="no\ufffd",
        caller=ANN,
        body=b'{"config":{"instance_id":"e1","api_key":"***"},"request_id":"r1"}',
    )


def test_what_was_done_is_no_refusal_and_a_workers_claim_is_no_command() -> None:
    assert refusal_of(seen(code=None), NOW) is None
    assert refusal_of(seen(call=contract.TRIAL_CLAIM), NOW) is None


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"request_id": 7, "instance_id": [1]}', b"[]"])
def test_a_body_that_makes_no_sense_is_a_refusal_all_the_same(body: bytes) -> None:
    found = refusal_of(seen(body), NOW)
    assert found is not None
    assert found.request_id
    assert found.instance_id == ""


def test_a_hosts_command_is_an_entry_per_host() -> None:
    done = entry_of_host(told(body={"reason": "x"}))
    assert isinstance(done, Command)
    assert (done.request_id, done.host, done.caller, done.body) == ("r1@h1", "h1", ANN, b'{"reason":"x"}')
    assert done.message == "2 of 2 sessions flat and gone"
    refused = entry_of_host(told(code=FaultCode.UNAVAILABLE, message="no"))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.host) == (FaultCode.UNAVAILABLE, "h1")


def test_stops_and_lifts_raise_an_alert_whoever_asked_and_nothing_else_does() -> None:
    stop = alert_of(told())
    assert stop is not None
    assert (stop.alert.severity, stop.alert.code) == (Severity.CRITICAL, "emergency_stop")
    assert (
        stop.alert.message == "host h1: emergency stop of all engines by ann: 2 of 2 sessions flat and gone"
    )
    one = alert_of(told(about="e1"))
    assert one is not None
    assert one.alert.instance_id == "e1"
    lift = alert_of(told(subject="engine.lift_stop", message="0 stops are still in force"))
    assert lift is not None
    assert (lift.alert.severity, lift.alert.code) == (Severity.WARNING, "stop_lifted")
    assert alert_of(told(subject="engine.kill")) is None
    assert alert_of(told(caller=Caller(credential="orchestrator"))) is None, "it tells of its own stops"


def test_what_a_host_could_not_do_is_not_told_as_done_and_is_told_apart_from_what_it_did_later() -> None:
    refused = {"code": FaultCode.UNAVAILABLE, "message": "the stop flags cannot be stored"}
    lift = alert_of(told(subject="engine.lift_stop", about="e1", **refused))
    assert lift is not None
    assert lift.alert.code == "stop_not_lifted"
    assert lift.alert.message == (
        "host h1: emergency stop of engine e1 not lifted, as ann asked for: the stop flags cannot be stored"
    )
    stop = alert_of(told(**refused))
    assert stop is not None
    assert (stop.alert.severity, stop.alert.code) == (Severity.CRITICAL, "emergency_stop_failed")
    assert "failed: the stop flags cannot be stored" in stop.alert.message
    later = alert_of(told())
    assert later is not None
    assert later.key != stop.key, "the same request, asked again and done"


def test_whatever_a_host_was_sent_fits_the_record_and_the_alert() -> None:
    hostile = told(request_id="\x00" * 9_000, about="\x00../x" * 9_000, code=FaultCode.INVALID, message="no")
    kept = entry_of_host(hostile)
    assert (len(kept.request_id), "\x00" in kept.request_id) == (103, False)
    alert = alert_of(hostile)
    assert alert is not None
    assert alert.alert.instance_id is None
    assert len(alert.key) < 200
    assert msgspec.json.decode(msgspec.json.encode(alert.alert), type=FleetAlert) == alert.alert


class FakeRecord:
    def __init__(self) -> None:
        self.is_away = False
        self.commands: list[Command] = []
        self.refusals: list[Refusal] = []

    async def add_command(self, command: Command) -> None:
        self._answer()
        if command.request_id in {one.request_id for one in self.commands}:
            raise RepeatedCommand(command.request_id)
        self.commands.append(command)

    async def add_refusal(self, refusal: Refusal) -> None:
        self._answer()
        self.refusals.append(refusal)

    def _answer(self) -> None:
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "away")


class FakeAlerts:
    def __init__(self) -> None:
        self.told: list[str] = []

    async def tell(self, effect: Any) -> None:
        self.told.append(effect.key)


def made() -> tuple[Audit, FakeRecord, FakeAlerts]:
    record, alerts = FakeRecord(), FakeAlerts()
    return Audit(record, lambda: NOW, alerts), record, alerts  # type: ignore[arg-type]


async def test_what_happens_while_the_record_is_away_is_noted_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "RETRY_S", 0.01)
    kept, record, _ = made()
    record.is_away = True
    running = asyncio.get_running_loop().create_task(kept.run())
    done = entry_of_host(told())
    kept.saw(seen())
    kept.later(done)
    await asyncio.sleep(0.05)
    assert (record.commands, record.refusals) == ([], [])
    record.is_away = False
    async with asyncio.timeout(5):
        while not (record.commands and record.refusals):
            await asyncio.sleep(0.01)
    assert record.commands == [done]
    assert [one.request_id for one in record.refusals] == ["r1"]
    running.cancel()


async def test_entries_that_wait_for_too_long_are_given_up_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "MOST", 2)
    kept, record, _ = made()
    for number in range(4):
        kept.later(entry_of_host(told(request_id=f"r{number}")))
    assert kept.lost == 2
    running = asyncio.get_running_loop().create_task(kept.run())
    async with asyncio.timeout(5):
        while len(record.commands) < 2:
            await asyncio.sleep(0.01)
    assert [one.request_id for one in record.commands] == ["r2@h1", "r3@h1"]
    running.cancel()


async def test_a_hosts_commands_are_recorded_once_and_none_speaks_for_another() -> None:
    kept, record, alerts = made()
    one = Delivery("host.h1.command", msgspec.json.encode(told()), NOW)
    forged = Delivery("host.h2.command", msgspec.json.encode(told(request_id="r9")), NOW)
    await kept.take([one, one, forged, Delivery("host.h1.command", b"junk", NOW)])
    assert [entry.request_id for entry in record.commands] == ["r1@h1"]
    assert set(alerts.told) == {"emergency_stop-r1@h1"}
    record.is_away = True
    with pytest.raises(Exception, match="away"):
        await kept.take([Delivery("host.h1.command", msgspec.json.encode(told(request_id="r2")), NOW)])
