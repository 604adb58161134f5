"""How the orchestrator is set up, from FLOTILLA_* environment variables; the database's password stands in a file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from flotilla import templates
from flotilla.schemas.environment import (
    AUDIT_DAYS,
    CATALOG,
    LEASE_TTL_S,
    LOG_LEVEL,
    NATS_STORE,
    ORPHAN_GRACE_S,
    ORPHAN_POLICY,
    POSTGRES_DSN,
    POSTGRES_PASSWORD_FILE,
    POSTGRES_STORE,
    RECORD_BUDGET,
    RETENTION_EVENTS,
    RETENTION_LEDGERS,
    RETENTION_RESULTS,
    RETENTION_SESSIONS,
    STRATEGY_MODULES,
    TEMPLATES,
    state_folder,
)
from flotilla.schemas.states import OrphanPolicy


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How many days of each kind stay on record, None being all, and how large the record may grow."""

    events_days: float | None
    ledgers_days: float | None
    sessions_days: float | None
    results_days: float | None
    budget_bytes: int


class OrchestratorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`dsn` says where PostgreSQL is, without a password; `catalog` and `templates` are folders that we read, ours first.

    `strategy_modules` are the modules and packages that strategy classes may come from; `stores` the folders of
    JetStream and PostgreSQL, where we can see them. `audit_days` is how long commands and refusals stay on record.
    """

    dsn: str
    password_file: Path | None
    catalog: Path
    templates: tuple[Path, ...]
    log_level: str
    orphan_policy: OrphanPolicy
    orphan_grace_s: float
    lease_ttl_s: float
    stores: tuple[Path, ...]
    strategy_modules: tuple[str, ...]
    audit_days: float
    retention: Retention

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        stores = (NATS_STORE.given(env), POSTGRES_STORE.given(env))
        return cls(
            dsn=POSTGRES_DSN.read(env),
            password_file=POSTGRES_PASSWORD_FILE.given(env),
            catalog=Path(CATALOG.given(env) or state_folder(env) / "catalog"),
            templates=(Path(templates.__file__).parent, *(TEMPLATES.given(env) or ())),
            log_level=LOG_LEVEL.read(env),
            orphan_policy=ORPHAN_POLICY.read(env),
            orphan_grace_s=ORPHAN_GRACE_S.read(env),
            lease_ttl_s=LEASE_TTL_S.read(env),
            stores=tuple(store for store in stores if store),
            strategy_modules=STRATEGY_MODULES.read(env),
            audit_days=AUDIT_DAYS.read(env),
            retention=Retention(
                events_days=RETENTION_EVENTS.read(env),
                ledgers_days=RETENTION_LEDGERS.read(env),
                sessions_days=RETENTION_SESSIONS.read(env),
                results_days=RETENTION_RESULTS.read(env),
                budget_bytes=RECORD_BUDGET.read(env),
            ),
        )

    def password(self) -> str | None:
        """The database's password, if there is one. Raises OSError when its file cannot be read."""
        return self.password_file.read_text().strip() if self.password_file else None
