"""What the core may ask the shell to do: a closed union. Every effect may be done twice."""

from datetime import datetime

import msgspec

from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import FleetAlert
from flotilla.services.orchestrator.engines.core.model import Engine


class StartContainer(msgspec.Struct, frozen=True):
    """Make the session run on the host that is on record for it."""

    instance_id: str
    session_id: str
    host: str


class CallOff(msgspec.Struct, frozen=True):
    """See to it that the session never begins; done when its host says so, failed when it has begun."""

    instance_id: str
    session_id: str
    host: str


class CommandStop(msgspec.Struct, frozen=True):
    """Ask the sidecar to stop by a policy, or by its own, and to have ended at `until`."""

    instance_id: str
    session_id: str
    policy: StopPolicy | None
    until: datetime


class CommandBrake(msgspec.Struct, frozen=True):
    """Tell the sidecar which brake is on."""

    instance_id: str
    session_id: str
    brake: EngineBrake


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


class StartAgain(msgspec.Struct, frozen=True):
    """Begin another session like this one, which failed."""

    instance_id: str
    session_id: str


class RaiseAlert(msgspec.Struct, frozen=True):
    """Tell people; once for all alerts with this key."""

    alert: FleetAlert
    key: str


type ContainerEffect = (
    StartContainer | CallOff | CommandStop | CommandBrake | StopContainer | KillContainer | RemoveContainer
)
type Effect = ContainerEffect | PublishState | LookAgain | StartAgain | RaiseAlert
