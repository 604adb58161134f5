"""What the core may ask the shell to do: a closed union. Every effect may be done twice."""

from datetime import datetime

import msgspec

from schemas.session import ContainerFacts
from schemas.states import StopPolicy
from services.orchestrator.core.model import Engine


class StartContainer(msgspec.Struct, frozen=True):
    """Make the session run on the host that is on record for it."""

    instance_id: str
    session_id: str
    host: str


class CommandStop(msgspec.Struct, frozen=True):
    """Ask the sidecar to stop by policy."""

    instance_id: str
    session_id: str
    policy: StopPolicy


class StopContainer(msgspec.Struct, frozen=True):
    """SIGTERM through the supervisor, SIGKILL after `timeout_s`."""

    instance_id: str
    session_id: str
    host: str
    timeout_s: float


class KillContainer(msgspec.Struct, frozen=True):
    """SIGKILL through the supervisor."""

    instance_id: str
    session_id: str
    host: str


class RemoveContainer(msgspec.Struct, frozen=True):
    """Remove what is left of an ended session."""

    instance_id: str
    session_id: str
    host: str


class PublishState(msgspec.Struct, frozen=True):
    """Tell the fleet what the record says now."""

    engine: Engine


class LookAgain(msgspec.Struct, frozen=True):
    """Reconcile this engine at `at`, sooner than the next round would."""

    instance_id: str
    at: datetime


class ReportStray(msgspec.Struct, frozen=True):
    """A container of ours that is in no record: somebody should look; it is not touched."""

    container: ContainerFacts


type ContainerEffect = StartContainer | CommandStop | StopContainer | KillContainer | RemoveContainer
type Effect = ContainerEffect | PublishState | LookAgain | ReportStray
