"""`python -m flotilla.services.supervisor.prepare [--look]`: prints as JSON whether engines can run in Docker here, and on which networks.

It makes the networks, unless it shall only look.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from flotilla.schemas.environment import EGRESS_NETWORK, NETWORK
from flotilla.schemas.fault import FaultError
from flotilla.services.supervisor.core.networks import Chosen, own_network
from flotilla.services.supervisor.settings import SupervisorSettings
from flotilla.services.supervisor.wiring import Readiness, docker_runtime, prepare

_TRIES: Final = 3
"""Two fleets that start at once may choose the same, and one of them finds the other's then."""


async def look(
    settings: SupervisorSettings, env: Mapping[str, str] = os.environ, *, look_only: bool = False
) -> Readiness:
    """Asks Docker, and lets go of it. Networks that `env` names are taken as they are named."""
    for _ in range(_TRIES):
        try:
            own = await _with_own_networks(settings, env)
        except FaultError as error:
            return Readiness(docker=False, detail=error.fault.message)
        readiness = await _prepared(own, is_own=own != settings, look_only=look_only)
        if look_only or not readiness.docker or await _with_own_networks(settings, env) == own:
            break
    return msgspec.structs.replace(
        readiness,
        network=own.network,
        network_subnet=own.subnet,
        egress_network=own.egress_network,
        egress_subnet=own.egress_subnet,
    )


async def _prepared(settings: SupervisorSettings, *, is_own: bool, look_only: bool) -> Readiness:
    runtime = docker_runtime(settings)
    try:
        readiness = await prepare(runtime, settings.image, look_only=look_only)
        if is_own and readiness.docker and not look_only:
            await runtime.ensure_egress()  # at once: the range that is free now may be another fleet's later
    except FaultError as error:
        return Readiness(docker=False, detail=error.fault.message)
    finally:
        await runtime.close()
    return readiness


async def _with_own_networks(settings: SupervisorSettings, env: Mapping[str, str]) -> SupervisorSettings:
    runtime = docker_runtime(settings)
    try:
        seen = await runtime.seen_networks()
    finally:
        await runtime.close()
    usual = Chosen(name=settings.network, subnet=settings.subnet)
    usual_egress = Chosen(name=settings.egress_network, subnet=settings.egress_subnet)
    reserved = [usual.subnet, usual_egress.subnet]
    bus = usual if NETWORK.given(env) else own_network(usual, settings.owner, seen, reserved=reserved)
    reserved.append(bus.subnet)
    egress = (
        usual_egress
        if EGRESS_NETWORK.given(env)
        else own_network(usual_egress, settings.owner, seen, reserved=reserved)
    )
    return msgspec.structs.replace(
        settings,
        network=bus.name,
        subnet=bus.subnet,
        egress_network=egress.name,
        egress_subnet=egress.subnet,
    )


def main() -> None:
    """Prints a Readiness and exits 0, whatever it says."""
    look_only = sys.argv[1:] == ["--look"]
    readiness = asyncio.run(look(SupervisorSettings.from_env(), look_only=look_only))
    sys.stdout.write(msgspec.json.encode(readiness).decode() + "\n")


if __name__ == "__main__":
    main()
