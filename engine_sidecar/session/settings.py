"""The sidecar's own limits, from FLOTILLA_* environment variables. All else comes with the launch line."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what is kept while the bus is away, and where the container's health check looks."""

    heartbeat_file: Path
    queue_events: int = 100_000
    queue_bytes: int = 96 << 20
    log_lines: int = 10_000
    log_bytes: int = 4 << 20
    flush_s: float = 120.0

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """From FLOTILLA_HEARTBEAT_FILE, FLOTILLA_QUEUE_EVENTS and FLOTILLA_FLUSH_S. Raises ValueError that names the variable."""
        default = Path(env.get("TMPDIR") or tempfile.gettempdir()) / "heartbeat"
        return cls(
            heartbeat_file=Path(env.get("FLOTILLA_HEARTBEAT_FILE") or default),
            queue_events=_number(int, env, "FLOTILLA_QUEUE_EVENTS", 100_000),
            flush_s=_number(float, env, "FLOTILLA_FLUSH_S", 120.0),
        )


def _number[N: (int, float)](kind: type[N], env: Mapping[str, str], name: str, default: N) -> N:
    text = env.get(name, "")
    try:
        return kind(text) if text else default
    except ValueError:
        raise ValueError(f"{name} {text!r} must be a number") from None
