"""`python -m services.supervisor.prepare`: makes the engines' network and prints as JSON whether they can run in Docker here."""

import asyncio
import sys

import msgspec

from services.supervisor.assembly import Readiness, docker_runtime, prepare
from services.supervisor.settings import SupervisorSettings


async def look(settings: SupervisorSettings) -> Readiness:
    """Asks Docker, and lets go of it."""
    runtime = docker_runtime(settings)
    try:
        return await prepare(runtime, settings.image)
    finally:
        await runtime.close()


def main() -> None:
    """Prints {docker, detail, image, image_id, gateway} and exits 0, whatever they are."""
    readiness = asyncio.run(look(SupervisorSettings.from_env()))
    sys.stdout.write(msgspec.json.encode(readiness).decode() + "\n")


if __name__ == "__main__":
    main()
