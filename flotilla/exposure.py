"""What the record says still runs after an emergency stop: engines on hosts that no longer answer, which no receipt can tell of."""

from typing import Final

import msgspec

from bus.bus import Bus
from schemas.contract import ENGINE_LIST
from schemas.engine import EngineView, ListEngines
from schemas.fault import FaultError
from schemas.session import FleetStopped

_TIMEOUT_S: Final = 2.0
"""Less than hosts are looked for, so that a dead orchestrator delays nothing."""


async def active_engines(bus: Bus) -> tuple[EngineView, ...]:
    """The engines whose session has not ended, as far as the orchestrator says so in time; none when it does not."""
    request = ListEngines(active=True, limit=1000)
    try:
        return (await bus.call(ENGINE_LIST, request, timeout_s=_TIMEOUT_S)).engines
    except FaultError:
        # It is not needed for a stop; what it would add is said by nobody then.
        return ()


def with_unseen(
    done: FleetStopped,
    before: tuple[EngineView, ...],
    after: tuple[EngineView, ...],
    instance_id: str | None,
) -> FleetStopped:
    """The stop, with the hosts among `unreached` on which a session ran before and after it, and that gave no receipt for it."""
    told = {one.session_id for one in done.receipts}
    left = {one.session.session_id for one in after if one.session}
    unseen = {
        one.session.host
        for one in before
        if one.session
        and one.session.host
        and one.session.session_id in left - told
        and instance_id in (None, one.instance_id)
    }
    return msgspec.structs.replace(done, unreached=tuple(sorted(unseen | set(done.unreached))))
