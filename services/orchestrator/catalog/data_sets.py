"""What people ask of data sets. The orchestrator has no program that reads them: a host does, and that changes them."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.contract import (
    CATALOG_CHANGE,
    CATALOG_IMPORT,
    CATALOG_READ,
    CATALOG_REMOVE,
    CATALOG_REMOVE_INSTRUMENT,
    DATA_IMPORT,
    DATA_UPLOAD,
    IMPORT_LIST,
    INSTRUMENT_REMOVE,
    Call,
)
from flotilla.schemas.data import (
    CatalogAnswer,
    CatalogQuestion,
    Chart,
    DataGaps,
    DataRemoved,
    DataRows,
    DataUploaded,
    ImportData,
    ImportList,
    ImportView,
    ListImports,
    ReadChart,
    ReadGaps,
    ReadRows,
    RemoveData,
    UploadData,
)
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault
from flotilla.schemas.instrument import InstrumentChange, RemoveInstrument
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp
from flotilla.services.orchestrator.engines.ledger import Ledger

log = get_logger(__name__)

_PASSED_OVER: Final = (FaultCode.UNAVAILABLE, FaultCode.BUSY)


class DataSets:
    """Asks the hosts in sight: for a look one after the other, for a change the one that is meant."""

    def __init__(self, bus: Bus, sightings: FleetSightings, clock: Clock, *, ledger: Ledger) -> None:
        self._bus = bus
        self._sightings = sightings
        self._clock = clock
        self._ledger = ledger

    def handlers(self) -> dict[Call[Any, Any], Callable[[Any], Awaitable[Any]]]:
        """Every call about data sets, with its handler."""
        return {
            contract.CATALOG_CHART: self.chart,
            contract.CATALOG_GAPS: self.gaps,
            contract.CATALOG_ROWS: self.rows,
            contract.CATALOG_REMOVE: self.remove,
            contract.CATALOG_REMOVE_INSTRUMENT: self.remove_instrument,
            contract.CATALOG_UPLOAD: self.upload,
            contract.CATALOG_IMPORT: self.load,
            contract.CATALOG_IMPORTS: self.imports,
        }

    async def chart(self, request: ReadChart) -> Chart:
        """Raises FaultError: `not_found` for what the catalog has not, `invalid` for what cannot be drawn, `unavailable`, `busy`."""
        return _given((await self._read(CatalogQuestion(chart=request))).chart)

    async def gaps(self, request: ReadGaps) -> DataGaps:
        """Raises FaultError as `chart` does."""
        return _given((await self._read(CatalogQuestion(gaps=request))).gaps)

    async def rows(self, request: ReadRows) -> DataRows:
        """Raises FaultError as `chart` does."""
        return _given((await self._read(CatalogQuestion(rows=request))).rows)

    async def remove(self, request: RemoveData) -> DataRemoved:
        """Raises FaultError: `not_found`, `conflict` for what is in use or attached, and where it is not clear whose data are meant."""

        async def run(stamp: Stamp) -> DataRemoved:
            done = await self._bus.call(CATALOG_CHANGE, request, host=self.host(request.host))
            await self._ledger.note_done(stamp, done.identifier, done)
            log.info("data removed", data_set=done.identifier, data_type=done.data_type, rows=done.rows)
            return done

        return await self._ledger.once(CATALOG_REMOVE, request, run)

    async def remove_instrument(self, request: RemoveInstrument) -> InstrumentChange:
        """Raises FaultError: `not_found`, `conflict` where data depends on it, while others change the catalog, and for what is attached."""

        async def run(stamp: Stamp) -> InstrumentChange:
            done = await self._bus.call(INSTRUMENT_REMOVE, request, host=self.host(request.host))
            await self._ledger.note_done(stamp, done.id, done)
            log.info("instrument removed", instrument=done.id, left=len(done.data))
            return done

        return await self._ledger.once(CATALOG_REMOVE_INSTRUMENT, request, run)

    async def upload(self, request: UploadData) -> DataUploaded:
        """Hands a piece of a file to the host. Raises FaultError: `conflict` for one that does not follow, `too_large`."""
        return await self._bus.call(DATA_UPLOAD, request, host=self.host(request.host))

    async def load(self, request: ImportData) -> ImportView:
        """Has an uploaded file imported. The host has it on record when this answers: whether we live then does not matter to it.

        Raises FaultError: `not_found` for a file that was not uploaded, `conflict` for an id that is taken.
        """

        async def run(stamp: Stamp) -> ImportView:
            begun = await self._bus.call(DATA_IMPORT, request, host=self.host(request.host))
            await self._ledger.note_done(stamp, request.instrument, begun)
            log.info("import asked for", import_id=begun.import_id, host=begun.host)
            return begun

        return await self._ledger.once(CATALOG_IMPORT, request, run)

    async def imports(self, request: ListImports) -> ImportList:
        """Those of all hosts in sight, or of the one that is named, newest first.

        Raises FaultError `not_found` for one that no host knows, `unavailable`.
        """
        found: list[ImportView] = []
        problem: FaultError | None = None
        for host in self.hosts() if request.host is None else [self.host(request.host)]:
            try:
                found += (await self._bus.call(IMPORT_LIST, request, host=host)).imports
            except FaultError as error:
                # Of two reasons the one that is worth another try.
                if problem is None or error.fault.code != FaultCode.NOT_FOUND:
                    problem = error
        if not found and problem is not None:
            raise problem
        if not found and request.import_id is not None:
            raise fault(FaultCode.UNAVAILABLE, "no host is in sight", retry_after_s=5.0)
        newest = sorted(found, key=lambda one: one.asked_at, reverse=True)[: request.limit]
        return ImportList(imports=fitting(newest))

    def hosts(self) -> list[str]:
        """Those in sight, by name."""
        return sorted(beat.host for beat in self._sightings.hosts(self._clock()))

    def host(self, wanted: str | None) -> str:
        """The host whose catalog is to be changed: the one that is named, or the only one there is. Raises FaultError."""
        there = self.hosts()
        if not there:
            raise fault(FaultCode.UNAVAILABLE, "no host is in sight", retry_after_s=5.0)
        if wanted is None and len(there) > 1:
            text = f"each host may have a catalog of its own, name one of {', '.join(there)}"
            raise fault(FaultCode.CONFLICT, text, FieldError("host", text))
        if wanted is not None and wanted not in there:
            raise fault(
                FaultCode.NOT_FOUND, f"no host {wanted} is in sight", FieldError("host", "not in sight")
            )
        return wanted or there[0]

    async def _read(self, question: CatalogQuestion) -> CatalogAnswer:
        """What the first host answers that can. Raises FaultError."""
        problem = fault(FaultCode.UNAVAILABLE, "no host is in sight", retry_after_s=5.0)
        for host in self.hosts():
            try:
                answer = await self._bus.call(CATALOG_READ, question, host=host)
            except FaultError as error:
                if error.fault.code not in _PASSED_OVER:
                    raise
                log.warning("host does not read its catalog", host=host, error=str(error))
                problem = error
                continue
            if not answer.refusal:
                return answer
            problem = fault(answer.code, answer.refusal)
            if answer.code != FaultCode.NOT_FOUND:
                break
        raise problem


def _given[T](found: T | None) -> T:
    """Raises FaultError `internal` for a host that answered something else."""
    if found is None:
        raise fault(FaultCode.INTERNAL, "the host did not answer what it was asked")
    return found
