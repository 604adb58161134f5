"""Hands the record over to a role that nobody logs in as, and lets the orchestrator's login do what it has to, and no more."""

from typing import Any, Final

from flotilla.bus.scram import scram_verifier
from flotilla.services.orchestrator.adapters.migrating import RECORD, migrate
from flotilla.services.orchestrator.adapters.rows import SQL
from flotilla.services.postgres.reaching import as_owner

OWNER: Final = "flotilla_owner"
LOGIN: Final = "flotilla_orchestrator"


async def hand_over(dsn: str, password: str | None, *, login_password: str | None, keep_days: float) -> None:
    """Makes the roles, gives what there is of the record to the owner, migrates as the owner, and says what the login may do.

    `dsn` is of whoever may do that: a superuser, or one that may create roles and owns database and record. The login gets
    `login_password`; None leaves the one that it has. It can delete no entry of the audit that is younger than `keep_days`. Done again
    it changes nothing. Raises NotHandedOver and FaultError.
    """
    async with as_owner(dsn, password) as connection:
        await _hand_over(connection, login_password, keep_days)


async def _hand_over(connection: Any, login_password: str | None, keep_days: float) -> None:
    # Ends with the connection; `migrate` takes it a second time.
    await connection.execute("select pg_advisory_lock($1)", RECORD.lock)
    await connection.execute(SQL["own_roles"])
    if login_password is not None:
        await connection.execute(f"alter role {LOGIN} password '{scram_verifier(login_password)}'")
    await connection.execute(SQL["own_record"])
    await connection.execute(f"set role {OWNER}")
    await migrate(connection)
    await connection.execute(SQL["own_retention"], keep_days)
    await connection.execute(SQL["own_grants"])
