"""`python -m flotilla.services.orchestrator.migrate`: has the record owned by a role that nobody logs in as, and brings it to the present.

Run before an orchestrator starts, with FLOTILLA_POSTGRES_DSN and FLOTILLA_POSTGRES_PASSWORD_FILE of a superuser, or of a login that
may create roles and owns the database; FLOTILLA_AUDIT_DAYS says how old an entry of the audit must be to be deleted. The orchestrator is then started as `flotilla_orchestrator`, which may not change the audit.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from flotilla.bus import logs
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.adapters.owning import hand_over
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.postgres.reaching import NotHandedOver


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m flotilla.services.orchestrator.migrate", description=__doc__
    )
    parser.add_argument(
        "--login-password-file",
        type=Path,
        help="file with the password that `flotilla_orchestrator` gets; without it keeps the one it has",
    )
    given = parser.parse_args()
    try:
        settings = OrchestratorSettings.from_env()
        logs.configure(Actor.ORCHESTRATOR, settings.log_level)
        chosen = given.login_password_file
        login_password = chosen.read_text().strip() if chosen else None
        asyncio.run(
            hand_over(
                settings.dsn,
                settings.password(),
                login_password=login_password,
                keep_days=settings.audit_days,
            )
        )
    except (OSError, ValueError, FaultError, NotHandedOver) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
