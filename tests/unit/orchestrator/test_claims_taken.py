"""What supervisors saw of strangers is answered before it is taken from the bus; what an end makes of a finding is not waited for."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flotilla.bus.streams import Delivery
from flotilla.schemas.session import Stranger
from flotilla.schemas.states import RunState
from flotilla.services.orchestrator.engines.claims import Claims
from flotilla.services.orchestrator.engines.core.claims import Finding, Sort
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from tests.unit.orchestrator.makers import NOW, after, engine, session

SEEN = Stranger(
    host="h1",
    at=datetime(2026, 1, 31, tzinfo=UTC),
    instance_id="e1",
    session_id="20260131-142501-3f9c2a7b1d04",
    address="10.0.0.9:4711",
    connected_at=datetime(2026, 1, 31, tzinfo=UTC),
)


class Turns:
    """Mailboxes whose turns fail while the record is away."""

    def __init__(self) -> None:
        self.is_away = True
        self.taken: list[str] = []

    def post(self, instance_id: str, decide: Any) -> "asyncio.Future[Any]":
        self.taken.append(instance_id)
        return asyncio.get_running_loop().create_future()

    async def turn(self, instance_id: str, _: Any) -> None:
        if self.is_away:
            raise ConnectionError("no record")
        self.taken.append(instance_id)


class Audit:
    def __init__(self) -> None:
        self.entries: list[Any] = []

    def later(self, entry: Any) -> None:
        self.entries.append(entry)


def delivery(subject: str = "host.h1.stranger", data: bytes | None = None) -> Delivery:
    return Delivery(subject, msgspec.json.encode(SEEN) if data is None else data, NOW)


async def test_what_the_record_could_not_take_comes_again_and_is_entered_once() -> None:
    turns, audit = Turns(), Audit()
    claims = Claims(Fleet([engine()]), lambda: NOW, mailboxes=turns, audit=audit)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        await claims.take([delivery()])
    assert audit.entries == []
    turns.is_away = False
    await claims.take([delivery()])
    assert turns.taken == ["e1"]
    (entry,) = audit.entries
    assert (entry.subject, entry.caller.credential) == ("engine.e1.connection", "engine_e1")
    assert "10.0.0.9:4711" in entry.message


async def test_what_is_unreadable_or_said_by_another_host_is_passed_over() -> None:
    turns, audit = Turns(), Audit()
    claims = Claims(Fleet([engine()]), lambda: NOW, mailboxes=turns, audit=audit)  # type: ignore[arg-type]
    await claims.take([delivery(data=b"{"), delivery(subject="host.h2.stranger")])
    assert (turns.taken, audit.entries) == ([], [])


async def test_a_finding_is_answered_every_ten_seconds_and_again_once_its_session_has_ended() -> None:
    turns, audit, at = Turns(), Audit(), [0.0]
    fleet = Fleet([engine(session())])
    claims = Claims(fleet, lambda: after(at[0]), mailboxes=turns, audit=audit)  # type: ignore[arg-type]
    answered = []
    for second in range(14):
        at[0] = second
        if second == 3:
            fleet.put(engine(session(RunState.STOPPED)))
        claims.note("e1", "s1", "heartbeat", Finding(Sort.AHEAD, "ahead"))
        answered += [second] if len(turns.taken) > len(answered) else []
    assert answered == [0, 3, 13]
