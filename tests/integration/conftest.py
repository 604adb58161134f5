"""Real servers for integration tests: one nats-server per test that asks, one PostgreSQL for all with a database per test."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.streams import ensure_streams
from flotilla.schemas.contract import Actor
from flotilla.schemas.ids import new_request_id
from flotilla.services.orchestrator.adapters.owning import LOGIN, hand_over
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.postgres import PostgresServer
from tests.integration.orchestrator_bench import bench, idle  # noqa: F401 - fixtures of several files
from tests.integration.sidecars import heard, sidecar  # noqa: F401
from tests.integration.supervisors import environment, orchestrator, supervisor  # noqa: F401


class ConnectAs(Protocol):
    """Connects as an actor, a gateway that `pushes` packages among them."""

    async def __call__(self, actor: Actor, *, pushes: bool = False) -> Bus: ...


@pytest.fixture(scope="session")
def fleet_keys(tmp_path_factory: pytest.TempPathFactory) -> FleetKeys:
    return FleetKeys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def nats(tmp_path: Path, fleet_keys: FleetKeys) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", fleet_keys)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def connect_as(nats: NatsServer) -> AsyncIterator[ConnectAs]:
    """Connections of any actor, each closed at the end of the test."""
    made: list[Bus] = []

    async def connect_one(actor: Actor, *, pushes: bool = False) -> Bus:
        creds = nats.keys.actor_credentials(actor, pushes=pushes)
        made.append(await connect(msgspec.structs.replace(nats.settings(actor), creds=creds)))
        return made[-1]

    yield connect_one
    for bus in made:
        if not bus.client.is_closed:
            await bus.client.close()


@pytest.fixture
async def bus(connect_as: ConnectAs) -> Bus:
    """An operator's connection, with the streams of the contract made."""
    connection = await connect_as(Actor.OPERATOR)
    await ensure_streams(connection)
    return connection


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="flotilla-postgres-"))
    server = PostgresServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    with running_postgres() as server:
        yield server


@pytest.fixture
async def admin_dsn(postgres: PostgresServer) -> AsyncIterator[str]:
    """A fresh, empty database, as its superuser."""
    name = f"test_{new_request_id()}"
    admin = await asyncpg.connect(postgres.dsn_of("postgres"))
    await admin.execute(f"create database {name}")
    yield postgres.dsn_of(name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
async def postgres_dsn(postgres: PostgresServer, admin_dsn: str) -> str:
    """A fresh record, as the orchestrator of a stack has it: `admin_dsn` is the same one for who may do everything."""
    await hand_over(admin_dsn, None, login_password=None, keep_days=400)
    return postgres.dsn_of(urlsplit(admin_dsn).path[1:], LOGIN)
