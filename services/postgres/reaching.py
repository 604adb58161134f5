"""PostgreSQL may go away and come back: what asyncpg raises meanwhile becomes one fault."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, fault

log = get_logger(__name__)

CONNECT_S: Final = 3.0
AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,
    asyncpg.ReadOnlySQLTransactionError,
    # A statement for a connection that was told of the server's end and has not come to its own.
    asyncpg.InternalClientError,
)
_OWNERS_CONNECT_S: Final = 10.0
_STATEMENT_S: Final = 10.0
_IDLE_S: Final = 60.0


class NotHandedOver(Exception):
    """PostgreSQL did not do it; the text is its own."""


@contextmanager
def reachable() -> Iterator[None]:
    """Turns what asyncpg raises while PostgreSQL is away into the fault `unavailable`."""
    try:
        yield
    except AWAY as error:
        log.warning("record is away", error=repr(error))
        raise fault(
            FaultCode.UNAVAILABLE, "the record is away; nothing was changed", retry_after_s=2.0
        ) from error


async def pool_of(dsn: str, password: str | None, name: str, *, most: int, schema: str | None = None) -> Any:
    """A pool of `most` connections under a name that PostgreSQL lists; it connects when it is first used."""
    path = {} if schema is None else {"search_path": schema}
    return await asyncpg.create_pool(
        dsn,
        password=password,
        min_size=0,
        max_size=most,
        timeout=CONNECT_S,
        command_timeout=_STATEMENT_S,
        max_inactive_connection_lifetime=_IDLE_S,
        server_settings={"application_name": name, "timezone": "UTC", **path},
    )


@asynccontextmanager
async def acquired(pool: Any) -> AsyncIterator[Any]:
    """A connection of the pool."""
    connection = await pool.acquire(timeout=CONNECT_S)
    try:
        yield connection
    finally:
        try:
            await pool.release(connection)
        except (*AWAY, asyncpg.PostgresError) as error:
            # What it was asked is settled by now; the pool has given it up.
            log.info("connection is lost", error=repr(error))


@asynccontextmanager
async def as_owner(dsn: str, password: str | None) -> AsyncIterator[Any]:
    """A connection of whoever may make roles and schemas. Raises NotHandedOver for all that PostgreSQL refuses meanwhile."""
    try:
        connection = await asyncpg.connect(dsn, password=password, timeout=_OWNERS_CONNECT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotHandedOver(f"PostgreSQL cannot be reached: {error}") from error
    try:
        yield connection
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotHandedOver(str(error)) from error
    finally:
        connection.terminate()
