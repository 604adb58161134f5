"""What the supervisor needs of the outside: a runtime for engine containers, and somebody who mints their credentials."""

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec

from schemas.session import ContainerFacts, SessionSpec


class RuntimeProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a runtime can start anything now, and what its host has. Zeros while that was never learnt."""

    is_up: bool
    cpus: int = 0
    memory_bytes: int = 0
    version: str = ""
    detail: str = ""


class ContainerRuntime(Protocol):
    """Runs sessions, one container each. Every verb names a session, and saying it again changes nothing more.

    All raise FaultError: `unavailable` when the runtime cannot be reached or cannot do it now (`retry_after_s` is set when
    trying again makes sense), `outcome_unknown` when a change was sent and its answer was lost, `not_found` for a session that
    is not here, `conflict` when the name is taken by something else, `invalid` for a specification that cannot be run.
    """

    @property
    def kind(self) -> str:
        """`docker` or `process`, as told in ContainerFacts.runtime."""

    async def ensure(self, spec: SessionSpec, launch_line: bytes) -> ContainerFacts:
        """Makes the session run and returns its facts. A session that runs, or has ended, is left alone and reported.

        `launch_line` is put on the sidecar's stdin before it starts and is kept nowhere.
        """

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        """SIGTERM to the sidecar, SIGKILL to all of it after `timeout_s`; returns when it has ended.

        The deadline holds although the supervisor dies meanwhile.
        """

    async def kill(self, session_id: str) -> ContainerFacts:
        """SIGKILL to all of it; returns when it has ended."""

    async def remove(self, session_id: str) -> ContainerFacts:
        """Deletes what is left of an ended session and returns its last facts as `gone`. A running one is a `conflict`."""

    async def inspect(self, session_id: str) -> ContainerFacts:
        """What the runtime says of the session now."""

    async def list(self) -> tuple[ContainerFacts, ...]:
        """All sessions of this owner, whatever their state."""

    def watch(self) -> AsyncGenerator[ContainerFacts]:
        """Every session once, then each one again whenever its facts change, for ever.

        It goes by what is there, not by what is announced: a change that happened while the runtime was away, or nobody
        watched, is reported all the same. Close it with `aclose`.
        """

    async def probe(self) -> RuntimeProbe:
        """Never raises: a runtime that is down is an answer."""

    async def close(self) -> None:
        """Lets go of threads and connections; the sessions run on."""


class CredentialMint(Protocol):
    """Makes the bus credential of an engine."""

    def mint(self, instance_id: str) -> str:
        """The text of a NATS credentials file that is good for this engine's subjects only."""
