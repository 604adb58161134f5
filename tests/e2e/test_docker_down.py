"""Docker that does not answer: a stop is not called done, nothing is forgotten, and it is carried out once Docker is back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultError
from tests.e2e.conftest import require_docker
from tests.e2e.engines import eventually, paced, trading
from tests.e2e.rest import ENGINE, ENGINES, Rest
from tests.e2e.stacks import RunningStack
from tests.fakes.unix_proxy import UnixProxy

DOCKER_SOCKET = "/var/run/docker.sock"


@pytest.fixture
def proxied() -> None:
    """Only where there is a Docker engine on its usual socket."""
    require_docker()
    if not Path(DOCKER_SOCKET).is_socket():
        pytest.skip(f"no Docker engine at {DOCKER_SOCKET}")


@pytest.fixture
async def docker(proxied: None, tmp_path: Path) -> AsyncIterator[UnixProxy]:
    """The way to Docker, which a test can cut."""
    proxy = UnixProxy(tmp_path / "docker.sock", DOCKER_SOCKET)
    await proxy.up()
    yield proxy
    await proxy.down()


@pytest.fixture
async def stack(docker: UnixProxy) -> AsyncIterator[RunningStack]:
    """A stack that reaches Docker through the proxy; that runs in our loop, so nothing here may block it."""
    made = RunningStack("docker", env={"DOCKER_HOST": f"unix://{docker.path}"})
    made.begin()

    async def is_ready() -> bool:
        try:
            return made.connection.pid == made.pid
        except FaultError:
            return False

    await eventually(is_ready, 60, "the stack")
    yield made
    await asyncio.to_thread(made.remove)


async def test_with_docker_down_a_stop_is_no_success_and_the_container_is_not_forgotten(
    stack: RunningStack, docker: UnixProxy
) -> None:
    async with (
        Flotilla.connect(stack.connection, wait_s=10) as fleet,
        aiohttp.ClientSession() as session,
    ):
        rest = Rest(stack, session)
        view = await trading(fleet, paced("cut-off"))
        assert view.session is not None
        container = view.session.container_name
        await docker.down()
        status, told = await rest.call("POST", f"{ENGINES}/cut-off/stop?wait=true&timeout=4", {"force": True})
        assert status in (503, 504), told
        assert "stopped" not in (told.get("state"), told["message"])
        now = (await rest.done("GET", f"{ENGINE}/status?instance_id=cut-off"))["status"]
        assert now["state"] != "stopped"
        assert now["active_containers"] == [container]
        await docker.up()
        await rest.call("POST", f"{ENGINES}/cut-off/stop", {"force": True})

        async def is_over() -> bool:
            engine = await fleet.engine("cut-off")
            return engine.session is not None and engine.session.state.is_terminal

        await eventually(is_over, 60, "the end of the engine")

        async def is_gone() -> bool:
            listed = (await rest.done("GET", f"{ENGINE}/containers"))["containers"]
            return container not in [one["name"] for one in listed if one["is_active"]]

        await eventually(is_gone, 30, "the end of its container")
