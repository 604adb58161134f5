"""Tokens for tests, and what an observer may do with one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flotilla.bus.tokens import add_token
from flotilla.schemas.access import Role

OBSERVED: Final = {
    "status",
    "health",
    "engines",
    "engine",
    "engine_events",
    "engine_metrics",
    "engine_sessions",
    "stream",
    "fleet",
    "fleet_stream",
    "fleet_socket",
    "engine_history",
    "history_days",
    *(f"ledger_{name}" for name in ("orders", "fills", "positions", "accounts")),
    *(f"ledger_{name}_export" for name in ("orders", "fills", "positions", "accounts")),
    "metrics",
    "session",
    "sign_out",
}
"""The routes that an observer may use: all of them, for whoever adds one has to think of it."""


def create_token(path: Path, name: str, role: Role, **more: Any) -> str:
    """A token in a file, in place of the one that the name had."""
    token, _ = add_token(path, name, role, now=datetime.now(UTC), replace=True, **more)
    return token
