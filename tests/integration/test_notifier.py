"""The notifier over a real bus and record: each alert is told once, again only where it must be, and never with an address."""

# ruff: noqa: F811 - fixtures are imported
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.bus.files import write_whole
from flotilla.bus.streams import Delivery, Follower
from flotilla.schemas import contract
from flotilla.schemas.alerting import (
    HEARTBEAT_ADAPTER,
    AckAlert,
    AlertChange,
    AlertChangeKind,
    AlertState,
    MuteAlerts,
    RemoveChannel,
    SetRule,
    TryChannel,
)
from flotilla.schemas.audit import NotifierCommand
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.secrets import SecretBinding
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import HostHeartbeat, Severity
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.notifiers import (  # noqa: F401 - fixtures
    PASSWORD,
    Fleet,
    Told,
    fleet,
    mail_server,
    notifier_dsn,
    running,
    secrets_in,
    told,
    until,
    view_of,
)

ALERT = "ab" * 12
KILLS = 20


def beat(host: str) -> HostHeartbeat:
    return HostHeartbeat(
        host=host, runtime="process", at_ns=0, cpus=2, memory_bytes=1, sessions=0, version="0"
    )


async def test_an_engine_that_is_killed_is_told_once_within_five_seconds_and_resolved_when_it_is_back(
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    told: Told,
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        await fleet.says(view_of(RunState.TRADING))
        began = time.monotonic()
        await fleet.says(view_of(RunState.FAILED))
        await fleet.says(view_of(RunState.FAILED))
        await until(lambda: told.messages)
        assert time.monotonic() - began < 5
        for state in (RunState.SCHEDULED, RunState.BOOTING, RunState.TRADING):
            await fleet.says(view_of(state, generation=2))
        await until(lambda: len(told.messages) == 2)
        await asyncio.sleep(1.5)  # whether a third comes
    assert told.titles == [
        "[warning] engine e1: failed (killed): exit code -9",
        "[warning] resolved: engine e1: failed (killed): exit code -9",
    ]
    assert told.messages[0]["type"] == "warning"


async def test_fifty_flaps_are_few_messages_and_many_engines_at_once_are_one(
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    told: Told,
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        for number in range(20):
            await fleet.says(view_of(RunState.FAILED, f"many-{number}"))
        await until(lambda: told.messages)
        for _ in range(50):
            await fleet.says(view_of(RunState.IMPAIRED))
            await fleet.says(view_of(RunState.TRADING))

        async def is_flapping() -> bool:
            return any(one.is_flapping and one.times == 50 for one in await fleet.alerts(is_all=False))

        await until(is_flapping, 15)
        await until(lambda: not notifier.ledger.deliveries, 15)
    assert told.titles[0] == "20 alerts: 20 warning"
    assert 1 <= len(told.messages) - 1 <= 8, told.titles
    assert any("flapping: engine e1" in title for title in told.titles), told.titles


async def test_what_was_acknowledged_or_muted_or_switched_off_is_not_told(
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    told: Told,
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    call = fleet.operator.call
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        await call(contract.ALERT_MUTE, MuteAlerts(for_s=60, about="quiet"))
        await call(contract.ALERT_SET_RULE, SetRule(rule="engine_failed", about="off", is_on=False))
        await call(
            contract.ALERT_SET_RULE, SetRule(rule="engine_failed", about="e1", severity=Severity.CRITICAL)
        )
        for name in ("quiet", "off", "e1"):
            await fleet.says(view_of(RunState.FAILED, name))
        await until(lambda: told.messages)
        open_alerts = await fleet.alerts(is_all=False)
        assert {one.about for one in open_alerts} == {"quiet", "e1"}
        mine = next(one for one in open_alerts if one.about == "e1")
        assert mine.severity == Severity.CRITICAL
        fleet.operator.scope = lambda: {"desk": "rates"}
        with pytest.raises(FaultError) as unseen:
            await call(contract.ALERT_ACK, AckAlert(alert_id=mine.alert_id))
        assert (unseen.value.fault.code, mine.labels) == (FaultCode.NOT_FOUND, {})
        fleet.operator.scope = dict
        taken = await call(
            contract.ALERT_ACK, AckAlert(alert_id=mine.alert_id, note="on it", request_id="a1")
        )
        again = await call(
            contract.ALERT_ACK, AckAlert(alert_id=mine.alert_id, note="on it", request_id="a1")
        )
        assert (taken, taken.acknowledged_by, taken.note) == (again, "operator?", "on it")
        await fleet.says(view_of(RunState.TRADING, generation=2))
        await until(lambda: len(told.messages) == 2)
        with pytest.raises(FaultError) as refused:
            await call(contract.ALERT_ACK, AckAlert(alert_id=mine.alert_id))
        assert refused.value.fault.code == FaultCode.CONFLICT
    assert told.titles == [
        "[critical] engine e1: failed (killed): exit code -9",
        "[critical] resolved: engine e1: failed (killed): exit code -9",
    ]


async def test_a_host_that_is_gone_and_an_orchestrator_that_is_not_well_are_told(
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    told: Told,
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    supervisor = await connect_as(Actor.SUPERVISOR)
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        for rule in ("host_lost", "orchestrator_silent"):
            await fleet.operator.call(contract.ALERT_SET_RULE, SetRule(rule=rule, threshold=1.0))
        await supervisor.publish(contract.HOST_HEARTBEAT, beat("h1"), host="h1")
        fleet.is_ready = False
        await until(lambda: any("host h1 is not heard" in title + body for title, body in said(told)), 15)
        await until(lambda: any("the orchestrator is not well" in t + b for t, b in said(told)), 15)

        async def is_resolved() -> bool:
            await supervisor.publish(contract.HOST_HEARTBEAT, beat("h1"), host="h1")
            return any("resolved: host h1" in title + body for title, body in said(told))

        await until(is_resolved, 15)


def texts(told: Told) -> str:
    return " ".join(title + body for title, body in said(told))


def said(told: Told) -> list[tuple[str, str]]:
    return [(one["title"], one["message"]) for one in told.messages]


async def test_without_a_bus_people_are_told_and_the_heartbeat_address_is_not_called(
    nats: NatsServer,
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    told: Told,
) -> None:
    store = secrets_in(tmp_path, desk_hook=told.address)
    store.save(
        "alive",
        {"url": f"http://127.0.0.1:{told.port}/alive-{PASSWORD}"},
        SecretBinding(adapter=HEARTBEAT_ADAPTER),
    )
    bus = await connect_as(Actor.NOTIFIER)
    async with running(bus, notifier_dsn, tmp_path, alive_secret="alive") as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        await fleet.operator.call(contract.ALERT_SET_RULE, SetRule(rule="bus_lost", threshold=0.5))
        await until(lambda: len(told.calls) > 2)
        nats.kill()
        await until(lambda: any("no connection to NATS" in title for title in told.titles), 15)
        calls = len(told.calls)
        await asyncio.sleep(1.0)
        assert len(told.calls) == calls
        nats.start()
        await until(lambda: any("resolved: the notifier has no connection" in one for one in told.titles), 20)
        await until(lambda: len(told.calls) > calls)


async def test_a_channel_that_does_not_take_it_is_tried_again_until_it_does(
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    told: Told,
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    told.status = 503
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        await fleet.says(view_of(RunState.FAILED))

        async def is_in_trouble() -> bool:
            (view,) = (
                await fleet.operator.call(contract.ALERT_CHANNELS, contract.ALERT_CHANNELS.request())
            ).channels
            return view.problem == "the channel did not take it (status 503)" and view.waiting == 1

        await until(is_in_trouble)
        tested = await fleet.operator.call(contract.ALERT_TEST_CHANNEL, TryChannel(name="desk"))
        assert (tested.is_sent, tested.problem) == (False, "the channel did not take it (status 503)")
        told.status = 200
        await until(lambda: told.messages)
    assert told.titles == ["[warning] engine e1: failed (killed): exit code -9"]


async def test_people_are_told_by_mail(
    connect_as: ConnectAs, notifier_dsn: str, tmp_path: Path, fleet: Fleet
) -> None:
    letters: list[EmailMessage] = []
    async with mail_server(letters) as port:
        address = f"mailto://127.0.0.1:{port}?from=fleet@example.com&to=desk@example.com&format=text"
        secrets_in(tmp_path, desk_hook=address)
        async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
            await until(lambda: notifier.ledger.is_loaded)
            await fleet.channel()
            await fleet.says(view_of(RunState.FAILED))
            await until(lambda: letters)
    letter = letters[0]  # on a machine that is slow it may have come twice
    assert letter["Subject"] == "[warning] engine e1: failed (killed): exit code -9"
    assert "desk@example.com" in letter["To"]
    assert "engine_failed, opened at" in letter.get_content()


async def test_changes_are_published_and_commands_are_told_to_the_audit(
    connect_as: ConnectAs,
    notifier_dsn: str,
    tmp_path: Path,
    fleet: Fleet,
    bus: Bus,
) -> None:
    heard: list[Any] = []

    async def take(batch: Any) -> None:
        heard.extend(batch)

    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel(request_id="c1")
        with pytest.raises(FaultError):
            await fleet.operator.call(
                contract.ALERT_REMOVE_CHANNEL, RemoveChannel(name="none", request_id="c2")
            )
        await fleet.says(view_of(RunState.FAILED))
        await fleet.says(view_of(RunState.TRADING, generation=2))
        follower = Follower(bus, [contract.ALERT_CHANGE, contract.NOTIFIER_COMMAND], take, durable="test")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(follower.run(), name="follow")
            await until(lambda: len(heard) == 4)
            task.cancel()
    changes = [decoded(one, AlertChange) for one in heard if one.subject == contract.ALERT_CHANGE.subject]
    assert [one.change for one in changes] == [AlertChangeKind.OPENED, AlertChangeKind.RESOLVED]
    commands = {
        one.request_id: one
        for one in (decoded(each, NotifierCommand) for each in heard if each.subject == "notifier.command")
    }
    assert (commands["c1"].subject, commands["c1"].about) == ("fleet.alert.set_channel", "desk")
    assert commands["c2"].code == FaultCode.NOT_FOUND
    assert commands["c1"].caller.credential == "operator"


def decoded[T](delivery: Delivery, kind: type[T]) -> T:
    return msgspec.json.decode(delivery.data, type=kind)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (contract.ALERT_ACK, {"alert_id": "../x"}, "alert_id"),
    (contract.ALERT_ACK, {"alert_id": ALERT, "note": "x" * 501}, "note"),
    (contract.ALERT_ACK, {"alert_id": ALERT, "more": 1}, "more"),
    (contract.ALERT_MUTE, {"for_s": -1, "about": "e1"}, "for_s"),
    (contract.ALERT_MUTE, {"for_s": 60}, "rule"),
    (contract.ALERT_MUTE, {"for_s": 60, "about": "a b"}, "about"),
    (contract.ALERT_MUTE, {"for_s": 60, "labels": {"A": "b"}}, "labels"),
    (contract.ALERT_LIST, {"limit": 0}, "limit"),
    (contract.ALERT_LIST, {"rule": "none"}, "rule"),
    (contract.ALERT_SET_RULE, {"rule": "none"}, "rule"),
    (contract.ALERT_SET_RULE, {"rule": "host_lost"}, "is_on"),
    (contract.ALERT_SET_RULE, {"rule": "host_lost", "threshold": 0}, "threshold"),
    (contract.ALERT_SET_RULE, {"rule": "disk_low", "threshold": 1}, "threshold"),
    (contract.ALERT_SET_RULE, {"rule": "host_lost", "window_s": 60}, "window_s"),
    (contract.ALERT_SET_RULE, {"rule": "fill", "severity": "loud"}, "severity"),
    (
        contract.ALERT_SET_RULE,
        {"rule": "fill", "is_on": True, "about": "e1", "labels": {"a": "b"}},
        "labels",
    ),
    (contract.ALERT_SET_CHANNEL, {"name": "desk", "secret": f"json://ann:{PASSWORD}@host"}, "secret"),
    (contract.ALERT_SET_CHANNEL, {"name": "De sk", "secret": "s"}, "name"),
    (contract.ALERT_SET_CHANNEL, {"name": "desk", "secret": "s", "rules": ["none"]}, "rules[0]"),
    (contract.ALERT_TEST_CHANNEL, {"name": ""}, "name"),
]


async def test_bad_input_is_refused_naming_the_field(
    connect_as: ConnectAs, notifier_dsn: str, tmp_path: Path, fleet: Fleet
) -> None:
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        for call, body, field in BAD:
            answer = await fleet.operator.client.request(call.subject, json.dumps(body).encode(), timeout=5)
            problem = json.loads(answer.data)
            assert problem["code"] == "invalid", (body, problem)
            assert problem["errors"][0]["field"].startswith(field), (body, problem)
            assert PASSWORD not in answer.data.decode()


class Killed:
    """A notifier as the stack runs it, in a process that a test kills."""

    def __init__(self, nats: NatsServer, dsn: str, folder: Path) -> None:
        write_whole(folder / "bus.creds", nats.keys.actor_credentials(Actor.NOTIFIER).encode())
        self._log = (folder / "notifier.log").open("ab")
        self._env = {
            **os.environ,
            "FLOTILLA_STATE": str(folder),
            "FLOTILLA_NATS_URL": nats.url,
            "FLOTILLA_NATS_CREDS": str(folder / "bus.creds"),
            "FLOTILLA_POSTGRES_DSN": dsn,
            "FLOTILLA_SECRETS": str(folder / "secrets"),
            "FLOTILLA_SECRETS_KEY_FILE": str(folder / "secrets.key"),
            "FLOTILLA_LOG_LEVEL": "DEBUG",
        }
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "flotilla.services.notifier"]
        return subprocess.Popen(argv, env=self._env, stdout=self._log, stderr=self._log)

    def again(self) -> None:
        """SIGKILL, and a new one."""
        self.stop(signal.SIGKILL)
        self.process = self._started()

    def close(self) -> None:
        """Its log."""
        self._log.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def killed(nats: NatsServer, notifier_dsn: str, tmp_path: Path) -> Iterator[Killed]:
    one = Killed(nats, notifier_dsn, tmp_path)
    yield one
    if one.process.poll() is None:
        one.stop(signal.SIGKILL)
    one.close()


async def test_killed_twenty_times_while_it_sends_it_loses_nothing_and_marks_what_it_repeats(
    fleet: Fleet,
    told: Told,
    tmp_path: Path,
    killed: Killed,
    notifier_dsn: str,
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    told.pause_s = 0.4

    async def is_there() -> bool:
        try:
            await fleet.channel()
        except FaultError:
            return False
        return True

    await until(is_there, 20)
    for number in range(KILLS):
        began = told.begun
        await fleet.says(view_of(RunState.FAILED, f"e{number}"))
        await until(lambda seen=began: told.begun > seen, 20)
        # At another moment each time: before it is taken, and after it was and is not noted.
        await asyncio.sleep(0.4 * (number % 5) / 4)
        killed.again()
    await until(lambda: all(f"engine e{number}:" in texts(told) for number in range(KILLS)), 20)
    await asyncio.sleep(1.0)
    assert killed.stop() == 0
    connection = await asyncpg.connect(notifier_dsn)
    left = await connection.fetchval("select count(*) from notifier.deliveries where state <> 'sent'")
    stored = await connection.fetch(
        "select body from notifier.deliveries union all select body from notifier.notes"
    )
    stored += await connection.fetch(
        "select body from notifier.kept union all select body from notifier.alerts"
    )
    await connection.close()
    assert left == 0
    first: set[str] = set()
    for title, body in said(told):
        delivery = body.rsplit("delivery ", 1)[1]
        assert title.startswith("(repeat)") or delivery not in first, (title, body)
        first.add(delivery)
    repeats = [title for title in told.titles if title.startswith("(repeat)")]
    assert repeats, "none was killed between sending and noting that"
    # Nor is an address anywhere, though everything was logged.
    assert PASSWORD not in (tmp_path / "notifier.log").read_text()
    assert PASSWORD not in " ".join(row["body"] for row in stored) + texts(told)


async def test_a_notifier_that_finds_no_bus_opens_the_alert_of_that(
    notifier_dsn: str,
    tmp_path: Path,
    told: Told,
) -> None:
    async with running(None, notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await until(lambda: any(one.view.rule == "bus_lost" for one in notifier.ledger.records.values()), 12)
    assert {one.view.state for one in notifier.ledger.records.values()} == {AlertState.OPEN}
