"""Packages as the record has them."""

from datetime import datetime

import msgspec

from flotilla.schemas.package import FoundComponent, FoundStrategy, PackageRef, Wheel


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was uploaded and checked: known by its digest, and never changed."""

    digest: str
    size_bytes: int
    files: tuple[str, ...]
    strategies: tuple[FoundStrategy, ...]
    notes: tuple[str, ...] = ()
    components: tuple[FoundComponent, ...] = ()
    wheels: tuple[Wheel, ...] = ()


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A name for a content. `pushed_at` is the wall clock, `pushed_by` who says to have pushed it."""

    name: str
    version: str
    content: Content
    pushed_at: datetime
    pushed_by: str = ""
    is_draft: bool = False

    @property
    def ref(self) -> PackageRef:
        """As what is run names it."""
        return PackageRef(name=self.name, version=self.version, digest=self.content.digest)


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was removed. It stays taken, as `templates` do, which its strategies were called: what is stored may name them."""

    name: str
    version: str
    digest: str
    templates: tuple[str, ...]
