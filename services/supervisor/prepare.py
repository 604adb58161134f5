"""`python -m flotilla.services.supervisor.prepare [--look]`: prints as JSON whether engines can run in Docker here.

It makes the engines' network, unless it shall only look.
"""

import asyncio
import sys

import msgspec

from flotilla.services.supervisor.settings import SupervisorSettings
from flotilla.services.supervisor.wiring import Readiness, docker_runtime, prepare


async def look(settings: SupervisorSettings, *, look_only: bool = False) -> Readiness:
    """Asks Docker, and lets go of it."""
    runtime = docker_runtime(settings)
    try:
        return await prepare(runtime, settings.image, look_only=look_only)
    finally:
        await runtime.close()


def main() -> None:
    """Prints {docker, detail, image, image_id, gateway} and exits 0, whatever they are."""
    look_only = sys.argv[1:] == ["--look"]
    readiness = asyncio.run(look(SupervisorSettings.from_env(), look_only=look_only))
    sys.stdout.write(msgspec.json.encode(readiness).decode() + "\n")


if __name__ == "__main__":
    main()
