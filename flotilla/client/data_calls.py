"""What an operator can ask of the fleet's catalog: pictures, gaps and rows of a data set, its import and its removal; and that of instruments."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.data import (
    PIECE_BYTES,
    Chart,
    DataGaps,
    DataRemoved,
    DataRows,
    ImportData,
    ImportList,
    ImportState,
    ImportView,
    ListImports,
    ReadChart,
    ReadGaps,
    ReadRows,
    RemoveData,
    UploadData,
)
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.instrument import InstrumentChange, RemoveInstrument

Time: TypeAlias = date | datetime | str | None
"""A day, or a moment, in UTC unless it has another offset."""
_UNDER_WAY: Final = (ImportState.WAITING, ImportState.RUNNING)
_POLL_S: Final = 0.5


class DataCalls:
    """The data sets of the catalog, by identifier. Every call raises FaultError when it is refused: `not_found` for what there is not."""

    bus: Bus

    async def chart(
        self,
        identifier: str,
        *,
        data_type: str | None = None,
        first: Time = None,
        last: Time = None,
        points: int = 500,
    ) -> Chart:
        """Open, high, low and close of a time, both ends included, at most `points` of them, which the host makes."""
        asked = {
            "identifier": identifier,
            "type": data_type,
            "from": _text(first),
            "to": _text(last),
            "points": points,
        }
        return await self.bus.call(contract.CATALOG_CHART, convert(asked, ReadChart))

    async def gaps(self, identifier: str, *, data_type: str | None = None, limit: int = 100) -> DataGaps:
        """Where there are no events for long; the first `limit` are named."""
        asked = {"identifier": identifier, "type": data_type, "limit": limit}
        return await self.bus.call(contract.CATALOG_GAPS, convert(asked, ReadGaps))

    async def rows(
        self, identifier: str, *, data_type: str | None = None, first: Time = None, limit: int = 10
    ) -> DataRows:
        """The first events from a moment on, as they are stored."""
        asked = {"identifier": identifier, "type": data_type, "from": _text(first), "limit": limit}
        return await self.bus.call(contract.CATALOG_ROWS, convert(asked, ReadRows))

    async def import_data(
        self,
        path: str | Path,
        /,
        *,
        type: str,
        instrument: str,
        host: str | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> ImportView:
        """Uploads a file and asks for its import; `options` are those of `flotilla data import`, such as `bar_type`, `timezone`, `dry_run`,
        and `class`. Answers as soon as it is in the queue: `imported` says what became of it.

        Raises FaultError: `invalid` naming an option at fault, or a file that cannot be read, `too_large`, `conflict` for a request id that
        was used with another file or options.
        """
        file, import_id = Path(path), request_id or new_request_id()
        named = {"import_id": import_id, "file": file.name, "host": host}
        asked = {"type": type, "instrument": instrument, **options, **named, "request_id": import_id}
        request: ImportData = convert(asked, ImportData)
        offset, digest, is_asked = 0, hashlib.sha256(), False
        try:
            with await asyncio.to_thread(file.open, "rb") as opened:
                while data := await asyncio.to_thread(opened.read, PIECE_BYTES):
                    digest.update(data)
                    if is_asked:
                        continue  # the same request was carried out before, if its file was the same
                    piece = UploadData(
                        import_id=import_id, file=request.file, offset=offset, data=data, host=host
                    )
                    is_asked = (await self.bus.call(contract.CATALOG_UPLOAD, piece)).is_asked
                    offset += len(data)
        except OSError as error:
            raise invalid(FieldError("path", f"{file}: {error.strerror}")) from None
        request = msgspec.structs.replace(request, digest=digest.hexdigest())
        return await self.bus.call(contract.CATALOG_IMPORT, request)

    async def imported(
        self,
        import_id: str,
        *,
        host: str | None = None,
        wait_s: float = 0.0,
        told: Callable[[ImportView], None] | None = None,
    ) -> ImportView:
        """How an import is; waits until it has ended, for `wait_s` at most, and calls `told` with what it sees meanwhile. With `host`
        no other one is asked.

        Raises FaultError `not_found` for one that no host knows.
        """
        deadline, asked = time.monotonic() + wait_s, ListImports(import_id=import_id, host=host)
        while True:
            found = (await self.bus.call(contract.CATALOG_IMPORTS, asked)).imports
            if not found:
                raise fault(FaultCode.NOT_FOUND, f"no import {import_id} is known")
            if told is not None:
                told(found[0])
            if found[0].state not in _UNDER_WAY or time.monotonic() >= deadline:
                return found[0]
            await asyncio.sleep(_POLL_S)

    async def imports(self, *, limit: int = 20, host: str | None = None) -> ImportList:
        """Imports over bus and REST, newest first, of all hosts in sight or of one."""
        return await self.bus.call(contract.CATALOG_IMPORTS, ListImports(limit=limit, host=host))

    async def remove_data(
        self,
        identifier: str,
        *,
        data_type: str | None = None,
        first: Time = None,
        last: Time = None,
        host: str | None = None,
        request_id: str | None = None,
    ) -> DataRemoved:
        """Takes a data set, or a time of it, out of the catalog of the fleet's host; `host` says which, where several are in sight."""
        asked = {
            "identifier": identifier,
            "type": data_type,
            "from": _text(first),
            "to": _text(last),
            "host": host,
            "request_id": request_id,
        }
        return await self.bus.call(contract.CATALOG_REMOVE, convert(asked, RemoveData))

    async def remove_instrument(
        self, name: str, *, force: bool = False, host: str | None = None, request_id: str | None = None
    ) -> InstrumentChange:
        """Takes an instrument out of the catalog of the fleet's host; `conflict` while there is data of it, which `force` leaves without it."""
        asked = {"name": name, "force": force, "host": host, "request_id": request_id}
        return await self.bus.call(contract.CATALOG_REMOVE_INSTRUMENT, convert(asked, RemoveInstrument))


def _text(moment: Time) -> str | None:
    return moment.isoformat() if isinstance(moment, date) else moment
