"""Where the contract suites run: real Docker, real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.supervised import DockerBench, ProcessBench, docker_network, require_docker_image


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    found = require_docker_image()
    with docker_network():
        yield found


@pytest.fixture
def docker(image: str) -> Iterator[DockerBench]:
    bench = DockerBench(image)
    yield bench
    bench.clean()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ProcessBench]:
    bench = ProcessBench(tmp_path / "sessions")
    yield bench
    bench.clean()
