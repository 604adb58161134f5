"""`python -m flotilla.services.supervisor`."""

import asyncio
import os
import resource
from contextlib import suppress

from flotilla.bus import lean, logs  # noqa: F401
from flotilla.bus.host import host
from flotilla.bus.settings import BusSettings, settings_of
from flotilla.schemas.contract import Actor
from flotilla.services.supervisor.service import supervisor
from flotilla.services.supervisor.settings import SupervisorSettings


def main() -> None:
    """Runs until SIGTERM; the engines run on."""
    _keep_what_was_inherited()
    leave_no_core()
    settings = settings_of(Actor.SUPERVISOR, SupervisorSettings.from_env)
    logs.configure(Actor.SUPERVISOR, settings.log_level)
    bus_settings = settings_of(Actor.SUPERVISOR, lambda: BusSettings.from_env(Actor.SUPERVISOR))
    asyncio.run(host(Actor.SUPERVISOR, bus_settings, supervisor(settings), metadata={"host": settings.host}))


def leave_no_core() -> None:
    """Of us and of the local engines that we start: the memory of a process that crashed holds secrets. Containers have a limit too."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _keep_what_was_inherited() -> None:
    """From engines: they outlive us, and would hold the lock of a stack that is gone."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:
            with suppress(OSError):  # the listing's own
                os.set_inheritable(fd, False)


if __name__ == "__main__":
    main()
