"""What a supervisor tells the audit of commands that went past the orchestrator."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flotilla.bus.endpoint import Witnessed
from flotilla.schemas.audit import Caller, HostCommand
from flotilla.schemas.contract import HOST_EMERGENCY_STOP, SESSION_KILL
from flotilla.schemas.fault import Fault, FaultCode, fault
from flotilla.schemas.session import EmergencyReceipt, HostStopped
from flotilla.services.supervisor import telling
from flotilla.services.supervisor.telling import CommandTeller

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OPERATOR = Caller(credential="operator", name="ann")


class Bus:
    """Takes what is published, after it was away for the first `away` times."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.taken: list[HostCommand] = []
        self.message_ids: list[str] = []

    async def publish_durable(self, _: Any, told: HostCommand, *, message_id: str, host: str) -> None:
        if self.away > 0:
            self.away -= 1
            raise fault(FaultCode.UNAVAILABLE, "away")
        assert host == "h1"
        self.taken.append(told)
        self.message_ids.append(message_id)


async def told(bus: Bus, count: int, *seen: Witnessed) -> list[HostCommand]:
    teller = CommandTeller(bus, "h1", lambda: NOW)  # type: ignore[arg-type]
    for one in seen:
        teller.saw(one)
    running = asyncio.get_running_loop().create_task(teller.run())
    async with asyncio.timeout(5):
        while len(bus.taken) < count:
            await asyncio.sleep(0.01)
    running.cancel()
    return bus.taken


def killed(body: bytes, caller: Caller = OPERATOR, problem: Fault | None = None) -> Witnessed:
    return Witnessed(SESSION_KILL, caller, body, b"{}", problem)


async def test_a_stop_is_told_with_who_asked_and_what_it_came_to() -> None:
    receipt = EmergencyReceipt(
        instance_id="e1",
        session_id="s1",
        host="h1",
        is_flat=False,
        is_gone=True,
        is_killed=True,
        not_confirmed=("it was killed",),
    )
    answer = msgspec.json.encode(HostStopped(host="h1", receipts=(receipt,), flags=()))
    body = b'{"instance_id": "e1", "request_id": "r1", "reason": "drill"}'
    (one,) = await told(Bus(), 1, Witnessed(HOST_EMERGENCY_STOP, OPERATOR, body, answer, None))
    assert (one.request_id, one.about, one.caller, one.code) == ("r1", "e1", OPERATOR, None)
    assert one.body == {"instance_id": "e1", "request_id": "r1", "reason": "drill"}
    assert one.message == "0 of 1 sessions flat and gone; NOT CONFIRMED e1: it was killed"


async def test_what_the_orchestrator_asked_is_on_its_own_record() -> None:
    own, other = Caller(credential="orchestrator"), killed(b'{"session_id": "s2"}')
    assert [one.about for one in await told(Bus(), 1, killed(b'{"session_id": "s1"}', own), other)] == ["s2"]


@pytest.mark.parametrize("request_id", ["", "x\r\nNats-Msg-Id: other", "r" * 9_000, 7, None])
async def test_what_is_no_request_id_never_becomes_the_id_of_a_message(request_id: object) -> None:
    bus, refused = Bus(), Fault(code=FaultCode.INVALID, message="no")
    body = msgspec.json.encode({"session_id": "s1", "request_id": request_id})
    (one,) = await told(bus, 1, killed(body, problem=refused))
    assert (one.code, one.message) == (FaultCode.INVALID, "no")
    assert one.body == {"session_id": "s1", "request_id": request_id}
    assert one.request_id.isalnum()
    assert bus.message_ids == [f"{one.request_id}-{NOW}"]


async def test_what_waits_for_the_bus_is_told_in_order_and_the_oldest_is_given_up_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telling, "MOST", 2)
    monkeypatch.setattr(telling, "RETRY_S", 0.01)
    seen = (killed(msgspec.json.encode({"session_id": name})) for name in ("s1", "s2", "s3"))
    assert [one.about for one in await told(Bus(away=3), 2, *seen)] == ["s2", "s3"]
