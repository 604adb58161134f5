"""What people ask of packages: upload, push, list, show, remove; and what hosts and sessions fetch."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.contract import PACKAGE_CHECK, PACKAGE_PUSH, PACKAGE_REMOVE, Call
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.package import (
    CHUNK_BYTES,
    CheckPackage,
    ChunkKept,
    FetchPackage,
    ListPackages,
    PackageChunk,
    PackageFindings,
    PackageList,
    PackageRemoved,
    PackageView,
    PushPackage,
    RemovePackage,
    UploadChunk,
    WhichPackage,
    draft_version,
)
from flotilla.schemas.package_archive import ArchiveError, digest_of, unpack
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp, command_of
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.packages.core import offers
from flotilla.services.orchestrator.packages.core.model import Content, Version
from flotilla.services.orchestrator.packages.ports import PackageRecord, Piece, VersionTaken
from flotilla.services.orchestrator.packages.shelf import PackageShelf

log = get_logger(__name__)

_CHECK_S: Final = 55.0
_LONGEST: Final = 64 << 10
"""Templates are listed in one message, all of them."""


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
        self._bus = bus
        self._record = record
        self._shelf = shelf
        self._sightings = sightings
        self._clock = clock
        self._ledger = ledger

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
        """Keeps a piece. What is of no sound archive is found out at the push."""
        if request.index >= request.count:
            raise invalid(FieldError("index", f"must be below `count`, {request.count}"))
        if request.index < request.count - 1 and len(request.data) != CHUNK_BYTES:
            raise invalid(FieldError("data", f"every piece but the last has {CHUNK_BYTES} bytes"))
        is_known = await self._content(request.digest) is not None
        if not is_known:
            await self._record.add_piece(request.digest, request.index, Piece(request.count, request.data))
        return ChunkKept(digest=request.digest, index=request.index, is_known=is_known)

    async def push(self, request: PushPackage) -> PackageView:
        """A version of what was uploaded. Raises FaultError: `invalid` for content that is refused, `conflict` for a version that is taken,
        `unavailable` when no host could check it.
        """

        async def run(stamp: Stamp) -> PackageView:
            versions = await self._shelf.versions()
            version, known = offers.settled(request, versions, await self._shelf.removed())
            if known is not None:
                reply = offers.view(known, versions)
                await self._ledger.note(stamp, _about(known), reply)
                return reply
            content = await self._content(request.digest) or await self._checked(request.digest)
            files = (await self._shelf.files()).strategies
            offers.refuse_names(request, content, files.keys(), versions, await self._shelf.removed())
            new = Version(
                name=request.name,
                version=version,
                content=content,
                pushed_at=wall(self._clock()),
                pushed_by=stamp.caller.name,
                is_draft=request.is_draft,
            )
            reply = offers.view(new, (*versions, new))
            try:
                with self._shelf.changing():
                    await self._record.add(new, command_of(stamp, _about(new), reply))
            except VersionTaken:
                text = f"{new.name}@{version} was pushed by somebody else just now: push again"
                raise fault(FaultCode.CONFLICT, text) from None
            self._shelf.put(new)
            log.info("package pushed", package=new.name, version=version, digest=request.digest)
            return reply

        return await self._ledger.once(PACKAGE_PUSH, request, run)

    async def list(self, request: ListPackages) -> PackageList:
        """The newest of each, or all versions of one; no drafts."""
        versions = await self._shelf.versions()
        latest = offers.newest(versions)
        if request.name is None:
            found = [latest[name] for name in sorted(latest)]
        else:
            found = [each for each in reversed(versions) if each.name == request.name and not each.is_draft]
        return PackageList(packages=fitting(offers.view(each, versions, has_files=False) for each in found))

    async def show(self, request: WhichPackage) -> PackageView:
        """One version. Raises FaultError `not_found`."""
        versions = await self._shelf.versions()
        return offers.view(offers.find(request.name, request.version, versions), versions)

    async def remove(self, request: RemovePackage) -> PackageRemoved:
        """Forgets a version. Raises FaultError: `not_found`, `conflict` for one that is in use, unless forced."""

        async def run(stamp: Stamp) -> PackageRemoved:
            version = offers.find(request.name, request.version, await self._shelf.versions())
            used_by = await self._record.used_by(version, tuple(offers.usage_marks(version).values()))
            if used_by and not request.force:
                text = (
                    f"{_about(version)} is named by {', '.join(used_by)}; with `force` it loses its name, and its "
                    "content stays for those"
                )
                raise fault(FaultCode.CONFLICT, text)
            reply = PackageRemoved(
                name=version.name,
                version=version.version,
                digest=version.content.digest,
                used_by=tuple(used_by),
            )
            command = command_of(stamp, _about(version), reply)
            with self._shelf.changing():
                await self._record.remove(version, with_content=not used_by, command=command)
            self._shelf.take_away(version)
            return reply

        return await self._ledger.once(PACKAGE_REMOVE, request, run)

    async def fetch(self, request: FetchPackage) -> PackageChunk:
        """A piece of an archive, of one that is being checked too. Raises FaultError `not_found`."""
        piece = await self._record.piece(request.digest, request.index)
        if piece is None:
            text = f"package content {request.digest[:12]} has no piece {request.index} here"
            raise fault(FaultCode.NOT_FOUND, text)
        return PackageChunk(digest=request.digest, index=request.index, count=piece.count, data=piece.data)

    async def _content(self, digest: str) -> Content | None:
        versions = await self._shelf.versions()
        return next((each.content for each in versions if each.content.digest == digest), None)

    async def _checked(self, digest: str) -> Content:
        """What was uploaded, once it is known to be sound."""
        archive = await self._archive(digest)
        try:
            files = unpack(archive)
        except ArchiveError as error:
            raise invalid(FieldError("digest", str(error))) from None
        found = await self._ask(digest)
        if found.problems:
            raise invalid(*found.problems)
        if strange := offers.strays(files, found.strategies):
            raise invalid(FieldError("digest", f"its check was tampered with: it told of {strange[0]}"))
        if (size := len(msgspec.json.encode(found.strategies))) > _LONGEST:
            text = f"its parameters take {size >> 10} KiB to describe, and may take {_LONGEST >> 10} KiB"
            raise invalid(FieldError("digest", text))
        return Content(
            digest=digest,
            size_bytes=len(archive),
            files=tuple(files),
            strategies=found.strategies,
            notes=found.notes,
        )

    async def _archive(self, digest: str) -> bytes:
        first = await self._record.piece(digest, 0)
        count = first.count if first is not None else 1
        pieces = [await self._record.piece(digest, index) for index in range(count)]
        there = [piece.data for piece in pieces if piece is not None and piece.count == count]
        archive = b"".join(there)
        if len(there) < count:
            text = f"{count - len(there)} of {count} pieces of {digest[:12]} were not uploaded"
            raise fault(FaultCode.CONFLICT, text)
        if digest_of(archive) != digest:
            await self._record.drop_pieces(digest)
            raise invalid(FieldError("digest", "is not the SHA-256 of what was uploaded"))
        return archive

    async def _ask(self, digest: str) -> PackageFindings:
        """What a host that runs engines finds in it: only there its imports are known. The hosts in sight one after the other."""
        problem: FaultError | None = None
        for beat in self._sightings.hosts(self._clock()):
            try:
                return await self._bus.call(
                    PACKAGE_CHECK, CheckPackage(digest=digest), timeout_s=_CHECK_S, host=beat.host
                )
            except FaultError as error:
                log.warning("host does not check a package", host=beat.host, error=str(error))
                problem = error
        why = problem.fault.message if problem else "no host is in sight"
        raise fault(FaultCode.UNAVAILABLE, f"nobody could check the package: {why}", retry_after_s=5.0)


def _about(version: Version) -> str:
    """As the audit names it: a draft by the beginning of its digest."""
    digest = version.content.digest
    return f"{version.name}@{draft_version(digest[:12]) if version.is_draft else version.version}"[:100]
