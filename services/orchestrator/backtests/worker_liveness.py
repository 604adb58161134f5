"""Whether the workers that hold trials can still be running them, by what is known of their sessions."""

from flotilla.services.orchestrator.backtests.core.model import Claim
from flotilla.services.orchestrator.engines.core.fleet import Fleet


class WorkerLiveness:
    """Workers are engines: the end of one's session is the end of its processes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def is_over(self, claim: Claim) -> bool:
        """True when the session that made the claim has surely ended."""
        engine = self._fleet.get(claim.worker)
        session = engine.session if engine else None
        if session is None or session.is_given_up:
            return False
        return session.session_id != claim.session_id or session.is_over
