"""The one error shape: a code, a safe text, the fields at fault and an id that finds the log line."""

from enum import StrEnum
from typing import Final

import msgspec


class FaultCode(StrEnum):
    """Why a call was refused. The HTTP status of each stands in STATUS."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    CONFIRMATION_REQUIRED = "confirmation_required"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    AMBIGUOUS_ENGINE = "ambiguous_engine"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    BUSY = "busy"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"


STATUS: Final[dict[FaultCode, int]] = {
    FaultCode.MALFORMED: 400,
    FaultCode.CONFIRMATION_REQUIRED: 400,
    FaultCode.UNAUTHENTICATED: 401,
    FaultCode.FORBIDDEN: 403,
    FaultCode.NOT_FOUND: 404,
    FaultCode.CONFLICT: 409,
    FaultCode.AMBIGUOUS_ENGINE: 409,
    FaultCode.TOO_LARGE: 413,
    FaultCode.INVALID: 422,
    FaultCode.BUSY: 429,
    FaultCode.INTERNAL: 500,
    FaultCode.UNAVAILABLE: 503,
    FaultCode.OUTCOME_UNKNOWN: 504,
}


class FieldError(msgspec.Struct, frozen=True):
    """One value at fault: where it stands (`config.max_cpu`) and what is wrong with it."""

    field: str
    message: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What a failed call answers, on the bus and in REST alike."""

    code: FaultCode
    message: str
    errors: tuple[FieldError, ...] = ()
    error_id: str = ""
    retry_after_s: float | None = None

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return STATUS[self.code]


class FaultError(Exception):
    """Raised by handlers, and by `Bus.call` at the caller, to carry a Fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.code}: {fault.message}")
        self.fault = fault


def fault(
    code: FaultCode, message: str, *errors: FieldError, retry_after_s: float | None = None
) -> FaultError:
    """A FaultError ready to raise."""
    return FaultError(Fault(code=code, message=message, errors=errors, retry_after_s=retry_after_s))


def invalid(*errors: FieldError) -> FaultError:
    """The fault for values that are wrong: 422, its text naming every field."""
    return fault(FaultCode.INVALID, "; ".join(f"{error.field}: {error.message}" for error in errors), *errors)
