"""The catalog of this host: read and changed by a program that is thrown away, since only where engines run can its files be read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from flotilla.schemas.data import CatalogAnswer, CatalogLine, CatalogQuestion, DataRemoved, RemoveData
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.instrument import InstrumentChange, RemoveInstrument
from flotilla.services.supervisor.core.check_output import CheckOutput, answer_in
from flotilla.services.supervisor.ports import NO_CATALOG, ContainerRuntime

READS_AT_ONCE: Final = 2
WAIT_S: Final = 6.0
READ_S: Final = 25.0
CHANGE_S: Final = 60.0
"""Each below the time that a caller waits, with what it may wait for its turn."""


class HostCatalog:
    """`path` is where its program finds the catalog; empty where this host has none."""

    def __init__(self, runtime: ContainerRuntime, path: str) -> None:
        self._runtime = runtime
        self._path = path
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._changing = asyncio.Semaphore(1)

    async def read(self, question: CatalogQuestion) -> CatalogAnswer:
        """What was asked for, or why it is refused. Raises FaultError: `busy` when others are read for long, `unavailable`."""
        line = CatalogLine(path=self._known_path(), **msgspec.structs.asdict(question))
        async with _turn(self._slots, "other data are being read"):
            output = await self._runtime.catalog(msgspec.json.encode(line), READ_S)
        if output.exit_code is None:
            raise fault(FaultCode.UNAVAILABLE, f"it took longer than {READ_S:g} s: ask for less at once")
        return answer_in(output, CatalogAnswer, "the catalog")

    async def remove(self, request: RemoveData) -> DataRemoved:
        """Raises FaultError: `not_found`, `conflict` while others change the catalog and for what is not ours, `outcome_unknown`."""
        answer = await self._change(CatalogLine(path=self._known_path(), remove=request))
        if answer.removed is None:
            raise fault(answer.code, answer.refusal)
        return answer.removed

    async def remove_instrument(self, request: RemoveInstrument) -> InstrumentChange:
        """Raises FaultError as `remove` does, `conflict` also where data depends on it."""
        answer = await self._change(CatalogLine(path=self._known_path(), remove_instrument=request))
        if answer.instrument is None:
            raise fault(answer.code, answer.refusal)
        return answer.instrument

    async def _change(self, line: CatalogLine) -> CatalogAnswer:
        async with _turn(self._changing, "another change of the catalog is under way"):
            return _changed(await self._runtime.catalog(msgspec.json.encode(line), CHANGE_S, writes=True))

    def _known_path(self) -> str:
        if not self._path:
            raise fault(FaultCode.UNAVAILABLE, NO_CATALOG)
        return self._path


@asynccontextmanager
async def _turn(slots: asyncio.Semaphore, others: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WAIT_S):
            await slots.acquire()
    except TimeoutError:
        raise fault(FaultCode.BUSY, others, retry_after_s=WAIT_S) from None
    try:
        yield
    finally:
        slots.release()


def _changed(output: CheckOutput) -> CatalogAnswer:
    """Of a program that did not say how it ended nobody knows what it did: all of it, or nothing."""
    try:
        return answer_in(output, CatalogAnswer, "the catalog")
    except FaultError as error:
        text = f"it is not known whether this was done, whole or not at all: {error.fault.message}"
        raise fault(FaultCode.OUTCOME_UNKNOWN, text) from None
