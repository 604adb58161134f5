"""The containers of the fleet as their hosts list them, and which hosts do not: what is not known is no empty list."""

import asyncio

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import SESSION_LIST
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import CleanupError, ContainerFacts, ListContainers
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings

log = get_logger(__name__)


async def list_containers(
    bus: Bus, sightings: FleetSightings, clock: Clock, *, timeout_s: float
) -> tuple[list[ContainerFacts], list[CleanupError]]:
    """All containers of ours on hosts in sight, by name; and the hosts whose containers are not among them, with the reason."""
    now = clock()
    hosts = [beat.host for beat in sightings.hosts(now)]
    calls = (bus.call(SESSION_LIST, ListContainers(), timeout_s=timeout_s, host=host) for host in hosts)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    containers: list[ContainerFacts] = []
    problems = [
        CleanupError(name=f"host {host}", message="it is out of sight") for host in sightings.lost_hosts(now)
    ]
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, FaultError):
            log.warning("host does not list its containers", host=host, error=str(answer))
            problems.append(CleanupError(name=f"host {host}", message=answer.fault.message))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            containers += answer.containers
    if not hosts and not problems:
        problems.append(CleanupError(name="hosts", message="none is in sight"))
    return sorted(containers, key=lambda facts: facts.name), problems
