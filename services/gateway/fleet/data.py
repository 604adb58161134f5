"""The data sets of the catalog: looked at as pictures and tables need it, imported from what is sent, and removed."""

import hashlib
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.data import (
    MOST_UPLOADED_BYTES,
    PIECE_BYTES,
    Chart,
    DataGaps,
    DataRemoved,
    DataRows,
    DataToRemove,
    FileName,
    ImportData,
    ImportOptions,
    ImportState,
    ImportView,
    ListImports,
    ReadChart,
    ReadGaps,
    ReadRows,
    RemoveData,
    UploadData,
)
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.ids import HostId
from flotilla.schemas.instrument import InstrumentChange, InstrumentToRemove, RemoveInstrument
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.auth import permit
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery
from flotilla.services.gateway.web.received import pieces


class ChartReply(msgspec.Struct, frozen=True, kw_only=True):
    """At most as many points as were asked for."""

    success: bool = True
    chart: Chart


class GapsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Where there is nothing for long."""

    success: bool = True
    gaps: DataGaps


class RowsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The first events."""

    success: bool = True
    rows: DataRows


class DataRemovedReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope."""

    success: bool = True
    message: str
    state: str = "removed"
    data: DataRemoved


class InstrumentRemovedReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope; `data.data` are data sets that are left without it."""

    success: bool = True
    message: str
    state: str = "removed"
    data: InstrumentChange


class ImportQuery(ImportOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the body is to be read, and what it is called; `host` says whose catalog is meant, where several are in sight."""

    file: FileName
    host: HostId | None = None


class ImportsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many, and of which host; without one those of all in sight."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    host: HostId | None = None


class ImportReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope; `state` is the import's."""

    success: bool = True
    message: str
    state: str
    data: ImportView


class ImportsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Imports, newest first."""

    success: bool = True
    imports: tuple[ImportView, ...]
    total_count: int


async def read_chart(gateway: Gateway, ask: Ask[ReadChart, None]) -> ChartReply:
    """Raises FaultError `not_found`, and `invalid` for a kind that has no price."""
    return ChartReply(chart=await gateway.bus.call(contract.CATALOG_CHART, ask.query))


async def read_gaps(gateway: Gateway, ask: Ask[ReadGaps, None]) -> GapsReply:
    """Raises FaultError `not_found`."""
    return GapsReply(gaps=await gateway.bus.call(contract.CATALOG_GAPS, ask.query))


async def read_rows(gateway: Gateway, ask: Ask[ReadRows, None]) -> RowsReply:
    """Raises FaultError `not_found`."""
    return RowsReply(rows=await gateway.bus.call(contract.CATALOG_ROWS, ask.query))


async def remove_data(gateway: Gateway, ask: Ask[DataToRemove, None]) -> DataRemovedReply:
    """Raises FaultError: `not_found`, `conflict` for what is attached or is being changed."""
    _require_order(ask.query)
    request = RemoveData(**msgspec.structs.asdict(ask.query), request_id=ask.request_id)
    done = await gateway.bus.call(contract.CATALOG_REMOVE, request)
    left = "nothing of it is left" if done.is_whole else "the others stay"
    message = f"{done.identifier}: {done.rows:,} {done.data_type} removed, {left}"
    return DataRemovedReply(message=message, data=done)


async def remove_instrument(gateway: Gateway, ask: Ask[InstrumentToRemove, None]) -> InstrumentRemovedReply:
    """Raises FaultError: `not_found`, `conflict` where data depends on it, and for what is attached or is being changed."""
    request = RemoveInstrument(**msgspec.structs.asdict(ask.query), request_id=ask.request_id)
    done = await gateway.bus.call(contract.CATALOG_REMOVE_INSTRUMENT, request)
    left = f", and left without it: {'; '.join(done.data)}" if done.data else ""
    return InstrumentRemovedReply(message=f"{done.id} removed{left}", data=done)


def _require_order(asked: DataToRemove) -> None:
    """Raises FaultError `invalid` for days in the wrong order; moments of a day are compared where the data are."""
    if asked.first is not None and asked.last is not None and asked.last[:10] < asked.first[:10]:
        raise invalid(FieldError("to", f"{asked.last} is before `from`, {asked.first}"))


async def import_data(gateway: Gateway, ask: Ask[ImportQuery, None]) -> ImportReply:
    """Hands the body on as it comes, then has it imported. Its id is that of the request; asked again with it, the answer is how it is.

    Raises FaultError: `conflict` for an id that was used with another file or options, `forbidden` for a trader who would replace data, `too_large`, `malformed` for a body that does not come whole.
    """
    query = ask.query
    _require_zone(query.timezone)
    if query.replace and ask.token is not None:
        permit(ask.token, Role.ADMIN)  # what was there before is gone then
    known = await _known(gateway, ask.request_id, query.host)
    digest = await _received(gateway, ask, uploads=known is None)
    request = ImportData(
        **msgspec.structs.asdict(query), import_id=ask.request_id, digest=digest, request_id=ask.request_id
    )
    return _as_reply(await gateway.bus.call(contract.CATALOG_IMPORT, request))


def _require_zone(name: str | None) -> None:
    """Raises FaultError `invalid`: before the file is uploaded, not after."""
    try:
        if name is not None:
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(FieldError("timezone", f"{name!r} is no time zone of the IANA list")) from None


async def _known(gateway: Gateway, import_id: str, host: str | None) -> ImportView | None:
    try:
        return await _one(gateway, import_id, host)
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            raise
        return None


async def _received(gateway: Gateway, ask: Ask[ImportQuery, None], *, uploads: bool) -> str:
    """The SHA-256 of the body, which goes on to the host with `uploads`."""
    offset, digest = 0, hashlib.sha256()
    async for data in pieces(ask.http, PIECE_BYTES, MOST_UPLOADED_BYTES, gateway.settings.request_s):
        if uploads:
            piece = UploadData(
                import_id=ask.request_id, file=ask.query.file, offset=offset, data=data, host=ask.query.host
            )
            await gateway.bus.call(contract.CATALOG_UPLOAD, piece)
        digest.update(data)
        offset += len(data)
    if not offset:
        raise fault(FaultCode.MALFORMED, "body is empty; the file is needed")
    return digest.hexdigest()


async def read_import(gateway: Gateway, ask: Ask[NoQuery, None]) -> ImportReply:
    """Raises FaultError `not_found`."""
    return _as_reply(await _one(gateway, ask.path["import_id"]))


async def list_imports(gateway: Gateway, ask: Ask[ImportsQuery, None]) -> ImportsReply:
    """Of all hosts in sight, or of one."""
    query = ListImports(limit=ask.query.limit, host=ask.query.host)
    found = await gateway.bus.call(contract.CATALOG_IMPORTS, query)
    return ImportsReply(imports=found.imports, total_count=len(found.imports))


async def _one(gateway: Gateway, import_id: str, host: str | None = None) -> ImportView:
    found = await gateway.bus.call(contract.CATALOG_IMPORTS, ListImports(import_id=import_id, host=host))
    if not found.imports:
        raise fault(FaultCode.NOT_FOUND, f"no import {import_id} is known")
    return found.imports[0]


def _as_reply(view: ImportView) -> ImportReply:
    message = view.error or f"import of {view.file} is {view.state}"
    has_failed = view.state in (ImportState.REFUSED, ImportState.INTERRUPTED)
    return ImportReply(success=not has_failed, message=message, state=view.state, data=view)
