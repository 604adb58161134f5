"""Who the sessions of this host are on the bus: each gets credentials of its own, keeps them while it runs, and loses them when it ends."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from flotilla.bus.credentials import EngineMint
from flotilla.bus.endpoint import asked
from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    RenewCredential,
    RenewedCredential,
    SessionSpec,
)
from flotilla.services.supervisor.core.identity import Access, SessionIdentity, over
from flotilla.services.supervisor.ports import ContainerRuntime, IdentityStore, Revoking

log = get_logger(__name__)

LOOK_S: Final = 30.0
RETRY_S: Final = 1.0


class Identities:
    """Kept on disk too: a session may end while no supervisor sees it, and its credentials must not outlive it for long."""

    def __init__(
        self,
        mint: EngineMint,
        store: IdentityStore,
        revoker: Revoking,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._mint = mint
        self._store = store
        self._revoker = revoker
        self._now = now
        self._has_ended = asyncio.Event()
        self._ended: set[str] = set()
        self._turn = asyncio.Lock()
        self._known = self._load()

    async def issue(self, spec: SessionSpec) -> Access:
        """Credentials for a session that is about to be started."""
        minted = self._mint.mint(spec.instance_id, spec.session_id, is_worker=spec.worker is not None)
        identity = SessionIdentity(
            session_id=spec.session_id,
            instance_id=spec.instance_id,
            users=minted.users,
            minted_at=round(self._now()),
        )
        await self._keep((*self._known, identity))
        return Access(creds=minted.creds, renewal=minted.renewal, life_s=self._mint.life_s)

    async def renew(self, _: RenewCredential) -> RenewedCredential:
        """For the session that asks, as the server says who that is. Raises FaultError `forbidden` for one that is over or not ours."""
        crossing = asked().crossing
        user = crossing.user if crossing is not None else ""
        for identity in self._known:
            if identity.users.renewal == user and identity.session_id not in self._ended:
                return self._mint.renew(identity.users, identity.instance_id, identity.session_id)
        raise fault(FaultCode.FORBIDDEN, "no session that runs here has this credential")

    def sessions(self) -> tuple[SessionIdentity, ...]:
        """Those who have credentials."""
        return self._known

    def saw(self, facts: ContainerFacts) -> None:
        """Takes note of what a container does."""
        if facts.status in (ContainerStatus.EXITED, ContainerStatus.GONE):
            self._ended.add(facts.session_id)
            self._has_ended.set()

    async def run(self, runtime: ContainerRuntime) -> None:
        """Revokes what has ended at once, and looks now and then for what ended unseen, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._has_ended.wait()
            except TimeoutError:
                await self._look(runtime)
            self._has_ended.clear()
            await self._revoke()

    async def close(self) -> None:
        """Lets go of the connection; what was not revoked yet the next supervisor revokes."""
        await self._revoker.close()

    async def _look(self, runtime: ContainerRuntime) -> None:
        try:
            self._ended |= over(self._known, await runtime.list(), self._now())
        except FaultError as error:
            log.info("no look for sessions that ended", error=str(error))

    async def _revoke(self) -> None:
        while gone := [each for each in self._known if each.session_id in self._ended]:
            users = [user for each in gone for user in (each.users.engine, each.users.renewal)]
            try:
                await self._revoker.revoke(users)
            except FaultError as error:
                log.warning("credentials of ended sessions not revoked yet", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            await self._keep(tuple(each for each in self._known if each not in gone))
            log.info("credentials revoked", sessions=[each.session_id for each in gone])
        self._ended.clear()

    async def _keep(self, identities: tuple[SessionIdentity, ...]) -> None:
        self._known = identities
        async with self._turn:
            try:
                await asyncio.to_thread(self._store.save, self._known)
            except OSError:
                # That nothing starts would be worse: they end by themselves.
                log.exception("identities not stored")

    def _load(self) -> tuple[SessionIdentity, ...]:
        try:
            return self._store.load()
        except (OSError, ValueError):
            log.exception("identities cannot be read: what ended meanwhile is good until it ends by itself")
            return ()


class NoIdentities:
    """On a bus that asks nobody who they are, as on a developer's machine."""

    async def issue(self, _: SessionSpec) -> Access:
        """None."""
        return Access()

    async def renew(self, _: RenewCredential) -> RenewedCredential:
        """Raises FaultError `forbidden`."""
        raise fault(FaultCode.FORBIDDEN, "engines of this host have no credentials")

    def sessions(self) -> tuple[SessionIdentity, ...]:
        """None."""
        return ()

    def saw(self, _: ContainerFacts) -> None:
        """Nothing to do."""

    async def run(self, _: ContainerRuntime) -> None:
        """Nothing to do, for ever."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is held."""
