"""How the orchestrator is set up, from FLOTILLA_* environment variables; the database's password stands in a file."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from flotilla import templates
from flotilla.schemas.states import OrphanPolicy

STRATEGY_MODULES: Final = "nautilus_trader.examples.strategies,engine_sidecar.strategies"

AUDIT_DAYS: Final = 400.0
"""A year, and a month to look back at it."""
_STORES: Final = ("FLOTILLA_NATS_STORE", "FLOTILLA_POSTGRES_STORE")


class OrchestratorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`dsn` says where PostgreSQL is, without a password; `catalog` and `templates` are folders that we read.

    FLOTILLA_TEMPLATES names folders of people's own, parted as in PATH; ours comes before them. FLOTILLA_STRATEGY_MODULES names the
    modules and packages that strategy classes of backtests may come from, parted by commas. FLOTILLA_NATS_STORE and
    FLOTILLA_POSTGRES_STORE are the folders of the two, where we can see them: the room on their disks is measured. FLOTILLA_AUDIT_DAYS
    is how long commands and refusals stay on record.
    """

    dsn: str
    password_file: Path | None
    catalog: Path
    templates: tuple[Path, ...]
    log_level: str
    orphan_policy: OrphanPolicy = OrphanPolicy.STOP
    orphan_grace_s: float = 60.0
    lease_ttl_s: float = 120.0
    stores: tuple[Path, ...] = ()
    strategy_modules: tuple[str, ...] = tuple(STRATEGY_MODULES.split(","))
    audit_days: float = AUDIT_DAYS

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
            templates=(Path(templates.__file__).parent, *_folders(env.get("FLOTILLA_TEMPLATES", ""))),
            log_level=env.get("FLOTILLA_LOG_LEVEL", "INFO"),
            orphan_policy=_policy(env, "FLOTILLA_ORPHAN_POLICY"),
            orphan_grace_s=_seconds(env, "FLOTILLA_ORPHAN_GRACE_S", default=60.0, least=0.0),
            lease_ttl_s=_seconds(env, "FLOTILLA_LEASE_TTL_S", default=120.0, least=5.0),
            stores=tuple(Path(env[name]) for name in _STORES if env.get(name)),
            audit_days=_number(env, "FLOTILLA_AUDIT_DAYS", default=AUDIT_DAYS, least=1.0, most=36_500.0),
            strategy_modules=_modules(env.get("FLOTILLA_STRATEGY_MODULES") or STRATEGY_MODULES),
        )

    def password(self) -> str | None:
        """The database's password, if there is one. Raises OSError when its file cannot be read."""
        return self.password_file.read_text().strip() if self.password_file else None


def _folders(paths: str) -> list[Path]:
    return [Path(path) for path in paths.split(os.pathsep) if path]


def _modules(names: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in found:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"FLOTILLA_STRATEGY_MODULES must name modules, parted by commas, not {name!r}")
    return found


def _policy(env: Mapping[str, str], name: str) -> OrphanPolicy:
    text = (env.get(name) or OrphanPolicy.STOP).strip().lower()
    try:
        return OrphanPolicy(text)
    except ValueError:
        raise ValueError(f"{name} must be one of {', '.join(OrphanPolicy)}, not {text!r}") from None


def _seconds(env: Mapping[str, str], name: str, *, default: float, least: float) -> float:
    return _number(env, name, default=default, least=least, most=86_400, unit="seconds")


def _number(
    env: Mapping[str, str], name: str, *, default: float, least: float, most: float, unit: str = "days"
) -> float:
    text = env.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ValueError(f"{name} must be a number of {unit} from {least:g} to {most:.0f}, not {text!r}")
    return number
