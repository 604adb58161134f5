"""What tests of engines on exchanges share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla.schemas.session import CacheAccess
from flotilla.stack.servers.redis import RedisServer
from tests.engine_processes import ZygoteProcess, zygote_process


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    """Forks engines."""
    with zygote_process() as process:
        yield process


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CacheAccess]:
    """A Redis with nothing in it, that keeps the state of an engine."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield CacheAccess(
        host=server.host, port=server.port, username="default", password=server.password_file.read_text()
    )
    server.stop()
