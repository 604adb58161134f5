"""The host that this command runs on, when a supervisor of this stack owns it: its engines are reached without the bus."""

import time
from pathlib import Path

import msgspec

from flotilla.bus.fleet_stop import OwnHost
from flotilla.schemas.session import AroundStopped, EmergencyStop, OwnPlace
from flotilla.state.programs import output, python


def own_host(folder: Path) -> OwnHost | None:
    """The host whose supervisor keeps its state in this folder; None when none ever did, or the folder is not ours to read."""
    try:
        place = msgspec.json.decode((folder / "host.json").read_bytes(), type=OwnPlace)
    except (OSError, ValueError):
        return None

    async def stop(request: EmergencyStop) -> AroundStopped:
        asked = msgspec.json.encode(request).decode()
        # The clock that all processes of a machine share: starting one is part of the time that is left.
        until = repr(time.monotonic() + request.deadline_s)
        text = await output(python("-m", "flotilla.services.supervisor.around", str(folder), asked, until))
        return msgspec.json.decode(text, type=AroundStopped)

    return OwnHost(place.host, stop)
