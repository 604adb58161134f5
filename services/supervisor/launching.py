"""What an engine is given at its start, once the guard has let it pass: credentials, secrets, and its place in Redis."""

import asyncio
from collections.abc import Awaitable, Callable

from flotilla.schemas.session import SessionSpec
from flotilla.services.supervisor.core.launch import EngineSurroundings, launch_line
from flotilla.services.supervisor.core.live_guard import refuse_live
from flotilla.services.supervisor.core.secret_use import refuse_misuse
from flotilla.services.supervisor.ports import CacheUsers, CredentialDesk, SecretStore

type ImageLook = Callable[[], Awaitable[str | None]]
"""Finds the id of the image that engines run in; None when there is none."""

type AttachedLook = Callable[[], tuple[str, ...]]
"""Finds the paths of the catalogs that a container made now is given."""


class Launches:
    """Makes launch lines; nothing of them is kept or logged."""

    def __init__(
        self,
        desk: CredentialDesk,
        secrets: SecretStore,
        cache: CacheUsers,
        surroundings: EngineSurroundings,
        *,
        is_isolated: bool,
        image: ImageLook | None = None,
        attached: AttachedLook | None = None,
    ) -> None:
        self.desk = desk
        self._secrets = secrets
        self._cache = cache
        self._surroundings = surroundings
        self._is_isolated = is_isolated
        self._image = image
        self._attached = attached

    @property
    def catalog_path(self) -> str:
        """Where engines find the catalog, and so whatever else looks into it; empty where there is none."""
        return self._surroundings.catalog_path

    async def line(self, spec: SessionSpec) -> bytes:
        """The session's launch line. Raises FaultError: a guard's, a secret's that is not fit, or that Redis is away."""
        refuse_live(spec, is_isolated=self._is_isolated)
        bound = await asyncio.to_thread(self._secrets.read, spec.plan.secrets.values())
        refuse_misuse(spec, bound)
        secrets = {name: secret.values for name, secret in bound.items()}
        # Once more with them: a secret's fields become part of a client's config.
        tests = {name for name, secret in bound.items() if secret.binding and secret.binding.is_test_exchange}
        refuse_live(spec, is_isolated=self._is_isolated, secrets=secrets, test_exchanges=tests)
        cache = await self._cache.admit(spec) if spec.uses_cache else None
        access = await self.desk.issue(spec)
        # A worker names the image in the manifests of what it runs.
        image = await self._image() if self._image and spec.worker else None
        attached = await asyncio.to_thread(self._attached) if self._attached else None
        return launch_line(
            spec,
            access,
            self._surroundings,
            cache=cache,
            secrets=secrets,
            image=image or "",
            attached=attached,
        )

    async def forget(self, session_id: str) -> None:
        """The session is over for good, and so is its place in Redis. Raises FaultError."""
        await self._cache.dismiss(session_id)
