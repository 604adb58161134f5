"""The chain of the audit: shown to whoever verifies it, and its head put where the database cannot reach, so that a cut end is seen."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.audit import AuditChain, AuditHead, AuditRow, ReadAuditChain
from flotilla.schemas.contract import FLEET_AUDIT_HEAD
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.engines.ports import Record

log = get_logger(__name__)

EXPORT_S: Final = 60.0
_LAST_S: Final = 2.0
_PAGE_BYTES: Final = 512 * 1024


class AuditTrail:
    """`is_protected` is false when we are connected in a way that lets us change entries, null until that is known."""

    def __init__(self, bus: Bus, record: Record) -> None:
        self._bus = bus
        self._record = record
        self._exported: AuditHead | None = None
        self.is_protected: bool | None = None

    async def read(self, question: ReadAuditChain) -> AuditChain:
        """Entries as they are hashed, as many as fit into an answer."""
        found = await self._record.audit_chain(question.after, question.limit)
        unprotected = await self._record.audit_guard()
        return msgspec.structs.replace(found, rows=tuple(_page(found.rows)), unprotected=unprotected)

    async def run(self) -> None:
        """Exports the head once a minute, until cancelled. Begins when the record was read."""
        while True:
            try:
                await self._look()
                await self._export()
            except FaultError as error:
                log.info("the audit's head waits", error=str(error))
            await asyncio.sleep(EXPORT_S)

    async def close(self) -> None:
        """Exports what came last, unless the record was never read."""
        if self.is_protected is None:
            return
        try:
            async with asyncio.timeout(_LAST_S):
                await self._export()
        except (FaultError, TimeoutError) as error:
            log.warning("the audit's last head is not exported", error=repr(error))

    async def _look(self) -> None:
        if self.is_protected is not None:
            return
        problem = await self._record.audit_guard()
        self.is_protected = not problem
        if problem:
            log.warning(
                "the audit is append-only by custom, not by grants",
                connected=problem,
                remedy="python -m flotilla.services.orchestrator.migrate, see deploy/README.md",
            )

    async def _export(self) -> None:
        head = (await self._record.audit_chain(0, 0)).head
        if head is None or head.seq == 0 or head == self._exported:
            return
        log.info("audit head", seq=head.seq, hash=head.hash)
        await self._bus.publish_durable(FLEET_AUDIT_HEAD, head, message_id=f"{head.seq}-{head.hash}")
        self._exported = head


def _page(rows: Sequence[AuditRow]) -> Iterator[AuditRow]:
    """The first one, and as many more as an answer holds."""
    size = 0
    for row in rows:
        size += len(msgspec.json.encode(row))
        if size > _PAGE_BYTES and row is not rows[0]:
            return
        yield row
