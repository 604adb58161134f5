"""`python -m flotilla.services.notifier`: tells people what happens in the fleet, until SIGTERM."""

import asyncio
import sys

from flotilla.bus import lean, logs  # noqa: F401
from flotilla.bus.settings import BusSettings, settings_of
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.services.notifier.service import run
from flotilla.services.notifier.settings import NotifierSettings

log = logs.get_logger(__name__)


def main() -> None:
    """Ends with 1 when the bus cannot be had."""
    settings = settings_of(Actor.NOTIFIER, NotifierSettings.from_env)
    bus_settings = settings_of(Actor.NOTIFIER, lambda: BusSettings.from_env(Actor.NOTIFIER))
    logs.configure(Actor.NOTIFIER, settings.log_level)
    try:
        asyncio.run(run(settings, bus_settings))
    except* FaultError as group:
        log.error("notifier ends", error=", ".join(map(str, group.exceptions)))  # noqa: TRY400 - the text says it all
        sys.exit(1)


if __name__ == "__main__":
    main()
