"""How commands wait for an engine: with a line that tells its state, when somebody is looking."""

from collections.abc import Collection

from flotilla.client.client import Flotilla
from flotilla.schemas.engine import EngineAccepted, EngineView
from flotilla.schemas.states import RunState
from flotilla.show.output import console


def once_up(accepted: EngineAccepted) -> Collection[RunState]:
    """What a start is waited for: that the engine trades, or with a brake on that it could but for that."""
    return (RunState.TRADING,) if accepted.brake is None else (RunState.TRADING, RunState.IMPAIRED)


async def wait_for(
    fleet: Flotilla, accepted: EngineAccepted, states: Collection[RunState], *, timeout_s: float
) -> EngineView:
    """The engine in one of `states`. Raises as Flotilla.wait_for does."""
    with console(stderr=True).status(f"{accepted.message} …"):
        return await fleet.wait_for(
            accepted.instance_id, states, session_id=accepted.session_id, timeout_s=timeout_s
        )
