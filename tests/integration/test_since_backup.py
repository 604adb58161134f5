"""What the bus knows of engines since a backup, put on a record that was restored from it."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.places import readers, set_back
from flotilla.bus.streams import Delivery, Follower
from flotilla.schemas.brakes import Brake, EngineBrake
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import FLEET_STATE
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.stack.servers.record_access import RecordAccess
from flotilla.stack.since_backup import put_on_record, seen_since

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = {"lease": {"token": 5, "ttl_s": 40, "accounts": [{"venue": "BROKER", "account": "U1"}]}}


def view(name: str, generation: int, state: RunState, **more: object) -> EngineView:
    session = SessionView(
        session_id=f"{name}-{generation}",
        instance_id=name,
        generation=generation,
        state=state,
        container_name="c",
        created_at=LONG_AGO + timedelta(hours=generation),
        host="h1",
    )
    return EngineView(
        instance_id=name,
        state=ClientState.RUNNING,
        desired=DesiredState.RUNNING,
        config=EngineConfig(instance_id=name),
        session=session,
        **more,  # type: ignore[arg-type]
    )


async def test_sessions_since_are_on_record_with_generations_and_leases_that_go_on(
    bus: Bus, postgres: PostgresServer, admin_dsn: str, postgres_dsn: str
) -> None:
    record, database = RecordAccess(postgres.dsn_of), urlsplit(admin_dsn).path[1:]
    admin = await asyncpg.connect(admin_dsn)
    for name in ("one", "two"):
        await admin.execute(
            "insert into engines (instance_id, desired, config, generation, version, session_id, created_at, updated_at)"
            " values ($1, 'running', '{}', 1, 1, $1 || '-1', now(), now())",
            name,
        )
        await admin.execute(
            "insert into sessions (session_id, instance_id, generation, state, spec, stop_policy, stop_timeout_s, log_tail, state_seq,"
            " is_provisional, created_at, changed_at) values ($1 || '-1', $1, 1, 'trading', $2, 'cancel', 30, '{}', 0, false, $3, now())",
            name,
            json.dumps(SPEC if name == "one" else {}),
            LONG_AGO,
        )
    await admin.execute(
        "insert into account_leases values ('BROKER', 'U1', 5, 'one', 'one-1', 40, $1, null)", LONG_AGO
    )
    brake = EngineBrake(brake=Brake.HALTED, number=3)
    for said in (
        view("one", 1, RunState.STOPPED),
        view("one", 2, RunState.FAILED),
        view("one", 3, RunState.TRADING, brake=brake),
        view("two", 1, RunState.STOPPED),
        view("unknown", 4, RunState.TRADING),
    ):
        await bus.publish_durable(
            FLEET_STATE, said, message_id=f"{said.instance_id}{said.session}", instance_id=said.instance_id
        )
    seen = await seen_since(bus, 0, LONG_AGO)
    since = put_on_record(record, database, seen)
    again = put_on_record(record, database, seen)
    assert [(one.instance_id, one.generation) for one in since.off] == [("unknown", 4)]
    assert since.lost == again.lost == ()
    engines = {row["instance_id"]: row for row in await admin.fetch("select * from engines")}
    assert set(engines) == {"one", "two"}
    assert (engines["one"]["generation"], engines["one"]["session_id"]) == (3, "one-3")
    assert json.loads(engines["one"]["brake"])["number"] == 3
    states = dict(await admin.fetch("select session_id, state from sessions"))
    # Where the newest is, its heartbeats say.
    assert states == {"one-1": "stopped", "one-2": "failed", "one-3": "unknown", "two-1": "stopped"}
    (lease,) = await admin.fetch("select * from account_leases")
    assert (lease["session_id"], lease["free_at"]) == ("one-3", None)
    assert lease["token"] > 5 + 3
    spec = json.loads(await admin.fetchval("select spec from sessions where session_id = 'one-3'"))
    assert (spec["session_id"], spec["generation"], spec["config"]["instance_id"]) == ("one-3", 3, "one")
    await admin.close()


async def test_a_reader_is_set_back_and_what_is_no_longer_kept_is_counted(bus: Bus) -> None:
    heard: list[int] = []

    async def take(batch: Sequence[Delivery]) -> None:
        heard.extend(msgspec.json.decode(one.data)["session"]["generation"] for one in batch)

    async def follow(until_generation: int) -> None:
        heard.clear()
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            follower = group.create_task(
                Follower(bus, [FLEET_STATE], take, durable="reader").run(), name="follower"
            )
            while until_generation not in heard:
                await asyncio.sleep(0.01)
            while (await readers(bus))[0].seq < until_generation:
                await asyncio.sleep(0.01)
            follower.cancel()

    async def say(generation: int) -> None:
        said = view("one", generation, RunState.TRADING)
        await bus.publish_durable(FLEET_STATE, said, message_id=str(generation), instance_id="one")

    await say(1)
    await say(2)
    await follow(2)
    (noted,) = await readers(bus)
    assert (noted.stream, noted.durable, noted.seq) == ("EVENTS", "reader", 2)
    await say(3)
    await say(4)
    await follow(4)
    # What the follower before had asked for comes a second time, behind.
    assert sorted(heard) == [3, 4]
    done = await set_back(bus, noted)
    assert done is not None
    assert (done.start, done.again, done.gone) == (3, 2, 0)
    assert await set_back(bus, noted) == done
    await follow(4)
    assert sorted(heard) == [3, 4]
    await bus.client.jetstream().purge_stream("EVENTS", seq=4)
    gap = await set_back(bus, noted)
    assert gap is not None
    assert (gap.again, gap.gone) == (1, 1)
    # One that was made anew is read from its beginning.
    other = await set_back(bus, msgspec.structs.replace(noted, epoch="1"))
    assert other is not None
    assert (other.start, other.gone, other.is_new_stream) == (1, 0, True)
