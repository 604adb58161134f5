"""The embedded stack: nats-server, PostgreSQL, Redis and the services on one state folder, kept alive, stopped in order."""

import asyncio
import os
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.credentials import FleetKeys
from flotilla.bus.files import write_whole
from flotilla.bus.tasks import Tasks
from flotilla.bus.tokens import add_token
from flotilla.client.client import Flotilla
from flotilla.schemas.access import Role
from flotilla.schemas.contract import SERVICES, Actor
from flotilla.show.progress import Narrator
from flotilla.stack.child_restarter import Keeper
from flotilla.stack.coming_back import bring_back, keep_wanted
from flotilla.stack.log_files import keep_small
from flotilla.stack.readiness import wait_in_sight, wait_ready
from flotilla.stack.runtime import DOCKER, Runtime, choose_runtime, remove_networks
from flotilla.stack.servers.child import Child
from flotilla.stack.servers.nats import LOG as NATS_LOG
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.nats_health import LOOK_S, STOP_S, has_room
from flotilla.stack.servers.ports import Ports, free_port, is_free, nats_port, redis_port
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.stack.servers.redis import RedisServer
from flotilla.stack.services import Surroundings, bring_up_record, service_child
from flotilla.stack.stopping import stop_engines
from flotilla.state.errors import ProgramFailedError, StackError
from flotilla.state.folder import StateFolder
from flotilla.state.lock import StackLock
from flotilla.state.programs import output_lines, python
from flotilla.state.settings import Connection

HTTP_PORT: Final = 8001
ADMIN: Final = "admin"
"""The name of the token that every stack begins with."""
_SERVICE_STOP_S: Final = 15.0
_SERVER_STOP_S: Final = 20.0


def ensure_token(folder: StateFolder) -> None:
    """Makes the administrator's token, and writes it where only its owner can read it."""
    if folder.token_file.exists() and folder.digests_file.exists():
        return
    token, _ = add_token(folder.digests_file, ADMIN, Role.ADMIN, now=datetime.now(UTC), replace=True)
    write_whole(folder.token_file, token.encode())


async def ensure_sample_data(folder: StateFolder, lock_fd: int, narrator: Narrator) -> None:
    """Imports the sample data, unless that was done once. Raises StackError."""
    done = folder.catalog / ".sample"
    if done.exists():
        return
    narrator.say("importing the sample data (first start only)")
    argv = python(
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--sample",
        "--json",
        "--catalog",
        str(folder.catalog),
    )
    last: dict[str, Any] = {}
    try:
        async with aclosing(output_lines(argv, keeps=(lock_fd,))) as lines:
            async for line in lines:
                last = msgspec.json.decode(line)
                if last.get("event") == "imported":
                    narrator.say(f"imported {last['rows']:,} {last['data_type']} of {last['identifier']}")
    except ProgramFailedError as error:
        why = last.get("message") or str(error)
        raise StackError(f"the sample data could not be imported: {why}", "see `flotilla doctor`") from None
    done.touch()


async def restart_when_it_cannot_store(nats: NatsServer, narrator: Narrator) -> None:
    """Looks once a second, until cancelled. It is ended here; its keeper starts it again."""
    while True:
        await asyncio.sleep(LOOK_S)
        problem = await asyncio.to_thread(nats.write_error)
        if problem and has_room(nats.folder):
            narrator.warn(f"nats-server cannot store although there is room ({problem}); starting it again")
            await asyncio.to_thread(nats.child.stop, STOP_S)


@dataclass(frozen=True)
class StackSettings:
    """`runtime` is auto, docker or process; `http_port` 0 takes any free one; `templates` are folders of the user's own."""

    folder: StateFolder
    runtime: str = "auto"
    http_host: str = "127.0.0.1"
    http_port: int = HTTP_PORT
    templates: tuple[Path, ...] = ()
    orphan_policy: str = ""


class Stack:
    """One stack. After `start` every service is ready, and whatever dies is started again; `stop` is needed in any case.

    It lives on the main thread's event loop, because children end with the thread that started them.
    """

    def __init__(self, settings: StackSettings, narrator: Narrator) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._narrator = narrator
        self._services: dict[Actor, Keeper] = {}
        self._servers: list[Keeper] = []
        self._watches = Tasks()
        self._clients = AsyncExitStack()
        self._fleet: Flotilla | None = None
        self._lock: StackLock | None = None
        self._keys: FleetKeys | None = None
        self._runtime: Runtime | None = None

    async def start(self) -> Connection:
        """Brings everything up. Raises StackError, ServerError or StackRunsError."""
        lock = self._lock = await self._take_folder()
        http_port = self._http_port()
        runtime = await choose_runtime(self._settings.runtime, self._folder.root, self._narrator)
        self._runtime = runtime
        keys = self._keys = FleetKeys(self._folder.keys)
        nats = self._nats(keys, runtime.bus_host, lock)
        redis = self._redis(runtime.bus_host, lock)
        ensure_token(self._folder)
        postgres, *_ = await _together(
            self._start_postgres(lock),
            self._start_nats(nats),
            self._start_redis(redis),
            ensure_sample_data(self._folder, lock.children_fd, self._narrator),
        )
        Ports(nats=nats.port, redis=redis.port).save(self._folder.ports_file)
        given = Surroundings(
            folder=self._folder,
            keys=keys,
            nats_url=nats.url,
            postgres_dsn=postgres.login_dsn,
            notifier_dsn=postgres.notifier_dsn,
            redis=redis,
            http_host=self._settings.http_host,
            http_port=http_port,
            runtime=runtime,
            templates=self._settings.templates,
            orphan_policy=self._settings.orphan_policy,
        )
        return await self._start_services(given, lock)

    async def stop(self, *, leave_engines: bool = False, hurry: asyncio.Event | None = None) -> None:
        """Engines by their policy unless they are left or `hurry` is set, then services, then servers."""
        if self._fleet is not None and not leave_engines:
            note = partial(keep_wanted, self._folder)
            is_over = await stop_engines(self._fleet, self._narrator, hurry or asyncio.Event(), note)
            if is_over and self._keys is not None:
                self._keys.retire_older()
        await self._watches.close()
        await self._clients.aclose()
        await _stop((keeper.child for keeper in self._services.values()), _SERVICE_STOP_S)
        await _stop((keeper.child for keeper in self._servers), _SERVER_STOP_S)
        if self._runtime is not None and self._runtime.kind == DOCKER and not leave_engines:
            await remove_networks(self._folder.root, self._narrator)
        if self._lock is not None:
            self._folder.connection_file.unlink(missing_ok=True)
            if self._fleet is not None:
                self._folder.restored_file.unlink(missing_ok=True)
            self._lock.release()

    async def _take_folder(self) -> StackLock:
        self._folder.create()
        lock = await asyncio.to_thread(
            StackLock.acquire,
            self._folder,
            on_wait=lambda: self._narrator.say("waiting for what is left of the last stack to end"),
        )
        self._folder.connection_file.unlink(missing_ok=True)
        return lock

    def _http_port(self) -> int:
        host, port = self._settings.http_host, self._settings.http_port
        if port and not is_free(host, port):
            raise StackError(f"port {port} is taken by another program", "choose another with --port")
        return port or free_port(host)

    def _nats(self, keys: FleetKeys, host: str, lock: StackLock) -> NatsServer:
        port = nats_port(self._folder.ports_file, host, self._narrator)
        return NatsServer(
            self._folder.nats,
            keys,
            host=host,
            port=port,
            tokens=self._folder.tokens_in_use,
            keeps=(lock.children_fd,),
        )

    def _redis(self, host: str, lock: StackLock) -> RedisServer:
        port = redis_port(self._folder.ports_file, host)
        return RedisServer(self._folder.redis, host=host, port=port, keeps=(lock.children_fd,))

    async def _start_nats(self, nats: NatsServer) -> None:
        keeper = Keeper(nats.child, self._narrator, prepare=nats.prepare)
        self._servers.append(keeper)
        keeper.start()
        await asyncio.to_thread(nats.wait_ready)
        self._narrator.say(f"nats-server listens on {nats.url}")
        self._watch(keeper)
        self._watches.start(restart_when_it_cannot_store(nats, self._narrator), name="nats-server's store")

    async def _start_redis(self, redis: RedisServer) -> None:
        keeper = Keeper(redis.child, self._narrator, prepare=redis.prepare)
        self._servers.append(keeper)
        keeper.start()
        await asyncio.to_thread(redis.wait_ready)
        self._narrator.say("Redis is ready")
        self._watch(keeper)

    async def _start_postgres(self, lock: StackLock) -> PostgresServer:
        server = await asyncio.to_thread(PostgresServer, self._folder.postgres, keeps=(lock.children_fd,))
        await asyncio.to_thread(server.prepare)
        keeper = Keeper(server.child, self._narrator)
        self._servers.append(keeper)
        keeper.start()
        await asyncio.to_thread(server.wait_ready)
        await bring_up_record(server.dsn)
        self._narrator.say("PostgreSQL is ready")
        self._watch(keeper)
        return server

    async def _start_services(self, given: Surroundings, lock: StackLock) -> Connection:
        for actor in SERVICES:
            keeper = Keeper(service_child(actor, given, lock_fd=lock.children_fd), self._narrator)
            self._services[actor] = keeper
            keeper.start()
            self._watch(keeper)
        connection = Connection(
            nats_url=given.nats_url,
            nats_creds=str(given.keys.write_credentials(Actor.OPERATOR)),
            http_url=f"http://{given.http_host}:{given.http_port}",
            token_file=str(self._folder.token_file),
            catalog=str(self._folder.catalog),
            runtime=given.runtime.kind,
            pid=os.getpid(),
        )
        self._fleet = await self._clients.enter_async_context(Flotilla.connect(connection))
        await wait_ready(self._fleet, self._services)
        await wait_in_sight(self._fleet, self._folder.root)
        self._narrator.say("orchestrator, supervisor, notifier and gateway are ready")
        self._watches.start(keep_small(self._log_files()), name="log files")
        await bring_back(self._folder, self._fleet, self._narrator)
        connection.save(self._folder.connection_file)
        return connection

    def _log_files(self) -> list[Path]:
        """Those that nobody else keeps small, as nats-server does its own."""
        keepers = (*self._services.values(), *self._servers)
        of_children = {keeper.child.log_file for keeper in keepers} - {self._folder.nats / NATS_LOG}
        return [*of_children, self._folder.logs / "stack.log", self._folder.logs / "up.log"]

    def _watch(self, keeper: Keeper) -> None:
        self._watches.start(keeper.run(), name=f"keep:{keeper.child.name}")


async def _together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Results of all, or the first error once the others have been cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one, name=f"start {number}") for number, one in enumerate(work)]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


async def _stop(children: Iterable[Child], timeout_s: float) -> None:
    await asyncio.gather(*(asyncio.to_thread(child.stop, timeout_s) for child in children))
