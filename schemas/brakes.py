"""Brakes short of a stop: what keeps the strategies of a running engine from trading, and what takes it out of the market meanwhile."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import InstanceId, RequestId, SessionId
from flotilla.schemas.states import Brake


class EngineBrake(msgspec.Struct, frozen=True, kw_only=True):
    """The brake of an engine, from one session to the next until somebody lifts it.

    `number` counts its changes: of two the higher is the later. `since` and `by` say when it was changed last, and who asked for
    that; a brake that was never touched has neither.
    """

    brake: Brake = Brake.NONE
    number: Annotated[int, Meta(ge=0)] = 0
    since: datetime | None = None
    by: Annotated[str, Meta(max_length=100)] = ""

    @property
    def is_on(self) -> bool:
        """True unless strategies trade freely."""
        return self.brake != Brake.NONE

    @property
    def text(self) -> str:
        """`halted by alice`; empty where none is on."""
        return f"{self.brake} by {self.by or 'somebody'}" if self.is_on else ""


RELEASED: Final = EngineBrake()
"""The brake that nobody ever touched."""


def is_narrower(one: Brake, other: Brake) -> bool:
    """True when the first lets less through."""
    order = (Brake.NONE, Brake.REDUCED, Brake.HALTED)
    return order.index(one) > order.index(other)


def is_crossed(one: EngineBrake, other: EngineBrake) -> bool:
    """True when both have the same number and are not the same: a loss limit and somebody else changed the brake at once."""
    return one.number == other.number and (one.brake, one.by) != (other.brake, other.by)


class BrakeEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names the engine that is to be halted, to reduce only, or to go on, or whose orders are to be cancelled."""

    instance_id: InstanceId
    request_id: RequestId | None = None


Shown: TypeAlias = Annotated[
    str,
    Meta(
        max_length=20_000, description="What differs, as the engine's problems say it; else it is a conflict."
    ),
]


class AcceptMismatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names the engine whose difference with its venue is taken as it is; only if that is what was `shown`, where that is given."""

    instance_id: InstanceId
    shown: Shown | None = None
    request_id: RequestId | None = None


class AcceptDifferent(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Tells a session that a person takes the difference as it is."""

    session_id: SessionId
    shown: Shown | None = None
    request_id: RequestId | None = None


class AfterFlatten(StrEnum):
    """What follows when positions are closed: strategies are halted until they are resumed, or go on as before."""

    HALT = "halt"
    CONTINUE = "continue"


class FlattenEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for every order to be cancelled and every position to be closed, and says what follows (`then`)."""

    instance_id: InstanceId
    then: AfterFlatten = AfterFlatten.HALT
    request_id: RequestId | None = None


class SetBrake(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tells a session which brake is on. One with a lower number than the session's own is refused."""

    session_id: SessionId
    brake: EngineBrake
    request_id: RequestId | None = None
