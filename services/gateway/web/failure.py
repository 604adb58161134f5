"""The body of every answer that is not 2xx."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flotilla.schemas.fault import FieldError


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every answer that is not 2xx. `detail` and `message` are the same text; `error_id` finds the log line."""

    success: Annotated[bool, Meta(description="Always false.")]
    detail: str
    message: str
    code: str
    error_id: str
    errors: tuple[FieldError, ...] = ()
    state: str | UnsetType = UNSET
    data: Any = UNSET
