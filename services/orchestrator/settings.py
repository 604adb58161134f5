"""How the orchestrator is set up, from FLOTILLA_* environment variables; the database's password stands in a file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

import templates


class OrchestratorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`dsn` says where PostgreSQL is, without a password; `catalog` and `templates` are folders that we read."""

    dsn: str
    password_file: Path | None
    catalog: Path
    templates: Path
    log_level: str

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        state = Path(env.get("FLOTILLA_STATE") or Path(env.get("HOME", "/")) / ".local/state/flotilla")
        dsn = env.get("FLOTILLA_POSTGRES_DSN") or "postgresql://postgres@localhost/flotilla"
        if urlsplit(dsn).password:
            raise ValueError(
                "FLOTILLA_POSTGRES_DSN holds a password: put it in FLOTILLA_POSTGRES_PASSWORD_FILE"
            )
        password_file = env.get("FLOTILLA_POSTGRES_PASSWORD_FILE")
        return cls(
            dsn=dsn,
            password_file=Path(password_file) if password_file else None,
            catalog=Path(env.get("FLOTILLA_CATALOG") or state / "catalog"),
            templates=Path(env.get("FLOTILLA_TEMPLATES") or Path(templates.__file__).parent),
            log_level=env.get("FLOTILLA_LOG_LEVEL", "INFO"),
        )

    def password(self) -> str | None:
        """The database's password, if there is one. Raises OSError when its file cannot be read."""
        return self.password_file.read_text().strip() if self.password_file else None
