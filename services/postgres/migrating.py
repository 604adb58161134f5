"""Brings a schema to the present: as whoever owns it, one numbered file after the other."""

from importlib.resources import files
from typing import Any, Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, fault

log = get_logger(__name__)

_TABLE: Final = "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"
_MAY_CREATE: Final = "select has_schema_privilege(current_schema(), 'create')"
_STEP_S: Final = 3_600.0


class Migrations(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one schema: files in `package`. `program` is what its owner runs to apply them.

    `lock` is the number of an advisory lock that nobody else in the database uses. Connections must find the schema first.
    """

    package: str
    program: str
    lock: int

    def steps(self) -> list[tuple[str, str]]:
        """The migrations as (name, SQL), in the order they are applied."""
        return sorted((f"{name}.sql", sql) for name, sql in statements(self.package).items())

    async def apply(self, connection: Any) -> None:
        """Applies what is missing, each step in a transaction of its own, under the lock.

        Raises FaultError `unavailable` when something is missing, and this login may not apply it, and `conflict` when a newer
        version was here: nothing is done to its tables then.
        """
        applied = await self._applied(connection)
        if newer := sorted(applied - {name for name, _ in self.steps()}):
            text = (
                f"the record is of a newer version of Flotilla: it has {newer[-1]}, and this one knows {self.steps()[-1][0]} as its last."
                " Run the newer version, or restore a backup that was made before it"
            )
            raise fault(FaultCode.CONFLICT, text)
        if not (missing := self._missing(applied)):
            return
        if not await connection.fetchval(_MAY_CREATE):
            text = (
                f"the record lacks {missing[0][0]}, which this login may not apply:"
                f" run `python -m {self.program}` as its owner"
            )
            raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=2.0)
        await connection.execute("select pg_advisory_lock($1)", self.lock, timeout=_STEP_S)
        try:
            await connection.execute(_TABLE)
            for name, sql in self._missing(await self._applied(connection)):
                async with connection.transaction():
                    await connection.execute(sql, timeout=_STEP_S)
                    await connection.execute("insert into migrations (name) values ($1)", name)
                log.info("record migrated", step=name)
        finally:
            await connection.execute("select pg_advisory_unlock($1)", self.lock)

    async def _applied(self, connection: Any) -> set[str]:
        if await connection.fetchval("select to_regclass('migrations')") is None:
            return set()
        return {row["name"] for row in await connection.fetch("select name from migrations")}

    def _missing(self, applied: set[str]) -> list[tuple[str, str]]:
        return [(name, sql) for name, sql in self.steps() if name not in applied]


def statements(package: str) -> dict[str, str]:
    """The .sql files of a package by their names, without the ending."""
    found = (file for file in files(package).iterdir() if file.name.endswith(".sql"))
    return {file.name.removesuffix(".sql"): file.read_text() for file in found}
