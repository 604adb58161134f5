"""The dead man: what an engine does by itself once no orchestrator is heard any more, and how it hears one."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import RequestId, SessionId
from flotilla.schemas.states import DeadManPolicy

Unattended: TypeAlias = Annotated[float, Meta(ge=5, le=86_400)]


class DeadMan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine does when no orchestrator was heard for `after_s` seconds. With `continue` it listens for none."""

    policy: DeadManPolicy = DeadManPolicy.CONTINUE
    after_s: Unattended = 60.0


class DeadManChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator chooses of it; null leaves either to the template."""

    policy: DeadManPolicy | None = None
    after_s: Unattended | None = None


class Attend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says to a session that an orchestrator hears it. `as_of_s` is `monotonic_s` of the heartbeat that was heard last, from which it
    counts: what is delivered late says nothing of now.
    """

    session_id: SessionId
    as_of_s: float
    request_id: RequestId | None = None
