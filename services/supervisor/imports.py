"""Imports into this host's catalog, one after the other. What becomes of each is on disk, so that nobody has to live to hear of it."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.data import (
    CatalogAnswer,
    CatalogLine,
    DataUploaded,
    ImportData,
    ImportEnd,
    ImportList,
    ImportState,
    ImportView,
    ListImports,
    UploadData,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.supervisor.core.check_output import KILLED, answer_in
from flotilla.services.supervisor.core.imports import INTERRUPTED, AskedImport, unsettled, view_of
from flotilla.services.supervisor.ports import ContainerRuntime, ImportStore

log = get_logger(__name__)

IMPORT_S: Final = 6 * 3_600.0
_LOOK_S: Final = 5.0
UNSEEN: Final = "this host's supervisor does not see its catalog: FLOTILLA_CATALOG_FOLDER says where, such as where a volume is mounted"


class _Outcome(NamedTuple):
    """What was heard of a program that was to import, and whether it may be another time."""

    why: str
    is_away: bool


class Imports:
    """`store` is None where the catalog cannot be seen; `path` is where its program finds it."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        store: ImportStore | None,
        path: str,
        host: str,
        now: Callable[[], datetime],
    ) -> None:
        self._runtime = runtime
        self._store_or_none = store
        self._path = path
        self._host = host
        self._now = now
        self._mine: dict[str, ImportData] = {}
        """Those that wait, the first of which may run."""
        self._is_any_unsettled = True
        """A supervisor before this one may have left some without an end."""
        self._news = asyncio.Event()

    async def upload(self, piece: UploadData) -> DataUploaded:
        """Keeps a piece of a file. Raises FaultError: `conflict`, `too_large`, `unavailable`."""
        return await asyncio.to_thread(self._store.add, piece)

    async def begin(self, request: ImportData) -> ImportView:
        """Puts an import on record and into the queue; the same again answers how it is. Raises FaultError: `not_found`, `conflict`."""
        asked = await asyncio.to_thread(self._store.ask, AskedImport(order=request, at=self._now()))
        if asked.order is request:
            self._mine[request.import_id] = request
            self._news.set()
        return await self._view(request.import_id)

    async def list(self, request: ListImports) -> ImportList:
        """Those on record. Raises FaultError `not_found` for one that is not; where the catalog cannot be seen none was ever taken."""
        if self._store_or_none is None:
            if request.import_id is not None:
                raise fault(FaultCode.NOT_FOUND, f"no import {request.import_id} is known: {UNSEEN}")
            return ImportList(imports=())
        if request.import_id is not None:
            return ImportList(imports=(await self._view(request.import_id),))
        kept = (await asyncio.to_thread(self._store.kept))[: request.limit]
        return ImportList(imports=tuple(view_of(one, self._mine, self._host) for one in kept))

    async def run(self) -> None:
        """Imports what was asked for, and sees to it that whatever is on record has an end; until cancelled."""
        if self._store_or_none is None:
            return
        while True:
            try:
                await self._round()
            except FaultError as error:
                log.warning("imports are not looked after", fault=error.fault.message)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _round(self) -> None:
        self._news.clear()
        if self._is_any_unsettled:
            left = unsettled(await asyncio.to_thread(self._store.kept), self._mine)
            self._mine = {order.import_id: order for order in left.to_begin} | self._mine
            for import_id in left.lost:
                await self._end(import_id, INTERRUPTED)
            self._is_any_unsettled = left.is_any_running
        while self._mine:
            await self._import(next(iter(self._mine.values())))

    async def _import(self, order: ImportData) -> None:
        outcome = await self._attempt(order)
        try:
            await self._settle(order.import_id, outcome)
        except FaultError:
            self._is_any_unsettled = True
            raise
        finally:
            # Whatever its end: what was begun is not begun again by itself.
            self._mine.pop(order.import_id, None)
        await asyncio.to_thread(self._store.forget_old)

    async def _attempt(self, order: ImportData) -> _Outcome:
        line = msgspec.json.encode(CatalogLine(path=self._path, load=order))
        try:
            output = await self._runtime.catalog(line, IMPORT_S, writes=True)
        except FaultError as error:
            return _Outcome(error.fault.message, is_away=error.fault.code == FaultCode.UNAVAILABLE)
        try:
            answer = answer_in(output, CatalogAnswer, "the import")
        except FaultError as error:
            return _Outcome(error.fault.message, is_away=output.exit_code in (None, KILLED))
        why = answer.refusal or "it left no word"
        return _Outcome(why, is_away=bool(answer.refusal) and answer.code == FaultCode.UNAVAILABLE)

    async def _settle(self, import_id: str, outcome: _Outcome) -> None:
        kept = await asyncio.to_thread(self._store.one, import_id)
        if kept is not None and kept.end is None and kept.is_held:
            # Only the way to it was lost: it goes on, and is looked at again.
            self._is_any_unsettled = True
        elif kept is not None and kept.end is None and outcome.is_away and not kept.is_begun:
            log.warning("import is tried again", import_id=import_id, why=outcome.why)
            self._is_any_unsettled = True
        else:
            await self._end(import_id, f"{INTERRUPTED} ({outcome.why})")

    async def _end(self, import_id: str, why: str) -> None:
        end = ImportEnd(state=ImportState.INTERRUPTED, at=self._now(), error=why)
        await asyncio.to_thread(self._store.end, import_id, end)
        log.info("import ended", import_id=import_id)

    async def _view(self, import_id: str) -> ImportView:
        kept = await asyncio.to_thread(self._store.one, import_id)
        if kept is None:
            raise fault(FaultCode.NOT_FOUND, f"no import {import_id} is known")
        return view_of(kept, self._mine, self._host)

    @property
    def _store(self) -> ImportStore:
        if self._store_or_none is None:
            raise fault(FaultCode.UNAVAILABLE, UNSEEN)
        return self._store_or_none
