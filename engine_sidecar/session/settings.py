"""The sidecar's own limits, from FLOTILLA_* environment variables. All else comes with the launch line."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from flotilla.schemas.environment import FLUSH_S, HEARTBEAT_FILE, QUEUE_EVENTS, WHEELS_FOLDER


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what is kept while the bus is away, where the container's health check looks, and where wheels are unpacked."""

    heartbeat_file: Path
    queue_events: int
    flush_s: float
    wheels_folder: Path | None = None
    queue_bytes: int = 96 << 20
    log_lines: int = 10_000
    log_bytes: int = 4 << 20

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        folder = Path(env.get("TMPDIR") or tempfile.gettempdir())
        return cls(
            heartbeat_file=HEARTBEAT_FILE.given(env) or folder / "heartbeat",
            queue_events=QUEUE_EVENTS.read(env),
            flush_s=FLUSH_S.read(env),
            wheels_folder=WHEELS_FOLDER.given(env),
        )
