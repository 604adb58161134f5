"""How the notifier is set up, from FLOTILLA_* environment variables; addresses stand in the secret store, never here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from flotilla.schemas.environment import (
    ALIVE_S,
    ALIVE_SECRET,
    LOG_LEVEL,
    POSTGRES_DSN,
    POSTGRES_PASSWORD_FILE,
    SECRETS,
    SECRETS_KEY_FILE,
    state_folder,
)


class NotifierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`dsn` says where PostgreSQL is, without a password; `secrets` and `secrets_key_file` are the fleet's secret store.

    `alive_secret` names the secret with the address that is called every `alive_s` seconds; null calls none.
    """

    dsn: str
    password_file: Path | None
    secrets: Path
    secrets_key_file: Path
    alive_secret: str | None
    alive_s: float
    log_level: str

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        state = state_folder(env)
        return cls(
            dsn=POSTGRES_DSN.read(env),
            password_file=POSTGRES_PASSWORD_FILE.given(env),
            secrets=SECRETS.given(env) or state / "secrets",
            secrets_key_file=SECRETS_KEY_FILE.given(env) or state / "keys/secrets.key",
            alive_secret=ALIVE_SECRET.given(env),
            alive_s=ALIVE_S.read(env),
            log_level=LOG_LEVEL.read(env),
        )

    def password(self) -> str | None:
        """The database's password, if there is one. Raises OSError when its file cannot be read."""
        return self.password_file.read_text().strip() if self.password_file else None
