"""Engines that ran when the stack was stopped run again when it is started."""

from collections.abc import Sequence

import msgspec

from flotilla.bus.files import write_whole
from flotilla.client.client import Flotilla, is_going
from flotilla.schemas.config import WORKER_TEMPLATE
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.ids import InstanceId
from flotilla.schemas.states import DesiredState
from flotilla.show.progress import Narrator
from flotilla.state.folder import StateFolder


class _Wanted(msgspec.Struct, frozen=True):
    engines: tuple[InstanceId, ...]


def keep_wanted(folder: StateFolder, going: Sequence[EngineView]) -> None:
    """Notes which of these are wanted to run, before they are stopped because the stack ends. Whoever stopped one before wants it no more."""
    wanted = tuple(
        each.instance_id
        for each in going
        if each.desired == DesiredState.RUNNING and each.config.template != WORKER_TEMPLATE
    )
    if wanted:
        write_whole(folder.wanted_file, msgspec.json.encode(_Wanted(wanted)))
    else:
        folder.wanted_file.unlink(missing_ok=True)


async def bring_back(folder: StateFolder, fleet: Flotilla, narrator: Narrator) -> None:
    """Starts the engines that were noted with their last configuration, and says of each what came of it: whoever trades money waits for a person
    to confirm that, and whoever is under a stop flag for that to be lifted. Asked once, so that what is not started is not wanted any more.
    """
    try:
        kept = folder.wanted_file.read_bytes()
    except FileNotFoundError:
        return
    try:
        wanted = msgspec.json.decode(kept, type=_Wanted).engines
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        narrator.warn(f"{folder.wanted_file} cannot be read ({error}): no engine is started")
        wanted = ()
    for name in wanted:
        await _bring_back(name, fleet, narrator)
    folder.wanted_file.unlink()


async def _bring_back(name: str, fleet: Flotilla, narrator: Narrator) -> None:
    try:
        if is_going(await fleet.engine(name)):
            return
        await fleet.restart_engine(name)
    except FaultError as error:
        how = f"flotilla engine restart {name}"
        if error.fault.code is FaultCode.CONFIRMATION_REQUIRED:
            how += " --confirm-live-trading"
        narrator.warn(
            f"engine {name} ran when the stack was stopped and does not now: {error.fault.message} (`{how}`)"
        )
    else:
        narrator.say(f"engine {name} starts again: it ran when the stack was stopped")
