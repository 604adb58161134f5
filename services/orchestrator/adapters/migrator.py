"""Brings the record's schema to the present: numbered steps, each applied once, one process at a time."""

from importlib.resources import files
from typing import Any, Final

from flotilla.bus.logs import get_logger

log = get_logger(__name__)

_LOCK: Final = 0x466C6F74  # "Flot"; any number that nobody else uses
_TABLE: Final = "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"


def steps() -> list[tuple[str, str]]:
    """The migrations as (name, SQL), in the order they are applied."""
    folder = files("flotilla.services.orchestrator.adapters.migrations")
    found = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(file.name, file.read_text()) for file in sorted(found, key=lambda file: file.name)]


async def migrate(connection: Any) -> None:
    """Applies what is missing, each step in a transaction of its own, under an advisory lock."""
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_TABLE)
        applied = {row["name"] for row in await connection.fetch("select name from migrations")}
        for name, sql in steps():
            if name not in applied:
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute("insert into migrations (name) values ($1)", name)
                log.info("record migrated", step=name)
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)
