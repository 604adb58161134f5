"""The bodies of answers about emergency stops."""

import msgspec

from flotilla.schemas.telemetry import StopFlag


class StepTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds: of the steps that the engine took, and since the stop began until it had ended and its container was gone."""

    cancel: float | None
    close: float | None
    stop: float | None
    engine: float | None
    container_gone: float | None


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one engine in an emergency stop. Counts are null when the engine did not live to give them."""

    instance_id: str
    session_id: str
    container_name: str
    host: str
    orders_cancelled: int | None
    positions_closed: int | None
    confirmed_flat: bool
    not_confirmed: tuple[str, ...]
    container_gone: bool
    killed: bool
    milliseconds: StepTimes


class EmergencyData(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt per engine that ran, the stops now in force, and the hosts that did not answer.

    `untold` are hosts out of sight on which nothing runs on record. `is_kept`: both find the stop when they come back.
    """

    receipts: tuple[ReceiptView, ...]
    flags: tuple[StopFlag, ...]
    unreached: tuple[str, ...]
    milliseconds: float
    request_id: str
    untold: tuple[str, ...] = ()
    is_kept: bool = False


class EmergencyReply(msgspec.Struct, frozen=True, kw_only=True):
    """Every engine meant is confirmed flat and gone. When one is not, the answer is a 504 with the same `data`."""

    success: bool = True
    message: str
    state: str
    data: EmergencyData


class LiftData(msgspec.Struct, frozen=True, kw_only=True):
    """The stops that are still in force, the hosts that did not answer, and those out of sight that find the lift later (`untold`)."""

    flags: tuple[StopFlag, ...]
    unreached: tuple[str, ...]
    request_id: str
    untold: tuple[str, ...] = ()


class LiftReply(msgspec.Struct, frozen=True, kw_only=True):
    """The stop is lifted (`state` stop_lifted); nothing starts by itself because of that."""

    success: bool = True
    message: str
    state: str
    data: LiftData
