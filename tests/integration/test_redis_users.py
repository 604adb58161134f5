"""Engines' users in a real Redis: what they may do, when they come, come back, and go."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import CacheAccess, EnginePlan, SessionSpec
from flotilla.services.supervisor.adapters.redis_users import RedisUsers
from flotilla.stack.servers.redis import RedisServer
from tests.fakes.supervised import session


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis")
    made.start()
    yield made
    made.stop()


def users_of(server: RedisServer, state: Path) -> RedisUsers:
    password = server.password_file.read_text()
    return RedisUsers(server.url, password, state=state, host=server.host, port=server.port)


@pytest.fixture
async def users(server: RedisServer, tmp_path: Path) -> AsyncIterator[RedisUsers]:
    made = users_of(server, tmp_path / "state")
    yield made
    await made.close()


def spec_of(instance_id: str, **changes: Any) -> SessionSpec:
    trader_id = f"{instance_id.upper()}-001"
    return session(
        instance_id=instance_id, plan=EnginePlan(trader_id=trader_id, node={}), uses_cache=True, **changes
    )


class Engine:
    """A connection with what the launch line gave."""

    def __init__(self, access: CacheAccess) -> None:
        self.redis: Redis = Redis(
            host=access.host, port=access.port, username=access.username, password=access.password
        )

    async def __aenter__(self) -> Redis:
        return self.redis

    async def __aexit__(self, *_: object) -> None:
        await self.redis.aclose()


async def test_an_engine_reads_and_writes_its_own_keys_and_nobody_elses(users: RedisUsers) -> None:
    access = await users.admit(spec_of("e1"))
    assert access.username == "engine-e1"
    async with Engine(access) as redis, Engine(await users.admit(spec_of("e1-001"))) as other:
        await redis.set("trader-E1-001:general:x", "1")
        async with redis.pipeline(transaction=True) as pipe:
            pipe.rpush("trader-E1-001:orders:O-1", "a", "b")
            pipe.get("trader-E1-001:general:x")
            assert await pipe.execute() == [2, b"1"]
        assert [key async for key in redis.scan_iter("trader-E1-001:*")]
        assert "redis_version" in await redis.info("server")
        for key in ("trader-E1-001-001:general:x", "trader-E2-001:general:x", "trader-E1-001", "x"):
            with pytest.raises(NoPermissionError):
                await redis.get(key)
            with pytest.raises(NoPermissionError):
                await redis.set(key, "1")
        # `e1` and `e1-001` begin alike.
        with pytest.raises(NoPermissionError):
            await other.get("trader-E1-001:general:x")


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHDB",
        "FLUSHALL",
        "KEYS *",
        "CONFIG GET *",
        "ACL LIST",
        "SHUTDOWN",
        "CLIENT KILL TYPE normal",
        "SWAPDB 0 1",
        "PUBLISH c m",
        "SUBSCRIBE c",
        "MONITOR",
        "SCRIPT FLUSH",
        "REPLICAOF h 1",
    ],
)
async def test_what_would_reach_others_is_denied(users: RedisUsers, command: str) -> None:
    async with Engine(await users.admit(spec_of("e1"))) as redis:
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*command.split())  # type: ignore[no-untyped-call]


async def test_asking_again_for_the_same_session_gives_the_same_password_also_to_a_new_supervisor(
    users: RedisUsers, server: RedisServer, tmp_path: Path
) -> None:
    spec = spec_of("e1")
    access = await users.admit(spec)
    assert await users.admit(spec) == access
    after = users_of(server, tmp_path / "state")
    assert await after.admit(spec) == access
    await after.close()
    assert (tmp_path / "state" / "cache_users.json").stat().st_mode & 0o077 == 0


async def test_a_new_session_has_a_new_password_and_cuts_off_the_old_one(users: RedisUsers) -> None:
    old = await users.admit(spec_of("e1"))
    async with Engine(old) as redis:
        await redis.set("trader-E1-001:general:x", "kept")
        new = await users.admit(spec_of("e1", generation=4))
        assert new.password != old.password
        with pytest.raises((AuthenticationError, RedisConnectionError)):
            await redis.set("trader-E1-001:general:x", "late")
    async with Engine(new) as redis:
        assert await redis.get("trader-E1-001:general:x") == b"kept"


async def test_a_redis_that_forgot_its_users_gets_back_those_of_running_sessions(
    users: RedisUsers, server: RedisServer, tmp_path: Path
) -> None:
    runs, ended = spec_of("e1"), spec_of("e2")
    access = await users.admit(runs)
    await users.admit(ended)
    await asyncio.to_thread(server.kill)
    assert await users.look({runs.session_id}) is False
    with pytest.raises(FaultError) as caught:
        await users.admit(spec_of("e3"))
    assert caught.value.fault.code == FaultCode.UNAVAILABLE
    (tmp_path / "redis" / "users.acl").unlink()
    await asyncio.to_thread(server.start)
    # By another supervisor than the one that made them.
    after = users_of(server, tmp_path / "state")
    assert await after.look({runs.session_id}) is True
    async with Engine(access) as redis:
        await redis.set("trader-E1-001:general:x", "1")
    names = await names_of(server)
    assert names == {"default", "engine-e1"}
    await after.close()


async def test_a_removed_session_takes_its_user_along_also_when_redis_was_away(
    users: RedisUsers, server: RedisServer
) -> None:
    first, second = spec_of("e1"), spec_of("e2")
    await users.admit(first)
    await users.admit(second)
    await users.dismiss(first.session_id)
    await users.dismiss("unknown")
    assert await names_of(server) == {"default", "engine-e2"}
    await asyncio.to_thread(server.kill)
    await users.dismiss(second.session_id)
    await asyncio.to_thread(server.start)
    assert await users.look(()) is True
    assert await names_of(server) == {"default"}


async def test_the_user_of_an_engine_that_went_to_another_host_stays(
    users: RedisUsers, server: RedisServer, tmp_path: Path
) -> None:
    here, there = spec_of("e1"), spec_of("e1", generation=4)
    await users.admit(here)
    other = users_of(server, tmp_path / "other")
    access = await other.admit(there)
    await users.dismiss(here.session_id)
    assert await users.look({here.session_id}) is True
    async with Engine(access) as redis:
        await redis.set("trader-E1-001:general:x", "1")
    await other.close()


async def names_of(server: RedisServer) -> set[str]:
    admin: Redis = Redis(
        host=server.host, port=server.port, password=server.password_file.read_text(), decode_responses=True
    )
    found = set(await admin.acl_users())
    await admin.aclose()
    return found
