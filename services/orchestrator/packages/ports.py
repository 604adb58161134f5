"""What packages need from outside: their part of the record."""

from typing import Protocol

import msgspec

from flotilla.services.orchestrator.engines.ports import Command
from flotilla.services.orchestrator.packages.core.model import Removed, Version


class Piece(msgspec.Struct, frozen=True):
    """One of `count` pieces of an archive, or of a wheel."""

    count: int
    data: bytes


class VersionTaken(Exception):
    """Another push was first with this name and version."""


class ContentGone(Exception):
    """Pieces of what is to get a name, or of a wheel that it needs, are not there any more: another version was removed meanwhile."""


class PackageRecord(Protocol):
    """Every method raises FaultError `unavailable` while the record cannot be reached; changes also `outcome_unknown`."""

    async def add_piece(self, digest: str, index: int, piece: Piece) -> None:
        """Keeps a piece, in the place of one that was there. Drops what was uploaded a day ago and never pushed."""

    async def piece(self, digest: str, index: int) -> Piece | None:
        """One piece, if it is there."""

    async def drop_pieces(self, digest: str) -> None:
        """Forgets what was uploaded under a digest."""

    async def versions(self) -> list[Version]:
        """All there are, in the order in which they were pushed."""

    async def removed(self) -> list[Removed]:
        """Those that were removed and did not come back, in the order in which they were; no drafts."""

    async def add(self, version: Version, command: Command) -> None:
        """Records a version, with its content unless that is known. Raises VersionTaken, also for one that was removed and had other
        content; ContentGone, RepeatedCommand.
        """

    async def remove(self, version: Version, *, with_content: bool, command: Command) -> None:
        """Takes a version away, and its content with it where nothing else names that, with the wheels that no other needs; it stays taken.
        Raises RepeatedCommand.
        """

    async def used_by(self, version: Version, marks: tuple[str, ...]) -> list[str]:
        """The engines and backtests whose documents hold one of the texts, at most twenty: `engine trader-1`."""
