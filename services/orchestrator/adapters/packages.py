"""Packages on PostgreSQL, on the connections of the record; see the port for what each method does."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flotilla.schemas.package import FoundComponent, FoundStrategy, Wheel
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord, add_command
from flotilla.services.orchestrator.adapters.rows import SQL, to_json
from flotilla.services.orchestrator.engines.ports import Command
from flotilla.services.orchestrator.packages.core.model import Content, Removed, Version
from flotilla.services.orchestrator.packages.core.offers import removed_of
from flotilla.services.orchestrator.packages.ports import ContentGone, Piece, VersionTaken


class PostgresPackages:
    """The part of the record that is about packages."""

    def __init__(self, record: PostgresRecord) -> None:
        self._record = record

    async def add_piece(self, digest: str, index: int, piece: Piece) -> None:
        async with self._record.transaction() as connection:
            if index == 0:
                await connection.execute(SQL["package_drop_stale"])
            await connection.execute(SQL["package_add_piece"], digest, index, piece.count, piece.data)

    async def piece(self, digest: str, index: int) -> Piece | None:
        found = await self._record.fetch("package_piece", digest, index)
        return Piece(found[0]["count"], bytes(found[0]["data"])) if found else None

    async def drop_pieces(self, digest: str) -> None:
        async with self._record.transaction() as connection:
            await connection.execute(SQL["package_drop_pieces"], digest)

    async def versions(self) -> list[Version]:
        return [_version(row) for row in await self._record.fetch("package_versions")]

    async def removed(self) -> list[Removed]:
        return [
            Removed(
                name=row["name"],
                version=row["version"],
                digest=row["digest"],
                templates=msgspec.json.decode(row["templates"], type=tuple[str, ...]),
            )
            for row in await self._record.fetch("package_removed")
        ]

    async def add(self, version: Version, command: Command) -> None:
        one = version.content
        content = (
            one.digest,
            one.size_bytes,
            to_json(one.files),
            to_json(one.strategies),
            to_json(one.notes),
            to_json(one.components),
        )
        named = (version.name, version.version, one.digest)
        pushed = (version.is_draft, version.pushed_at, version.pushed_by)
        async with self._record.transaction() as connection:
            await connection.execute(SQL["package_lock_wheels"])
            await connection.execute(SQL["package_add_content"], *content)
            for each in one.wheels:
                of_wheel = (
                    each.digest,
                    each.name,
                    each.version,
                    each.file,
                    each.size_bytes,
                    each.unpacked_bytes,
                )
                await connection.execute(SQL["package_add_wheel"], one.digest, *of_wheel)
            # Only now: what removes it meanwhile waits for us, or we for that.
            for digest in (one.digest, *(each.digest for each in one.wheels)):
                if not await connection.fetchval(SQL["package_is_whole"], digest):
                    raise ContentGone(digest)
            if await connection.fetchval(SQL["package_add_version"], *named, *pushed) is None:
                raise VersionTaken(f"{version.name}@{version.version}")
            await connection.execute(SQL["package_take_back"], version.name, version.version)
            await add_command(connection, command)

    async def remove(self, version: Version, *, with_content: bool, command: Command) -> None:
        digest = version.content.digest
        templates = to_json(removed_of(version).templates)
        async with self._record.transaction() as connection:
            await connection.execute(SQL["package_lock_wheels"])
            wheels = [row["wheel"] for row in await connection.fetch(SQL["package_wheels"], digest)]
            await connection.execute(SQL["package_drop_version"], version.name, version.version, templates)
            if with_content and await connection.fetchval(SQL["package_drop_content"], digest):
                for each in (digest, *wheels):
                    await connection.execute(SQL["package_drop_pieces"], each)
            await add_command(connection, command)

    async def used_by(self, version: Version, marks: tuple[str, ...]) -> list[str]:
        return [row["used_by"] for row in await self._record.fetch("package_used_by", list(marks))]


def _version(row: Mapping[str, Any]) -> Version:
    content = Content(
        digest=row["digest"],
        size_bytes=row["size_bytes"],
        files=msgspec.json.decode(row["files"], type=tuple[str, ...]),
        strategies=msgspec.json.decode(row["findings"], type=tuple[FoundStrategy, ...]),
        notes=msgspec.json.decode(row["notes"], type=tuple[str, ...]),
        components=msgspec.json.decode(row["components"], type=tuple[FoundComponent, ...]),
        wheels=msgspec.json.decode(row["wheels"], type=tuple[Wheel, ...]),
    )
    named = ("name", "version", "is_draft", "pushed_at", "pushed_by")
    return Version(content=content, **{name: row[name] for name in named})
