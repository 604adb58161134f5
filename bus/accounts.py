"""What the accounts of a fleet may say to one another: services live in one, engines in another, each observer in one of its own.

What an engine says reaches the fleet by what the two exchange and by nothing else. Calls and durable feeds cross as services: the
server replaces the reply subject, so that it cannot be somebody else's, and tells the owner of a call who asked. Lossy feeds cross as
streams: nobody answers them, and a message stays as small as it was (ADR 29). Nothing comes out of an observer's account (ADR 32).
"""

from typing import Any, Final

from flotilla.schemas.contract import (
    FEEDS,
    OBSERVED_FEEDS,
    PACKAGE_FETCH,
    RENEW_CREDENTIAL,
    TRIAL_CLAIM,
    TRIAL_CONSUMER,
    Actor,
    Durability,
    on_host,
)
from flotilla.schemas.subjects import wildcard

COMMANDS: Final = "engine.*.command.*"
QUEUE: Final = (
    f"$JS.API.CONSUMER.MSG.NEXT.{Durability.TRIALS}.{TRIAL_CONSUMER}",
    f"$JS.ACK.{Durability.TRIALS}.{TRIAL_CONSUMER}.>",
)
"""How workers take trials."""
CALLED: Final = tuple(map(wildcard, (TRIAL_CLAIM.subject, PACKAGE_FETCH.subject, on_host(RENEW_CREDENTIAL))))
"""What engines' account may ask of the fleet: a supervisor's call is for the host that was named."""
_SAID: Final = tuple(feed for feed in FEEDS if feed.owner == Actor.SIDECAR)
_KEPT: Final = tuple(wildcard(feed.subject) for feed in _SAID if feed.durability != Durability.LOSSY)
_LOSSY: Final = tuple(wildcard(feed.subject) for feed in _SAID if feed.durability == Durability.LOSSY)
_OF_ENGINES: Final = tuple(wildcard(feed.subject) for feed in OBSERVED_FEEDS if feed.owner == Actor.SIDECAR)
_OF_FLEET: Final = tuple(wildcard(feed.subject) for feed in OBSERVED_FEEDS if feed.owner != Actor.SIDECAR)
OBSERVED: Final = (*_OF_ENGINES, *_OF_FLEET)
"""What observers hear."""


def fleet_exchange(engines: str) -> dict[str, Any]:
    """The imports and exports of the fleet's account; `engines` is the public key of the engines'."""
    return {
        "imports": [
            _named(COMMANDS, "service", account=engines, share=True),
            *(_named(subject, "stream", account=engines) for subject in _LOSSY),
        ],
        "exports": [
            *(_named(subject, "service") for subject in (*_KEPT, *CALLED)),
            # A pull for work is answered with the work, and with what says that there is none.
            *(_named(subject, "service", response_type="Stream") for subject in QUEUE),
            *(_named(subject, "stream") for subject in _OF_FLEET),
        ],
    }


def engines_exchange(fleet: str) -> dict[str, Any]:
    """The imports and exports of the engines' account; `fleet` is the public key of the fleet's."""
    return {
        "imports": [
            *(_named(subject, "service", account=fleet) for subject in (*_KEPT, *QUEUE)),
            *(_named(subject, "service", account=fleet, share=True) for subject in CALLED),
        ],
        "exports": [
            _named(COMMANDS, "service"),
            # Also what crosses as a service: it leaves the engines' account only once.
            *(_named(subject, "stream") for subject in sorted({*_LOSSY, *_OF_ENGINES})),
        ],
    }


def observer_exchange(fleet: str, engines: str) -> dict[str, Any]:
    """The imports of an observer's account, which exports nothing."""
    return {
        "imports": [
            *(_named(subject, "stream", account=engines) for subject in _OF_ENGINES),
            *(_named(subject, "stream", account=fleet) for subject in _OF_FLEET),
        ],
    }


def _named(subject: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": subject, "subject": subject, "type": kind, **more}
