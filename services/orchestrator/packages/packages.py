"""What people ask of packages: upload, push, list, show, remove; and what hosts and sessions fetch."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakValueDictionary

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.contract import PACKAGE_PUSH, PACKAGE_REMOVE, Call
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.package import (
    CHUNK_BYTES,
    ChunkKept,
    FetchPackage,
    ListPackages,
    PackageChunk,
    PackageList,
    PackageRemoved,
    PackageView,
    PushPackage,
    RemovePackage,
    UploadChunk,
    WhichPackage,
)
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.packages.checks import PackageChecks
from flotilla.services.orchestrator.packages.core import offers
from flotilla.services.orchestrator.packages.core.model import Content, Version
from flotilla.services.orchestrator.packages.ports import ContentGone, PackageRecord, Piece, VersionTaken
from flotilla.services.orchestrator.packages.shelf import PackageShelf

log = get_logger(__name__)

_ATTEMPTS: Final = 3


class Packages:
    """Content is checked once, when it is first pushed; what a version is never changes."""

    def __init__(
        self,
        bus: Bus,
        record: PackageRecord,
        shelf: PackageShelf,
        sightings: FleetSightings,
        clock: Clock,
        *,
        ledger: Ledger,
    ) -> None:
        self._record = record
        self._shelf = shelf
        self._checks = PackageChecks(bus, record, sightings, clock)
        self._clock = clock
        self._ledger = ledger
        self._checking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By digest: content that comes twice at once is checked once."""
        self._changing = asyncio.Lock()
        """What is there is settled and changed by one push or removal at a time."""

    def handlers(self) -> dict[Call[Any, Any], Callable[[Any], Awaitable[Any]]]:
        """Every call about packages, with its handler."""
        return {
            contract.PACKAGE_UPLOAD: self.upload,
            contract.PACKAGE_PUSH: self.push,
            contract.PACKAGE_LIST: self.list,
            contract.PACKAGE_SHOW: self.show,
            contract.PACKAGE_REMOVE: self.remove,
            contract.PACKAGE_FETCH: self.fetch,
        }

    async def upload(self, request: UploadChunk) -> ChunkKept:
        """Keeps a piece. What is of no sound archive or wheel is found out at the push."""
        if request.index >= request.count:
            raise invalid(FieldError("index", f"must be below `count`, {request.count}"))
        if request.index < request.count - 1 and len(request.data) != CHUNK_BYTES:
            raise invalid(FieldError("data", f"every piece but the last has {CHUNK_BYTES} bytes"))
        is_known = await self._is_known(request.digest)
        if not is_known:
            await self._record.add_piece(request.digest, request.index, Piece(request.count, request.data))
        return ChunkKept(digest=request.digest, index=request.index, is_known=is_known)

    async def push(self, request: PushPackage) -> PackageView:
        """A version of what was uploaded. Raises FaultError: `invalid` for content that is refused, `conflict` for a version that is taken,
        `unavailable` when no host could check it.
        """

        async def run(stamp: Stamp) -> PackageView:
            # What must be refused anyhow is not checked.
            offers.settled(request, await self._shelf.versions(), await self._shelf.removed())
            async with self._checking.setdefault(request.digest, asyncio.Lock()):
                content = await self._content(request.digest) or await self._checks.content(request.digest)
                async with self._changing:
                    return await self._named(request, content, stamp)

        return await self._ledger.once(PACKAGE_PUSH, request, run)

    async def _named(self, request: PushPackage, content: Content, stamp: Stamp) -> PackageView:
        """The version of a content, as it is on record then. Another orchestrator may be first, and is read then."""
        for _ in range(_ATTEMPTS):
            versions, removed = await self._shelf.versions(), await self._shelf.removed()
            version, known = offers.settled(request, versions, removed)
            if known is not None:
                reply = offers.view(known, versions)
                await self._ledger.note(stamp, known.ref.label, reply)
                return reply
            files = (await self._shelf.files()).strategies
            offers.refuse_names(request, content, files.keys(), versions, removed)
            new = Version(
                name=request.name,
                version=version,
                content=content,
                pushed_at=wall(self._clock()),
                pushed_by=stamp.caller.name,
                is_draft=request.is_draft,
            )
            try:
                return await self._add(new, versions, stamp)
            except VersionTaken:
                log.info("version was taken just now", package=new.name, version=version)
        text = f"{request.name} is pushed by somebody else all the time: push again"
        raise fault(FaultCode.CONFLICT, text)

    async def _add(self, new: Version, versions: tuple[Version, ...], stamp: Stamp) -> PackageView:
        reply = offers.view(new, (*versions, new))
        try:
            with self._shelf.changing():
                await self._record.add(new, command_of(stamp, new.ref.label, reply))
        except ContentGone:
            text = f"content {new.content.digest[:12]} was removed just now, with another version of it: push again"
            raise fault(FaultCode.CONFLICT, text) from None
        self._shelf.put(new)
        log.info("package pushed", package=new.name, version=new.version, digest=new.content.digest)
        return reply

    async def list(self, request: ListPackages) -> PackageList:
        """The newest of each, or all versions of one; or the drafts."""
        versions = await self._shelf.versions()
        found = offers.listed(request, versions)
        return PackageList(packages=fitting(offers.view(each, versions, has_files=False) for each in found))

    async def show(self, request: WhichPackage) -> PackageView:
        """One version. Raises FaultError `not_found`."""
        versions = await self._shelf.versions()
        return offers.view(offers.find(request.name, request.version, versions), versions)

    async def remove(self, request: RemovePackage) -> PackageRemoved:
        """Forgets a version. Raises FaultError: `not_found`, `conflict` for one that is in use, unless forced."""

        async def run(stamp: Stamp) -> PackageRemoved:
            async with self._changing:
                return await self._forgotten(request, stamp)

        return await self._ledger.once(PACKAGE_REMOVE, request, run)

    async def _forgotten(self, request: RemovePackage, stamp: Stamp) -> PackageRemoved:
        version = offers.find(request.name, request.version, await self._shelf.versions())
        used_by = await self._record.used_by(version, tuple(offers.usage_marks(version).values()))
        if used_by and not request.force:
            raise fault(FaultCode.CONFLICT, offers.in_use(version.ref.label, used_by))
        reply = PackageRemoved(
            name=version.name,
            version=version.version,
            digest=version.content.digest,
            used_by=tuple(used_by),
        )
        command = command_of(stamp, version.ref.label, reply)
        with self._shelf.changing():
            await self._record.remove(version, with_content=not used_by, command=command)
        self._shelf.take_away(version)
        return reply

    async def fetch(self, request: FetchPackage) -> PackageChunk:
        """A piece of an archive or a wheel, of one that is being checked too. Raises FaultError `not_found`."""
        piece = await self._record.piece(request.digest, request.index)
        if piece is None:
            text = f"package content {request.digest[:12]} has no piece {request.index} here"
            raise fault(FaultCode.NOT_FOUND, text)
        return PackageChunk(digest=request.digest, index=request.index, count=piece.count, data=piece.data)

    async def _is_known(self, digest: str) -> bool:
        contents = [each.content for each in await self._shelf.versions()]
        return any(digest in (one.digest, *(wheel.digest for wheel in one.wheels)) for one in contents)

    async def _content(self, digest: str) -> Content | None:
        versions = await self._shelf.versions()
        return next((each.content for each in versions if each.content.digest == digest), None)
