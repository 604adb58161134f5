"""Users of Redis, one per engine that keeps its state there. The only code that speaks to Redis."""

import asyncio
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import CacheAccess, SessionSpec
from flotilla.services.supervisor.adapters.durable_file import write_durably
from flotilla.services.supervisor.core.cache_user import CacheUser

log = get_logger(__name__)

ANSWER_S: Final = 2.0
_FAILURES: Final = (RedisError, OSError, TimeoutError)


class RedisUsers:
    """Makes a user for a session and remembers it in the state folder, so that a Redis that forgot its users gets them again.

    `host` and `port` are Redis as engines reach it.
    """

    def __init__(self, url: str, password: str | None, *, state: Path, host: str, port: int) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            password=password,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )
        self._file = state / "cache_users.json"
        self._host = host
        self._port = port
        self._turn = asyncio.Lock()
        self._leaving: set[str] = set()
        self._users = self._load()

    async def admit(self, spec: SessionSpec) -> CacheAccess:
        """A way into Redis for this session alone, the same one when asked again. Raises FaultError `unavailable`."""
        async with self._turn:
            user = self._users.get(spec.instance_id)
            if user is None or user.session_id != spec.session_id:
                user = await self._replace(user, spec)
            else:
                await self._assert(user)
        return CacheAccess(host=self._host, port=self._port, username=user.name, password=user.password)

    async def dismiss(self, session_id: str) -> None:
        """Deletes the session's user, now or, when Redis is away, as soon as it is back."""
        async with self._turn:
            user = next((user for user in self._users.values() if user.session_id == session_id), None)
            if user is None:
                return
            self._leaving.add(user.instance_id)
            await self._let_go()

    async def look(self, running: Collection[str]) -> bool:
        """Whether Redis answers; the users of running sessions are made again if it forgot them. Never raises."""
        async with self._turn:
            try:
                await self._ask("PING")
                known = set(await self._ask("ACL USERS"))
                for user in tuple(self._users.values()):
                    if user.session_id in running and user.name not in known:
                        log.warning("user of a running engine made again", user=user.name)
                        await self._assert(user)
            except FaultError as error:
                log.debug("no Redis", fault=error.fault.message)
                return False
            await self._let_go()
            return True

    async def close(self) -> None:
        """Closes the connections; the users stay."""
        await self._redis.aclose()

    async def _replace(self, former: CacheUser | None, spec: SessionSpec) -> CacheUser:
        user = CacheUser(
            instance_id=spec.instance_id,
            session_id=spec.session_id,
            trader_id=spec.plan.trader_id,
            password=secrets.token_urlsafe(32),
        )
        # Deleting a user cuts its connections: whatever is left of an earlier session writes no more.
        if former is not None:
            await self._ask("ACL DELUSER", former.name)
        await self._assert(user)
        self._leaving.discard(user.instance_id)
        await self._save({**self._users, user.instance_id: user})
        return user

    async def _let_go(self) -> None:
        for instance_id in tuple(self._leaving):
            user = self._users[instance_id]
            try:
                # The engine may run on another host by now, and the user be that one's.
                if await self._is_ours(user):
                    await self._ask("ACL DELUSER", user.name)
                    await self._keep()
            except FaultError as error:
                log.debug("user not deleted yet", user=user.name, fault=error.fault.message)
                return
            self._leaving.discard(instance_id)
            await self._save({key: user for key, user in self._users.items() if key != instance_id})

    async def _is_ours(self, user: CacheUser) -> bool:
        found = await self._ask("ACL GETUSER", user.name)
        return found is not None and user.digest in found.get("passwords", ())

    async def _assert(self, user: CacheUser) -> None:
        await self._ask("ACL SETUSER", user.name, *user.rules)
        await self._keep()

    async def _keep(self) -> None:
        """Where Redis has a file for its users, they outlive its restart without our help."""
        try:
            await self._ask("ACL SAVE")
        except FaultError as error:
            if not isinstance(error.__cause__, ResponseError):
                raise
            log.debug("users are in Redis' memory only", fault=error.fault.message)

    async def _ask(self, command: str, *words: str) -> Any:
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                return await self._redis.execute_command(command, *words)  # type: ignore[no-untyped-call]
        except _FAILURES as error:
            # Redis' own words for what it refuses name the command and the user, never a password.
            text = str(error) or type(error).__name__
            raise fault(FaultCode.UNAVAILABLE, f"Redis does not do it: {text}", retry_after_s=5.0) from error

    async def _save(self, users: dict[str, CacheUser]) -> None:
        self._users = users
        try:
            await asyncio.to_thread(write_durably, self._file, msgspec.json.encode(list(users.values())))
        except OSError as error:
            log.exception("users of Redis not stored")
            raise fault(
                FaultCode.UNAVAILABLE, f"the state folder cannot be written: {error.strerror}"
            ) from error

    def _load(self) -> dict[str, CacheUser]:
        try:
            users = msgspec.json.decode(self._file.read_bytes(), type=list[CacheUser])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError):
            log.exception(
                "users of Redis cannot be read: engines that run are not let in again if it forgets them"
            )
            return {}
        return {user.instance_id: user for user in users}


class NoCache:
    """A host without Redis."""

    async def admit(self, spec: SessionSpec) -> CacheAccess:
        """Raises FaultError `unavailable`."""
        raise fault(
            FaultCode.UNAVAILABLE,
            f"engine {spec.instance_id} keeps its state in Redis, and this host has none: set FLOTILLA_REDIS_URL",
        )

    async def dismiss(self, session_id: str) -> None:
        """Nobody was admitted."""

    async def look(self, running: Collection[str]) -> bool:
        """False."""
        return False

    async def close(self) -> None:
        """Nothing to close."""
