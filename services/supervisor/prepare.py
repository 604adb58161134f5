"""`python -m flotilla.services.supervisor.prepare [--look | --remove]`: what a fleet needs of Docker before it starts.

Prints as JSON whether engines can run in Docker here, and on which networks, and makes the networks unless it shall only look. With
`--remove` it takes away those that the fleet made, once no container is on them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from flotilla.bus.settings import settings_of
from flotilla.schemas.environment import EGRESS_NETWORK, EGRESS_SUBNET, NETWORK, NETWORK_SUBNET
from flotilla.schemas.fault import FaultError
from flotilla.services.supervisor.adapters.docker_errors import is_range_taken
from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime
from flotilla.services.supervisor.core.networks import Chosen, own_network
from flotilla.services.supervisor.settings import SupervisorSettings
from flotilla.services.supervisor.wiring import Readiness, docker_runtime, prepare

_PATIENCE_S: Final = 3.0
_PAUSE_S: Final = 0.2
"""Two fleets that start at once may choose the same range. Docker refuses one of them, and shows the other's network some 0.1 s later."""


async def look(
    settings: SupervisorSettings, env: Mapping[str, str] = os.environ, *, look_only: bool = False
) -> Readiness:
    """Asks Docker, and lets go of it. Networks that `env` names are taken as they are named."""
    try:
        own = await (_chosen if look_only else _made)(settings, env)
        async with _docker(own) as runtime:
            readiness = await prepare(runtime, own.image, look_only=True)
    except FaultError as error:
        return Readiness(docker=False, detail=error.fault.message)
    return msgspec.structs.replace(
        readiness,
        network=own.network,
        network_subnet=own.subnet,
        egress_network=own.egress_network,
        egress_subnet=own.egress_subnet,
    )


async def remove(settings: SupervisorSettings) -> None:
    """Removes the fleet's own networks. Raises FaultError."""
    async with _docker(settings) as runtime:
        await runtime.remove_networks()


@asynccontextmanager
async def _docker(settings: SupervisorSettings) -> AsyncIterator[DockerRuntime]:
    runtime = docker_runtime(settings)
    try:
        yield runtime
    finally:
        await runtime.close()


async def _made(settings: SupervisorSettings, env: Mapping[str, str]) -> SupervisorSettings:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        chosen = await _chosen(settings, env)
        try:
            async with _docker(chosen) as runtime:
                await runtime.ensure_network()
                if chosen.egress_network != settings.egress_network:
                    # At once: the range that is free now may be another fleet's later.
                    await runtime.ensure_egress()
        except FaultError as error:
            if not is_range_taken(error) or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)
            continue
        if await _chosen(settings, env) == chosen or asyncio.get_running_loop().time() > deadline:
            return chosen


async def _chosen(settings: SupervisorSettings, env: Mapping[str, str]) -> SupervisorSettings:
    async with _docker(settings) as runtime:
        seen = await runtime.seen_networks()
    usual = Chosen(name=settings.network, subnet=settings.subnet)
    usual_egress = Chosen(name=settings.egress_network, subnet=settings.egress_subnet)
    reserved = [usual.subnet, usual_egress.subnet]
    bus, egress = usual, usual_egress
    if not NETWORK.given(env):
        wanted = NETWORK_SUBNET.given(env) or ""
        bus = own_network(usual, settings.owner, seen, reserved=reserved, wanted=wanted)
    if not EGRESS_NETWORK.given(env):
        wanted = EGRESS_SUBNET.given(env) or ""
        reserved.append(bus.subnet)
        # The fleet that has the usual one for the bus makes the usual way out when an engine needs it.
        is_usual = bus.name == usual.name
        egress = own_network(
            usual_egress, settings.owner, seen, reserved=reserved, wanted=wanted, is_usual=is_usual
        )
    return msgspec.structs.replace(
        settings,
        network=bus.name,
        subnet=bus.subnet,
        egress_network=egress.name,
        egress_subnet=egress.subnet,
    )


def main() -> None:
    """Prints a Readiness and exits 0, whatever it says; with --remove it prints nothing, and a fault on stderr with exit code 1."""
    settings = settings_of("supervisor", SupervisorSettings.from_env)
    if sys.argv[1:] == ["--remove"]:
        try:
            asyncio.run(remove(settings))
        except FaultError as error:
            sys.exit(error.fault.message)
        return
    readiness = asyncio.run(look(settings, look_only=sys.argv[1:] == ["--look"]))
    sys.stdout.write(msgspec.json.encode(readiness).decode() + "\n")


if __name__ == "__main__":
    main()
