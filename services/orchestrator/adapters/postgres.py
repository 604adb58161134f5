"""The record on PostgreSQL. It may go away and come back; each call then says `unavailable` and nothing is changed."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Final, Self

import asyncpg
import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.audit import AuditChain, AuditEntry, ReadAudit
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import SessionSpec, VenueAccount
from flotilla.schemas.telemetry import EngineEvent, OrderUpdate, PositionUpdate
from flotilla.services.orchestrator.adapters import leases, rows
from flotilla.services.orchestrator.adapters.migrating import migrate
from flotilla.services.orchestrator.adapters.rows import SQL
from flotilla.services.orchestrator.core.record_time import KeptTime
from flotilla.services.orchestrator.engines.core.ends import CLOSED_BY, Exposure
from flotilla.services.orchestrator.engines.core.events import StoredEvent
from flotilla.services.orchestrator.engines.core.leases import Lease
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.ports import (
    Change,
    Command,
    Refusal,
    RepeatedCommand,
    StaleChange,
    Unstorable,
)
from flotilla.services.postgres.reaching import AWAY, CONNECT_S, acquired, pool_of, reachable

log = get_logger(__name__)

_MAX_CONNECTIONS: Final = 4


class PostgresRecord:
    """A small pool of connections; see the port for what each method does."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, password: str | None = None) -> Self:
        """A record that connects when it is first used."""
        pool = await pool_of(dsn, password, "flotilla-orchestrator", most=_MAX_CONNECTIONS)
        return cls(pool)

    async def close(self) -> None:
        """Gives up all connections."""
        self._pool.terminate()

    async def migrate(self) -> None:
        """Brings the schema to the present."""
        with reachable():
            async with self._connection() as connection:
                await migrate(connection)

    async def save(self, change: Change) -> None:
        async with self.transaction() as connection:
            await _write(connection, change)

    async def engines(self) -> list[Engine]:
        return await self._engines(None)

    async def engine(self, instance_id: str) -> Engine | None:
        return next(iter(await self._engines(instance_id)), None)

    async def command(self, request_id: str) -> Command | None:
        for row in await self.fetch("command", request_id):
            return Command(**{**row, "reply": row["reply"].encode()})
        return None

    async def spec(self, session_id: str) -> SessionSpec | None:
        for row in await self.fetch("spec", session_id):
            return msgspec.json.decode(row["spec"], type=SessionSpec)
        return None

    async def last_live(self, instance_id: str) -> SessionSpec | None:
        for row in await self.fetch("last_live", instance_id):
            return msgspec.json.decode(row["spec"], type=SessionSpec)
        return None

    async def sessions(self, instance_id: str, limit: int) -> list[Session]:
        return [rows.session_of(row) for row in await self.fetch("sessions", instance_id, limit)]

    async def sessions_named(self, session_ids: Sequence[str]) -> dict[str, Session]:
        found = await self.fetch("sessions_named", list(session_ids))
        return {row["session_id"]: rows.session_of(row) for row in found}

    async def add_events(self, events: Sequence[StoredEvent]) -> None:
        with reachable():
            async with self._connection() as connection:
                await _add_events(connection, events)

    async def contradicted(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        rows_found = await self.fetch("contradicted", *rows.digest_columns(events))
        found = {(row["session_id"], row["seq"]) for row in rows_found}
        return [event for event in events if (event.session_id, event.seq) in found]

    async def add_command(self, command: Command) -> None:
        with reachable():
            async with self._connection() as connection:
                await add_command(connection, command)

    async def complete_command(self, request_id: str, reply: bytes) -> bytes | None:
        kept = await self.fetch("complete_command", request_id, reply.decode())
        return next((row["reply"].encode() for row in kept), None)

    async def add_refusal(self, refusal: Refusal) -> None:
        with reachable():
            async with self._connection() as connection:
                with _storable():
                    await connection.execute(SQL["add_refusal"], *rows.refusal_row(refusal))

    async def forget_audit(self, before: datetime) -> int:
        with reachable():
            async with self._connection() as connection:
                status = await connection.execute(SQL["forget_commands"], before)
                pruned = int(await connection.fetchval(SQL["prune_audit"], before))
        return max(int(status.rsplit(" ", 1)[1]), pruned)

    async def audit(self, question: ReadAudit) -> list[AuditEntry]:
        found = await self.fetch("audit", question.about, question.before, question.limit)
        return [rows.audit_entry_of(row) for row in found]

    async def audit_chain(self, after: int, limit: int) -> AuditChain:
        return rows.audit_chain_of(await self.fetch("audit_chain", after, limit))

    async def audit_guard(self) -> str:
        return (await self.fetch("audit_guard"))[0]["problem"] or ""

    async def events(self, session_id: str, after_seq: int, kind: str | None, limit: int) -> list[bytes]:
        found = await self.fetch("events", session_id, after_seq, kind, limit)
        return [row["body"].encode() for row in found]

    async def gaps(self, session_id: str) -> list[tuple[int, int]]:
        return [(row["first"], row["last"]) for row in await self.fetch("gaps", session_id)]

    async def pruned_to(self, session_id: str) -> int:
        return next((row["seq"] for row in await self.fetch("pruned_seq", session_id)), 0)

    async def exposure(self, session_id: str) -> Exposure:
        held = (await self.exposures([session_id])).get(session_id, Exposure())
        found = await self.fetch("open_alerts", session_id, list(CLOSED_BY), list(CLOSED_BY.values()))
        return msgspec.structs.replace(held, open_alerts=tuple(row["opened"] for row in found))

    async def exposures(self, session_ids: Sequence[str]) -> dict[str, Exposure]:
        positions = await self._open_of("last_positions", session_ids)
        orders = await self._open_of("last_orders", session_ids)
        return {
            session_id: _exposure(positions.get(session_id, []), orders.get(session_id, []))
            for session_id in positions.keys() | orders.keys()
        }

    async def held_leases(self) -> list[Lease]:
        return [rows.lease_of(row) for row in await self.fetch("held_leases")]

    async def leases_on(self, accounts: Sequence[VenueAccount]) -> list[Lease]:
        found = await self.fetch("leases_on", *rows.account_columns(accounts))
        return [rows.lease_of(row) for row in found]

    async def kept_time(self) -> KeptTime | None:
        return next((KeptTime(**row) for row in await self.fetch("kept_time")), None)

    async def keep_time(self, kept: KeptTime) -> None:
        with reachable():
            async with self._connection() as connection:
                values = (kept.at, kept.boot_id, kept.monotonic_s)
                await connection.execute(SQL["keep_time"], *values, timeout=CONNECT_S)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection within a transaction, for the parts of the record; commits when it is left without an error.

        Raises FaultError `unavailable`, or `outcome_unknown` when the connection broke at the commit, and Unstorable.
        """
        with reachable():
            async with self._connection() as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    with _storable():
                        yield connection
                except BaseException:
                    await _roll_back(transaction)
                    raise
                await _commit(transaction)

    async def run_alone(self, statement: str, *, timeout_s: float) -> None:
        """Runs what takes long, or stands in no transaction."""
        with reachable():
            async with self._connection() as connection:
                await connection.execute(statement, timeout=timeout_s)

    async def fetch(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of the statement with this name."""
        with reachable():
            async with self._connection() as connection:
                return [dict(row) for row in await connection.fetch(SQL[query], *values)]

    async def _open_of(self, query: str, session_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in await self.fetch(query, list(session_ids)):
            found.setdefault(row["session_id"], []).append(row)
        return found

    def _connection(self) -> AbstractAsyncContextManager[Any]:
        return acquired(self._pool)

    async def _engines(self, instance_id: str | None) -> list[Engine]:
        engines = await self.fetch("engines", instance_id)
        present = await self.fetch("present_sessions", instance_id)
        sessions = {row["instance_id"]: rows.session_of(row) for row in present}
        return [rows.engine_of(row, sessions.get(row["instance_id"])) for row in engines]


def _exposure(positions: list[dict[str, Any]], orders: list[dict[str, Any]]) -> Exposure:
    return Exposure(
        positions=tuple(_payload(row["body"], PositionUpdate) for row in positions),
        orders=tuple(_payload(row["body"], OrderUpdate) for row in orders),
        more_positions=_total(positions) - len(positions),
        more_orders=_total(orders) - len(orders),
    )


def _total(found: Sequence[Mapping[str, Any]]) -> int:
    """How many there are of what a query with a limit found."""
    return found[0]["total"] if found else 0


def _payload[T](body: str, kind: type[T]) -> T:
    return msgspec.convert(msgspec.json.decode(body, type=EngineEvent[dict[str, Any]]).data, kind)


async def _write(connection: Any, change: Change) -> None:
    engine, session = change.engine, change.engine.session
    if await connection.fetchval(SQL["save_engine"], *rows.engine_row(engine)) is None:
        raise StaleChange(engine.instance_id)
    if change.ended is not None:
        await _change_session(connection, change.ended, engine)
    if session is not None and change.spec is not None:
        spec = await leases.take(connection, change.spec, engine.updated_at)
        await connection.execute(SQL["add_session"], *rows.new_session_row(session, spec))
    elif session is not None:
        await _change_session(connection, session, engine)
    if change.events:
        await _add_events(connection, change.events)
    if change.command is not None:
        await add_command(connection, change.command)


async def _change_session(connection: Any, session: Session, engine: Engine) -> None:
    await connection.execute(SQL["change_session"], *rows.changed_session_row(session))
    if session.is_over:
        await leases.free(connection, session, engine.updated_at)


async def _add_events(connection: Any, events: Sequence[StoredEvent]) -> None:
    with _storable():
        await connection.execute(SQL["add_events"], *rows.event_columns(events))


async def add_command(connection: Any, command: Command) -> None:
    """Records a command on this connection. Raises RepeatedCommand."""
    try:
        await connection.execute(SQL["add_command"], *rows.command_row(command))
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "commands_pkey":
            raise
        raise RepeatedCommand(command.request_id) from None


async def _commit(transaction: Any) -> None:
    try:
        await transaction.commit()
    except AWAY as error:
        text = "the record went away while this was being written; whether it was is unknown"
        raise fault(FaultCode.OUTCOME_UNKNOWN, text) from error


async def _roll_back(transaction: Any) -> None:
    try:
        await transaction.rollback()
    except (*AWAY, asyncpg.PostgresError) as error:
        log.debug("nothing to roll back", error=repr(error))


@contextmanager
def _storable() -> Iterator[None]:
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise Unstorable(str(error)) from error
