"""The server in which engines remember: who gets in, and what it still knows after kill -9."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from flotilla.stack.servers.redis import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis")
    made.start()
    yield made
    made.stop()


def client(server: RedisServer, username: str | None = None, password: str | None = None) -> redis.Redis:
    return redis.Redis(host=server.host, port=server.port, username=username, password=password)


def admin(server: RedisServer) -> redis.Redis:
    return client(server, password=server.password_file.read_text())


def test_nobody_gets_in_without_a_password(server: RedisServer) -> None:
    with client(server) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with client(server, password="guessed") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_password_stands_in_one_private_file_only(server: RedisServer) -> None:
    password = server.password_file.read_bytes()
    for file in server.password_file.parent.iterdir():
        if file.is_file():
            assert (password in file.read_bytes()) == (file == server.password_file), file
    for name in ("password", "users.acl"):
        assert (server.password_file.parent / name).stat().st_mode & 0o077 == 0


def test_what_was_acknowledged_is_there_after_kill_9_with_the_users_of_engines(server: RedisServer) -> None:
    with admin(server) as before:
        before.acl_setuser(
            "engine-a", enabled=True, passwords=["+pw"], keys=["trader-A:*"], commands=["+@all"]
        )
        before.acl_save()
        for number in range(100):
            before.rpush("trader-A:orders", number)
    server.kill()
    server.start()
    with client(server, "engine-a", "pw") as engine:
        assert engine.lrange("trader-A:orders", 0, -1) == [str(number).encode() for number in range(100)]
        with pytest.raises(redis.exceptions.NoPermissionError):
            engine.get("trader-B:orders")
    with admin(server) as after:
        assert after.ping()


def test_a_new_password_does_not_lock_engines_out(server: RedisServer) -> None:
    with admin(server) as before:
        before.acl_setuser(
            "engine-a", enabled=True, passwords=["+pw"], keys=["trader-A:*"], commands=["+@all"]
        )
        before.acl_save()
    server.stop()
    server.password_file.unlink()
    server.start()
    with admin(server) as after, client(server, "engine-a", "pw") as engine:
        assert after.ping()
        assert engine.set("trader-A:x", 1)
