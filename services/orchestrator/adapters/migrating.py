"""The record's migrations."""

from typing import Any, Final

from flotilla.services.postgres.migrating import Migrations

RECORD: Final = Migrations(
    package="flotilla.services.orchestrator.adapters.migrations",
    program="flotilla.services.orchestrator.migrate",
    lock=0x466C6F74,  # "Flot"
)


def steps() -> list[tuple[str, str]]:
    """The migrations as (name, SQL), in the order they are applied."""
    return RECORD.steps()


async def migrate(connection: Any) -> None:
    """Applies what is missing; see Migrations.apply."""
    await RECORD.apply(connection)
