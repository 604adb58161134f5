"""How a service says that it is well: the bus's counterpart of /healthz, /readyz and /metrics."""

from datetime import datetime

import msgspec


class ReadHealth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks a service how it is."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`checks` has one entry per thing the service depends on, "ok" or what is wrong; ready means all are ok."""

    service: str
    version: str
    is_ready: bool
    started_at: datetime
    checks: dict[str, str] = {}
    metrics: dict[str, float] = {}
