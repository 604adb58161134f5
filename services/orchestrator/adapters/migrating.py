"""Brings the schema to the present: as whoever owns it."""

from importlib.resources import files
from typing import Any, Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, fault

log = get_logger(__name__)

LOCK: Final = 0x466C6F74  # "Flot"; any number that nobody else uses
_TABLE: Final = "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"
_MAY_CREATE: Final = "select has_schema_privilege(current_schema(), 'create')"
_STEP_S: Final = 3_600.0


def steps() -> list[tuple[str, str]]:
    """The migrations as (name, SQL), in the order they are applied."""
    folder = files("flotilla.services.orchestrator.adapters.migrations")
    found = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(file.name, file.read_text()) for file in sorted(found, key=lambda file: file.name)]


async def migrate(connection: Any) -> None:
    """Applies what is missing, each step in a transaction of its own, under an advisory lock.

    Raises FaultError `unavailable` when something is missing, and this login may not apply it.
    """
    if not (missing := await _missing(connection)):
        return
    if not await connection.fetchval(_MAY_CREATE):
        text = (
            f"the record lacks {missing[0][0]}, which this login may not apply:"
            " run `python -m flotilla.services.orchestrator.migrate` as its owner"
        )
        raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=2.0)
    await connection.execute("select pg_advisory_lock($1)", LOCK, timeout=_STEP_S)
    try:
        await connection.execute(_TABLE)
        for name, sql in await _missing(connection):
            async with connection.transaction():
                await connection.execute(sql, timeout=_STEP_S)
                await connection.execute("insert into migrations (name) values ($1)", name)
            log.info("record migrated", step=name)
    finally:
        await connection.execute("select pg_advisory_unlock($1)", LOCK)


async def _missing(connection: Any) -> list[tuple[str, str]]:
    applied: set[str] = set()
    if await connection.fetchval("select to_regclass('migrations')") is not None:
        applied = {row["name"] for row in await connection.fetch("select name from migrations")}
    return [(name, sql) for name, sql in steps() if name not in applied]
