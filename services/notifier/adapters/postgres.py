"""The store on PostgreSQL, in the schema `notifier`. It may go away and come back; each call then says `unavailable` and nothing is changed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Self

import asyncpg
import msgspec

from flotilla.bus.scram import scram_verifier
from flotilla.schemas.alerting import AlertView, Channel, ListAlerts, Mute, RuleSetting
from flotilla.services.notifier.core.book import AlertRecord
from flotilla.services.notifier.core.deliveries import Delivery
from flotilla.services.notifier.core.engines import EngineMemory
from flotilla.services.notifier.core.fleet import HostMemory, QueueMemory
from flotilla.services.notifier.ports import Batch, Command, Kept, Note, RepeatedCommand
from flotilla.services.postgres.migrating import Migrations, statements
from flotilla.services.postgres.reaching import acquired, as_owner, pool_of, reachable

SCHEMA: Final = "notifier"
LOGIN: Final = "flotilla_notifier"
MIGRATIONS: Final = Migrations(
    package="flotilla.services.notifier.adapters.migrations",
    program="flotilla.services.notifier.migrate",
    lock=0x4E6F7466,  # "Notf"
)
SQL: Final = statements("flotilla.services.notifier.adapters.queries")
_MAX_CONNECTIONS: Final = 3
_FIRST_START: Final = "first_start"
_SETTINGS, _CHANNELS, _MUTES = "setting", "channel", "mute"
_ENGINES, _HOSTS, _QUEUE = "engine", "host", "queue"


class PostgresStore:
    """A small pool of connections; see the port for what each method does."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, password: str | None = None) -> Self:
        """A store that connects when it is first used."""
        pool = await pool_of(dsn, password, "flotilla-notifier", most=_MAX_CONNECTIONS, schema=SCHEMA)
        return cls(pool)

    async def close(self) -> None:
        """Gives up all connections."""
        self._pool.terminate()

    async def migrate(self) -> None:
        with reachable():
            async with acquired(self._pool) as connection:
                await MIGRATIONS.apply(connection)

    async def load(self, now: datetime, since: datetime) -> Kept:
        with reachable():
            async with acquired(self._pool) as connection, connection.transaction():
                await connection.execute(SQL["keep_first"], _FIRST_START, _FIRST_START, now.isoformat())
                first = await connection.fetchval(SQL["kept"], _FIRST_START, column=1)
                alerts = await connection.fetch(SQL["lately"], since)
                waiting = await connection.fetch(SQL["waiting"])
                sent = await connection.fetch(SQL["last_sent"])
                queues = await _kept(connection, _QUEUE, QueueMemory)
                return Kept(
                    first_start=datetime.fromisoformat(first),
                    records=tuple(msgspec.json.decode(row["body"], type=AlertRecord) for row in alerts),
                    deliveries=tuple(msgspec.json.decode(row["body"], type=Delivery) for row in waiting),
                    last_sent={row["channel"]: row["at"] for row in sent},
                    settings=await _kept(connection, _SETTINGS, RuleSetting),
                    channels=await _kept(connection, _CHANNELS, Channel),
                    mutes=await _kept(connection, _MUTES, Mute),
                    engines=await _kept(connection, _ENGINES, EngineMemory),
                    hosts=await _kept(connection, _HOSTS, HostMemory),
                    queue=queues[0] if queues else QueueMemory(),
                )

    async def commit(self, batch: Batch) -> None:
        with reachable():
            async with acquired(self._pool) as connection, connection.transaction():
                await _add_command(connection, batch.command)
                await _save_alerts(connection, batch.records)
                await _save_deliveries(connection, batch)
                await _keep_all(connection, batch)
                if batch.notes:
                    feeds = [note.feed for note in batch.notes]
                    await connection.execute(
                        SQL["add_notes"], feeds, [note.body.decode() for note in batch.notes]
                    )

    async def known(self, alert_ids: Sequence[str]) -> set[str]:
        return {row["alert_id"] for row in await self._fetch("known", list(alert_ids))}

    async def alerts(self, question: ListAlerts) -> list[AlertView]:
        labels = _text(question.labels)
        found = await self._fetch(
            "alerts", question.is_all, question.about, question.rule, labels, question.limit
        )
        return [msgspec.json.decode(row["body"], type=AlertRecord).view for row in found]

    async def alert(self, alert_id: str) -> AlertRecord | None:
        found = await self._fetch("alert", alert_id)
        return msgspec.json.decode(found[0]["body"], type=AlertRecord) if found else None

    async def command(self, request_id: str) -> Command | None:
        for row in await self._fetch("command", request_id):
            return Command(**{**row, "reply": row["reply"].encode()})
        return None

    async def notes(self, limit: int) -> list[Note]:
        return [Note(**{**row, "body": row["body"].encode()}) for row in await self._fetch("notes", limit)]

    async def published(self, number: int) -> None:
        await self._fetch("published", number)

    async def forget(self, before: datetime) -> None:
        for query in ("forget_alerts", "forget_deliveries", "forget_commands"):
            await self._fetch(query, before)

    async def _fetch(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with reachable():
            async with acquired(self._pool) as connection:
                return [dict(row) for row in await connection.fetch(SQL[query], *values)]


async def _add_command(connection: Any, command: Command | None) -> None:
    if command is None:
        return
    values = (command.request_id, command.subject, command.body_hash, command.reply.decode(), command.at)
    try:
        await connection.execute(SQL["add_command"], *values)
    except asyncpg.UniqueViolationError:
        raise RepeatedCommand(command.request_id) from None


async def _save_alerts(connection: Any, records: Iterable[AlertRecord]) -> None:
    # The last one of each: a statement may not touch a row twice.
    last = {one.view.alert_id: one for one in records}
    if not last:
        return
    views = [one.view for one in last.values()]
    await connection.execute(
        SQL["save_alerts"],
        [view.alert_id for view in views],
        [view.rule for view in views],
        [view.about for view in views],
        [_text(view.labels) for view in views],
        [view.state == "open" for view in views],
        [view.opened_at for view in views],
        [view.changed_at for view in views],
        [_text(one) for one in last.values()],
    )


async def _save_deliveries(connection: Any, batch: Batch) -> None:
    last = {one.delivery_id: one for one in batch.deliveries}
    if last:
        await connection.execute(
            SQL["save_deliveries"],
            list(last),
            [one.channel for one in last.values()],
            [one.created_at for one in last.values()],
            [_text(one) for one in last.values()],
        )
    for delivery_id, at in batch.sent:
        await connection.execute(SQL["delivery_sent"], delivery_id, at)
    if batch.given_up:
        await connection.execute(SQL["deliveries_given_up"], batch.given_up)


async def _keep_all(connection: Any, batch: Batch) -> None:
    if batch.settings is not None:
        named = {f"{one.rule} {one.about} {_text(one.labels)}": one for one in batch.settings}
        await _replace(connection, _SETTINGS, named)
    if batch.channels is not None:
        await _replace(connection, _CHANNELS, {one.name: one for one in batch.channels})
    if batch.mutes is not None:
        await _replace(connection, _MUTES, {one.mute_id: one for one in batch.mutes})
    await _keep(connection, _ENGINES, {one.instance_id: one for one in batch.engines})
    await _keep(connection, _HOSTS, {one.host: one for one in batch.hosts})
    await _keep(connection, _QUEUE, {_QUEUE: batch.queue} if batch.queue is not None else {})


async def _replace(connection: Any, kind: str, named: dict[str, Any]) -> None:
    await connection.execute(SQL["drop_others"], kind, list(named))
    await _keep(connection, kind, named)


async def _keep(connection: Any, kind: str, named: dict[str, Any]) -> None:
    if named:
        await connection.execute(SQL["keep"], kind, list(named), [_text(one) for one in named.values()])


async def _kept[T](connection: Any, kind: str, into: type[T]) -> tuple[T, ...]:
    rows = await connection.fetch(SQL["kept"], kind)
    return tuple(msgspec.json.decode(row["body"], type=into) for row in rows)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def hand_over(dsn: str, password: str | None, *, login_password: str | None) -> None:
    """Makes the schema, owned by a role that nobody logs in as, and the notifier's login, which may change rows and nothing else.

    `dsn` is of whoever may do that, as for the orchestrator's record. The login gets `login_password`; None leaves the one that it has.
    Done again it changes nothing. Raises NotHandedOver and FaultError.
    """
    async with as_owner(dsn, password) as connection:
        # Ends with the connection; `apply` takes it a second time.
        await connection.execute("select pg_advisory_lock($1)", MIGRATIONS.lock)
        await connection.execute(SQL["own_roles"])
        if login_password is not None:
            await connection.execute(f"alter role {LOGIN} password '{scram_verifier(login_password)}'")
        await connection.execute("set role flotilla_owner")
        await connection.execute(f"set search_path to {SCHEMA}")
        await MIGRATIONS.apply(connection)
        await connection.execute(SQL["own_grants"])
