"""The restart that nobody asked for: another session like the one that failed. restarts.py says whether and when."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.engines.core.decision import Decision, begin, recorded
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.placement import HostLoad, has_place
from flotilla.services.orchestrator.engines.core.restarts import due, recent, restarted


def start_again(
    engine: Engine, spec: SessionSpec, session_id: str, hosts: Sequence[HostLoad], now: datetime
) -> Decision:
    """The restart that is due, if it still is: another session of `spec`, what the failed one was told to run.

    It is on record with the count of restarts in one transaction, so that none is forgotten and none made twice.
    """
    is_same = engine.session is not None and engine.session.session_id == spec.session_id
    # While no host can run it, it waits: a try without one would only use up the budget.
    if not due(engine, now) or not is_same or not has_place(spec, hosts):
        return Decision(engine=engine, is_change=False)
    made = (*recent(engine, now), now)
    spec = msgspec.structs.replace(spec, session_id=session_id, generation=engine.generation + 1)
    begun = begin(msgspec.structs.replace(engine, restarts=made), spec, hosts, now)
    alerts = (restarted(begun.engine, engine.restart_policy, now),) if engine.restart_policy else ()
    return recorded(engine, msgspec.structs.replace(begun, effects=(*begun.effects, *alerts)), now)
