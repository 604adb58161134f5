"""What an engine is given at its start, once the guard has let it pass: credentials, secrets, and its place in Redis."""

import asyncio

from schemas.session import SessionSpec
from services.supervisor.core.launch import EngineSurroundings, launch_line
from services.supervisor.core.live_guard import refuse_live
from services.supervisor.ports import CacheUsers, CredentialMint, SecretStore


class Launches:
    """Makes launch lines; nothing of them is kept or logged."""

    def __init__(
        self,
        mint: CredentialMint,
        secrets: SecretStore,
        cache: CacheUsers,
        surroundings: EngineSurroundings,
        *,
        is_isolated: bool,
    ) -> None:
        self._mint = mint
        self._secrets = secrets
        self._cache = cache
        self._surroundings = surroundings
        self._is_isolated = is_isolated

    async def line(self, spec: SessionSpec) -> bytes:
        """The session's launch line. Raises FaultError: the guard's, a secret's that is not fit, or that Redis is away."""
        refuse_live(spec, is_isolated=self._is_isolated)
        secrets = await asyncio.to_thread(self._secrets.read, spec.plan.secrets.values())
        # Once more with them: a secret's fields become part of a client's config.
        refuse_live(spec, is_isolated=self._is_isolated, secrets=secrets)
        cache = await self._cache.admit(spec) if spec.uses_cache else None
        creds = self._mint.mint(spec.instance_id)
        return launch_line(spec, creds, self._surroundings, cache=cache, secrets=secrets)

    async def forget(self, session_id: str) -> None:
        """The session is over for good, and so is its place in Redis. Raises FaultError."""
        await self._cache.dismiss(session_id)
