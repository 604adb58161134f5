"""`python -m flotilla.services.notifier.migrate`: makes the schema `notifier`, brings it to the present, and makes the notifier's login.

Run before a notifier starts, with FLOTILLA_POSTGRES_DSN and FLOTILLA_POSTGRES_PASSWORD_FILE of a superuser, or of a login that may
create roles and owns the database. The notifier is then started as `flotilla_notifier`.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from flotilla.bus import logs
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.services.notifier.adapters.postgres import hand_over
from flotilla.services.notifier.settings import NotifierSettings
from flotilla.services.postgres.reaching import NotHandedOver


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m flotilla.services.notifier.migrate", description=__doc__)
    parser.add_argument(
        "--login-password-file",
        type=Path,
        help="file with the password that `flotilla_notifier` gets; without it keeps the one it has",
    )
    chosen = parser.parse_args().login_password_file
    try:
        settings = NotifierSettings.from_env()
        logs.configure(Actor.NOTIFIER, settings.log_level)
        login_password = chosen.read_text().strip() if chosen else None
        asyncio.run(hand_over(settings.dsn, settings.password(), login_password=login_password))
    except (OSError, ValueError, FaultError, NotHandedOver) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
