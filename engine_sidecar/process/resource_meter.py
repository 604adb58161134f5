"""Chooses the counters of a session: its container's, or those of its own processes where there is no container."""

import os
from collections.abc import Callable, Iterable

from flotilla.engine_sidecar.process.cgroup import CgroupMeter
from flotilla.engine_sidecar.process.ports import Meter
from flotilla.engine_sidecar.process.processes import ProcessMeter
from flotilla.schemas.session import Launch


def session_meter(launch: Launch, pids: Callable[[], Iterable[int]]) -> Meter:
    """The meter that fits; `pids` are the session's processes besides ourselves."""
    group = CgroupMeter()
    if not launch.enforce_memory and group.read() is not None:
        return group
    return ProcessMeter(lambda: (os.getpid(), *pids()), group.oom_kills)
