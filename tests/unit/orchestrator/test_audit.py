"""What the audit keeps of commands that were refused here, and of those that hosts were asked directly."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from flotilla.bus.endpoint import Witnessed
from flotilla.bus.streams import Delivery
from flotilla.schemas import contract
from flotilla.schemas.audit import Caller, GatewayRefusal, HostCommand
from flotilla.schemas.fault import Fault, FaultCode, fault
from flotilla.schemas.session import StopOrder
from flotilla.schemas.telemetry import FleetAlert, Severity
from flotilla.services.orchestrator.engines import audit
from flotilla.services.orchestrator.engines.audit import (
    Audit,
    alert_of,
    alert_of_order,
    entry_of_host,
    refusal_of,
)
from flotilla.services.orchestrator.engines.ports import Command, Refusal, RepeatedCommand

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


@pytest.mark.parametrize(
    ("call", "body", "about"),
    [
        (contract.ENGINE_SIGNAL, b'{"name": "mood", "value": 1}', ""),
        (contract.ENGINE_SIGNAL, b'{"name": "mood", "value": 1, "instance_id": "e1"}', "e1"),
        (contract.PACKAGE_PUSH, b'{"name": "mine", "digest": "a"}', "mine@?"),
        (contract.PACKAGE_PUSH, b'{"name": "mine", "version": "2"}', "mine@2"),
        (contract.PACKAGE_PUSH, b'{"name": 5}', ""),
        (contract.PACKAGE_REMOVE, b'{"name": "mine", "version": "2"}', "mine@2"),
    ],
)
def test_a_refusal_is_about_no_engine_that_it_did_not_name(
    call: contract.Call[Any, Any], body: bytes, about: str
) -> None:
    found = refusal_of(seen(body, call), NOW)
    assert found is not None
    assert found.instance_id == about


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
        self.old: list[int] = []
        self.forgotten_before = NOW

    async def forget_audit(self, before: datetime) -> int:
        self.forgotten_before = before
        return self.old.pop() if self.old else 0

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


class FakeBus:
    """Keeps what is published, unless it is away."""

    def __init__(self) -> None:
        self.is_away = True
        self.kept: list[bytes] = []

    async def publish_durable(self, _: Any, payload: Any, *, message_id: str) -> None:
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "away")
        self.kept.append(msgspec.json.encode(payload))


def made(bus: FakeBus | None = None) -> tuple[Audit, FakeRecord, FakeAlerts]:
    record, alerts = FakeRecord(), FakeAlerts()
    return Audit(bus or FakeBus(), record, lambda: NOW, alerts), record, alerts  # type: ignore[arg-type]


async def test_what_waits_for_the_record_outlives_the_orchestrator_that_noted_it() -> None:
    bus = FakeBus()
    bus.is_away = False
    kept, record, _ = made(bus)
    record.is_away = True
    done = msgspec.structs.replace(entry_of_host(told()), reply=b'{"receipts": []}', body_hash=b"\x00\xff")
    kept.saw(seen())
    kept.later(done)
    running = asyncio.get_running_loop().create_task(kept.run())
    async with asyncio.timeout(5):
        while len(bus.kept) < 2:
            await asyncio.sleep(0.01)
    running.cancel()
    following, after, _ = made()
    batch = [Delivery("fleet.audit_entry", data, NOW) for data in (*bus.kept, b"junk", *bus.kept)]
    await following.take_waiting(batch)
    assert after.commands == [done]
    assert after.refusals[0] == refusal_of(seen(), NOW)


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


async def test_a_stop_is_told_and_recorded_as_soon_as_it_is_asked_for() -> None:
    kept, record, alerts = made()
    stop = StopOrder(order_id="r1", at=NOW, instance_id="e1", reason="drill", caller=ANN)
    lift = StopOrder(order_id="r2", at=NOW, is_lift=True, caller=ANN)
    batch = [Delivery("fleet.stop_order", msgspec.json.encode(order), NOW) for order in (stop, lift)]
    record.is_away = True
    with pytest.raises(Exception, match="away"):
        await kept.take_orders(batch)
    assert alerts.told == [f"emergency_stop_asked-r1-{NOW}"], "people hear of it while the record is away"
    record.is_away = False
    await kept.take_orders([*batch, Delivery("fleet.stop_order", b"junk", NOW), *batch])
    assert [(one.request_id, one.subject, one.instance_id, one.body) for one in record.commands] == [
        ("r1@asked", "fleet.engine.emergency_stop", "e1", b'{"instance_id":"e1","reason":"drill"}'),
        ("r2@asked", "fleet.engine.lift_stop", "all", b'{"instance_id":null}'),
    ]
    assert {one.caller for one in record.commands} == {ANN}
    told_of_stop = alert_of_order(stop).alert
    assert (told_of_stop.severity, told_of_stop.instance_id) == (Severity.CRITICAL, "e1")
    assert told_of_stop.message == "an emergency stop of engine e1 is asked for by ann (drill)"


async def test_what_the_gateway_turned_away_is_recorded_in_its_name() -> None:
    kept, record, _ = made()
    refusal = GatewayRefusal(
        at=NOW,
        request_id="r1",
        subject="POST /api/v1/nautilus/engine/stop",
        caller=Caller(credential="orchestrator", origin="10.0.0.5", via="rest"),
        code=FaultCode.UNAUTHENTICATED,
        message="no\x00",
        count=4_999,
    )
    await kept.take_refusals([Delivery("gateway.refusal", msgspec.json.encode(refusal), NOW)])
    (one,) = record.refusals
    assert one.caller == Caller(credential="gateway", origin="10.0.0.5", via="rest")
    assert (one.code, one.message) == (FaultCode.UNAUTHENTICATED, "no\ufffd (4999 times)")


async def test_old_entries_are_deleted_until_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FORGET_S", 0.0)
    kept, record, _ = made()
    record.old = [0, 5_000, 10_000]
    running = asyncio.get_running_loop().create_task(kept.forget(timedelta(days=400)))
    async with asyncio.timeout(5):
        while record.old:
            await asyncio.sleep(0.01)
    running.cancel()
    assert record.forgotten_before == datetime(2024, 12, 27, tzinfo=UTC)


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
