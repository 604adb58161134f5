"""What a cleanup does about each container of ours: remove it, stop it first, or leave it alone."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.services.orchestrator.engines.core.model import Session
from flotilla.services.orchestrator.engines.core.orphans import may_trade_live


class Verb(StrEnum):
    """What is to be done about a container."""

    LEAVE = "leave"
    REFUSE = "refuse"
    REMOVE = "remove"
    STOP_ENGINE = "stop_engine"
    STOP_CONTAINER = "stop_container"


class CleanupStep(msgspec.Struct, frozen=True):
    """What is to be done about a container, and why not."""

    container: ContainerFacts
    verb: Verb
    reason: str = ""

    @property
    def is_cleaned(self) -> bool:
        """True when the container goes, if all goes well."""
        return self.verb in (Verb.REMOVE, Verb.STOP_ENGINE, Verb.STOP_CONTAINER)


def judge(container: ContainerFacts, on_record: Mapping[str, Session], *, force: bool) -> CleanupStep:
    """What a cleanup does about a container. What may trade live is never stopped by one."""
    session = on_record.get(container.session_id)
    is_active = session is not None and not session.is_over
    if not is_active and container.status != ContainerStatus.RUNNING:
        return CleanupStep(container, Verb.REMOVE)
    if not force:
        return CleanupStep(container, Verb.LEAVE)
    if may_trade_live(container):
        reason = f"engine {container.instance_id} may trade live: stop it by name"
        return CleanupStep(container, Verb.REFUSE, reason)
    return CleanupStep(container, Verb.STOP_ENGINE if is_active else Verb.STOP_CONTAINER)
