"""What the trail shows of the chain, and when it exports the head."""

import asyncio

import msgspec
import pytest

from flotilla.schemas.audit import AuditChain, AuditHead, ReadAuditChain
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.orchestrator.engines import audit_trail
from flotilla.services.orchestrator.engines.audit_trail import AuditTrail
from tests.unit.schemas.test_audit_chain import row

HEADS = [AuditHead(seq=seq, hash=f"{seq:064x}") for seq in range(4)]


class FakeRecord:
    def __init__(self) -> None:
        self.chain = AuditChain(rows=(), head=HEADS[0])
        self.guard = ""
        self.is_away = False

    async def audit_chain(self, after: int, limit: int) -> AuditChain:
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "away")
        return self.chain if limit else msgspec.structs.replace(self.chain, rows=())

    async def audit_guard(self) -> str:
        return self.guard

    def now_at(self, seq: int) -> None:
        self.chain = AuditChain(rows=(), head=HEADS[seq])


class FakeBus:
    def __init__(self) -> None:
        self.heads: list[AuditHead] = []
        self.is_away = False

    async def publish_durable(self, _: object, head: AuditHead, *, message_id: str) -> int:
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "away")
        assert message_id == f"{head.seq}-{head.hash}"
        self.heads.append(head)
        return 1


def made() -> tuple[AuditTrail, FakeRecord, FakeBus]:
    record, bus = FakeRecord(), FakeBus()
    return AuditTrail(bus, record), record, bus  # type: ignore[arg-type]


async def until_exported(bus: FakeBus, count: int) -> None:
    async with asyncio.timeout(5):
        while len(bus.heads) < count:
            await asyncio.sleep(0)


async def test_a_head_is_exported_when_it_is_another_and_as_soon_as_bus_and_record_are_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_trail, "EXPORT_S", 0.0)
    trail, record, bus = made()
    running = asyncio.get_running_loop().create_task(trail.run())
    for seq, away in ((1, bus), (2, record), (3, None)):
        if away is not None:
            away.is_away = True
        record.now_at(seq)
        await asyncio.sleep(0.01)
        if away is not None:
            assert len(bus.heads) == seq - 1
            away.is_away = False
        await until_exported(bus, seq)
    await asyncio.sleep(0.01)
    running.cancel()
    assert bus.heads == HEADS[1:]


async def test_what_came_last_is_exported_at_the_end_but_nothing_of_a_record_that_was_never_read() -> None:
    trail, record, bus = made()
    record.now_at(1)
    await trail.close()
    assert bus.heads == []
    running = asyncio.get_running_loop().create_task(trail.run())
    await until_exported(bus, 1)
    running.cancel()
    record.now_at(2)
    await trail.close()
    assert bus.heads == HEADS[1:3]
    bus.is_away = True
    record.now_at(3)
    await trail.close()


async def test_an_answer_holds_what_fits_into_a_message_and_one_entry_at_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trail, record, _ = made()
    size = len(msgspec.json.encode(row(seq=1)))
    record.chain = AuditChain(rows=tuple(row(seq=seq) for seq in range(1, 10)), head=HEADS[1])
    assert len((await trail.read(ReadAuditChain())).rows) == 9
    monkeypatch.setattr(audit_trail, "_PAGE_BYTES", 3 * size)
    assert [one.seq for one in (await trail.read(ReadAuditChain())).rows] == [1, 2, 3]
    monkeypatch.setattr(audit_trail, "_PAGE_BYTES", 1)
    assert [one.seq for one in (await trail.read(ReadAuditChain())).rows] == [1]


async def test_how_the_orchestrator_is_connected_is_said_with_every_answer() -> None:
    trail, record, bus = made()
    assert trail.is_protected is None
    record.guard = "as a superuser"
    assert (await trail.read(ReadAuditChain())).unprotected == "as a superuser"
    record.now_at(1)
    running = asyncio.get_running_loop().create_task(trail.run())
    await until_exported(bus, 1)
    running.cancel()
    assert trail.is_protected is False
