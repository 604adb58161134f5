"""Sessions as Docker containers. Touches only containers that carry our owner label."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError, NotFound

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import ContainerFacts, SessionSpec, container_name
from flotilla.services.supervisor.adapters.attached_catalogs import attached_paths, mountable, owner_of
from flotilla.services.supervisor.adapters.docker_check import run_check, sweep_checks
from flotilla.services.supervisor.adapters.docker_client import REQUEST_TIMEOUT_S, DockerCalls
from flotilla.services.supervisor.adapters.docker_errors import is_network_missing
from flotilla.services.supervisor.adapters.docker_events import Dirty, EventThread
from flotilla.services.supervisor.adapters.docker_launch import ensure_container, find, remove_if_not_running
from flotilla.services.supervisor.adapters.docker_network import (
    BusNetwork,
    ensure_egress,
    ensure_network,
    find_network,
    remove_networks,
    seen_networks,
)
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.check_output import LONGEST_S, CheckOutput, Question
from flotilla.services.supervisor.core.facts import as_gone, never_seen
from flotilla.services.supervisor.core.inspected import Inspected, facts_of, is_engine
from flotilla.services.supervisor.core.live_guard import refuse_live
from flotilla.services.supervisor.core.networks import SeenNetwork
from flotilla.services.supervisor.core.seccomp import keeps_seccomp
from flotilla.services.supervisor.core.spec import (
    ContainerProfile,
    Room,
    catalog_config,
    check_config,
    container_config,
    networks_besides,
)
from flotilla.services.supervisor.keyed_locks import KeyedLocks
from flotilla.services.supervisor.ports import NO_CATALOG, RuntimeProbe

log = get_logger(__name__)

KIND: Final = "docker"
RESYNC_S: Final = 30.0
RETRY_S: Final = 0.5
SIGNAL_AGAIN_S: Final = 1.0
SIGNALS: Final = 5
NO_SECCOMP: Final = "this Docker engine keeps no seccomp profiles: engines run without one"


class DockerRuntime:
    """The ContainerRuntime of one Docker engine."""

    def __init__(
        self, url: str, profile: ContainerProfile, *, subnet: str, egress_subnet: str = "10.231.1.0/24"
    ) -> None:
        self._calls = DockerCalls(url)
        self._profile = profile
        self._subnet = subnet
        self._egress_subnet = egress_subnet
        self._locks: KeyedLocks[str] = KeyedLocks()
        self._info: RuntimeProbe | None = None
        self._checks_under_way = 0
        self._signals = Tasks()

    @property
    def kind(self) -> str:
        """docker"""
        return KIND

    @property
    def is_isolated(self) -> bool:
        """True"""
        return True

    async def ensure_network(self) -> BusNetwork:
        """The engines' network, made when it is not there. Raises FaultError."""
        profile = self._profile
        return await self._calls.start(
            lambda client: ensure_network(client, profile.network, subnet=self._subnet, owner=profile.owner)
        )

    async def seen_networks(self) -> tuple[SeenNetwork, ...]:
        """Every network of this Docker engine. Raises FaultError."""
        return await self._calls.read(lambda client: seen_networks(client, self._profile.owner))

    async def remove_networks(self) -> None:
        """Removes the fleet's own, but for those that containers are on. Raises FaultError."""
        await self._calls.start(lambda client: remove_networks(client, self._profile.owner))

    async def find_network(self) -> BusNetwork | None:
        """The engines' network, None when it is not there. Raises FaultError."""
        return await self._calls.read(lambda client: find_network(client, self._profile.network))

    async def image_id(self) -> str | None:
        """The id of the engines' image, None when it is not on this host. Raises FaultError."""
        return await self._calls.read(lambda client: _image_id(client, self._profile.image))

    async def ensure(
        self, spec: SessionSpec, launch_line: bytes, go_on: Callable[[], None] = lambda: None
    ) -> ContainerFacts:
        """See ContainerRuntime."""
        refuse_live(spec, is_isolated=self.is_isolated)
        host = await self._learn()
        attached = await asyncio.to_thread(lambda: mountable(attached_paths(self._profile.catalog)))
        config = container_config(
            spec, self._profile, host=_room(host), has_seccomp=host.has_seccomp, attached=attached
        )
        networks = networks_besides(spec, self._profile)
        async with self._locks.take(spec.session_id):
            if networks:
                await self.ensure_egress()

            def ensure(client: APIClient) -> Inspected:
                return ensure_container(
                    client, spec.container_name, config, launch_line, networks, go_on=go_on
                )

            container = await self._ensure(ensure)
        return facts_of(container, host=self._profile.host)

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        """See ContainerRuntime. The daemon keeps the deadline."""
        container_id = (await self._find(session_id)).id
        again = self._signals.start(self._signal_again(container_id), name=f"signal:{session_id}")
        try:
            await self._calls.stop(lambda client: client.stop(container_id, timeout=math.ceil(timeout_s)))
        finally:
            again.cancel()
        return await self.inspect(session_id)

    async def pulse(self, session_id: str) -> str | None:
        """See ContainerRuntime. The sidecar touches a file in the container, so it takes a process in there to look at it."""
        try:
            container_id = (await self._find(session_id)).id
            return await self._calls.look(lambda client: _pulse(client, container_id))
        except FaultError as error:
            log.debug("pulse not found", session_id=session_id, fault=error.fault.message)
            return None

    async def kill(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        container_id = (await self._find(session_id)).id
        await self._calls.signal(lambda client: _kill(client, container_id))
        return await self.inspect(session_id)

    async def remove(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        try:
            container = await self._find(session_id)
        except FaultError as error:
            if error.fault.code != FaultCode.NOT_FOUND:
                raise
            return never_seen(
                session_id, name=container_name(session_id), host=self._profile.host, runtime=KIND
            )
        if not await self._calls.start(lambda client: remove_if_not_running(client, container.id)):
            raise fault(FaultCode.CONFLICT, f"session {session_id} runs: stop it first")
        return as_gone(facts_of(container, host=self._profile.host))

    async def inspect(self, session_id: str) -> ContainerFacts:
        """See ContainerRuntime."""
        return facts_of(await self._find(session_id), host=self._profile.host)

    async def list(self) -> tuple[ContainerFacts, ...]:
        """See ContainerRuntime."""
        found = await self._calls.read(lambda client: _list(client, self._profile.owner))
        return tuple(facts_of(container, host=self._profile.host) for container in found)

    async def watch(self) -> AsyncGenerator[ContainerFacts]:
        """See ContainerRuntime."""
        known: dict[str, ContainerFacts] = {}
        dirty = Dirty()
        events = EventThread(self._calls.url, self._profile.owner, dirty.mark)
        events.start()
        try:
            while True:
                marked = await dirty.take(RESYNC_S)
                try:
                    seen = await self._look(marked, known)
                except FaultError as error:
                    log.debug("runtime not in sight", fault=error.fault.message)
                    dirty.mark(None)
                    await asyncio.sleep(RETRY_S)
                    continue
                for facts in seen:
                    if known.get(facts.session_id) != facts:
                        known[facts.session_id] = facts
                        yield facts
                known = {key: facts for key, facts in known.items() if facts != as_gone(facts)}
        finally:
            await events.close()

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        """See ContainerRuntime."""
        # Docker ends it a little later than we would, should we not live to do it.
        config = await self._check_config(timeout_s + 5)
        return await self._thrown_away(config, line, timeout_s)

    async def check_when_asked(self, asked: Future[Question | None]) -> CheckOutput:
        """See ContainerRuntime."""
        config = await self._check_config(LONGEST_S)
        return await self._counted(self._calls.hold(lambda client: run_check(client, config, asked)))

    async def catalog(self, line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        """See ContainerRuntime."""
        if not self._profile.catalog:
            raise fault(FaultCode.UNAVAILABLE, NO_CATALOG)
        host = await self._learn()
        path = self._profile.catalog
        config = catalog_config(
            self._profile,
            host=_room(host),
            timeout_s=timeout_s + 5,
            has_seccomp=host.has_seccomp,
            attached=await asyncio.to_thread(lambda: mountable(attached_paths(path))),
            writer=await asyncio.to_thread(owner_of, path) if writes else None,
        )
        return await self._thrown_away(config, line, timeout_s)

    async def sweep_checks(self) -> None:
        """Removes what a supervisor that died left of its checks. Raises FaultError."""
        if count := await self._calls.start(lambda client: sweep_checks(client, self._profile.owner)):
            log.info("checks left behind were removed", count=count)

    async def probe(self) -> RuntimeProbe:
        """See ContainerRuntime."""
        try:
            known = await self._learn()
            await self._calls.read(lambda client: client.ping())
        except FaultError as error:
            last, self._info = self._info or RuntimeProbe(is_up=False), None
            return RuntimeProbe(
                is_up=False, cpus=last.cpus, memory_bytes=last.memory_bytes, detail=error.fault.message
            )
        return known

    async def close(self) -> None:
        """See ContainerRuntime."""
        if self._checks_under_way:
            # The thread of a check that was given up ends with us, its container would not.
            try:
                await self.sweep_checks()
            except FaultError as error:
                log.warning("checks were left", fault=error.fault.message)
        await self._signals.close()
        await self._calls.close()

    async def _thrown_away(self, config: dict[str, Any], line: bytes, timeout_s: float) -> CheckOutput:
        asked: Future[Question | None] = Future()
        asked.set_result(Question(line, timeout_s))
        return await self._counted(self._calls.stop(lambda client: run_check(client, config, asked)))

    async def _counted(self, check: Awaitable[CheckOutput]) -> CheckOutput:
        self._checks_under_way += 1
        output = await check
        self._checks_under_way -= 1
        return output

    async def _check_config(self, timeout_s: float) -> dict[str, Any]:
        host = await self._learn()
        return check_config(
            self._profile, host=_room(host), timeout_s=timeout_s, has_seccomp=host.has_seccomp
        )

    async def _signal_again(self, container_id: str) -> None:
        """The first process of a container drops the signals that come before it has made room for them."""
        for _ in range(SIGNALS):
            await asyncio.sleep(SIGNAL_AGAIN_S)
            try:
                await self._calls.signal(lambda client: client.kill(container_id, signal="SIGTERM"))
            except FaultError as error:
                log.debug("not signalled again", fault=error.fault.message)

    async def _ensure(self, ensure: Callable[[APIClient], Inspected]) -> Inspected:
        try:
            return await self._calls.start(ensure)
        except FaultError as error:
            if not (isinstance(error.__cause__, APIError) and is_network_missing(error.__cause__)):
                raise
        await self.ensure_network()
        return await self._calls.start(ensure)

    async def ensure_egress(self) -> None:
        """The network on which engines reach venues, made when it is not there. Raises FaultError."""
        profile = self._profile
        await self._calls.start(
            lambda client: ensure_egress(
                client, profile.egress, subnet=self._egress_subnet, owner=profile.owner
            )
        )

    async def _find(self, session_id: str) -> Inspected:
        name = container_name(session_id)
        found = await self._calls.read(lambda client: find(client, name))
        if found is None or not is_engine(found, self._profile.owner):
            raise fault(FaultCode.NOT_FOUND, f"session {session_id} is not on this host")
        return found

    async def _look(
        self, marked: frozenset[str] | None, known: dict[str, ContainerFacts]
    ) -> tuple[ContainerFacts, ...]:
        """The sessions marked (None: all) as they are; those known of which nothing is left as gone."""
        if marked is None:
            seen = await self.list()
        else:
            seen = tuple([facts for one in marked if (facts := await self._glance(one)) is not None])
        present = {facts.session_id for facts in seen}
        lost = (known.keys() if marked is None else known.keys() & marked) - present
        return (*seen, *(as_gone(known[session_id]) for session_id in lost))

    async def _glance(self, session_id: str) -> ContainerFacts | None:
        try:
            return await self.inspect(session_id)
        except FaultError as error:
            if error.fault.code != FaultCode.NOT_FOUND:
                raise
            return None

    async def _learn(self) -> RuntimeProbe:
        """What the host has; asked for again after the daemon was away. Raises FaultError."""
        if self._info is None:
            info: dict[str, Any] = await self._calls.read(lambda client: client.info())
            self._info = RuntimeProbe(
                is_up=True,
                cpus=int(info["NCPU"]),
                memory_bytes=int(info["MemTotal"]),
                version=str(info["ServerVersion"]),
                has_seccomp=keeps_seccomp(info),
            )
            if not self._info.has_seccomp:
                log.warning(NO_SECCOMP)
        return self._info


def _room(host: RuntimeProbe) -> Room:
    return Room(cpus=float(host.cpus), memory_bytes=host.memory_bytes)


def _list(client: APIClient, owner: str) -> list[Inspected]:
    rows = client.containers(all=True, filters={"label": f"{names.OWNER}={owner}"})
    # One that vanishes between the list and its inspection is no longer there, which is all there is to say.
    found = [find(client, row["Id"]) for row in rows]
    return [container for container in found if container is not None and is_engine(container, owner)]


def _image_id(client: APIClient, image: str) -> str | None:
    try:
        return str(client.inspect_image(image)["Id"])
    except NotFound:
        return None


def _kill(client: APIClient, container_id: str) -> None:
    try:
        client.kill(container_id)
    except APIError as error:
        if error.status_code != 409:  # it does not run, which is what was wanted
            raise


def _pulse(client: APIClient, container_id: str) -> str | None:
    # Where it is the container knows: those of an earlier release have it elsewhere.
    look = ["sh", "-c", 'stat -c %y "$FLOTILLA_HEARTBEAT_FILE"']
    looking = client.exec_create(container_id, look, stderr=False)["Id"]
    said: bytes = client.exec_start(looking)
    return said.decode() if client.exec_inspect(looking)["ExitCode"] == 0 else None


__all__ = ["KIND", "REQUEST_TIMEOUT_S", "DockerRuntime"]
