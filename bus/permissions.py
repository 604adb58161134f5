"""What each service, engine and worker may publish and subscribe to, from the contract's rows."""

from typing import Any, Final

from flotilla.bus.accounts import OBSERVED, QUEUE
from flotilla.bus.settings import engine_name, renewal_name
from flotilla.schemas.contract import (
    CALLS,
    EMERGENCY_TIMEOUT_S,
    FEEDS,
    FLEET_STOP_ORDER,
    HEALTH,
    PACKAGE_CHANGES,
    PACKAGE_FETCH,
    RENEW_CREDENTIAL,
    TRIAL_CLAIM,
    WATCHED_FEEDS,
    Actor,
    Durability,
    on_host,
)
from flotilla.schemas.subjects import wildcard

RESPONSE_TTL_S: Final = round(EMERGENCY_TIMEOUT_S) + 30
"""The slowest answers are those of an emergency stop."""
_JETSTREAM: Final = ("$JS.API.>", "$JS.ACK.>")
_DISCOVERY: Final = ("$SRV.PING.>", "$SRV.INFO.>", "$SRV.STATS.>", "$SRV.PING", "$SRV.INFO", "$SRV.STATS")
_STOPS: Final = f"$JS.API.STREAM.MSG.GET.{Durability.STOPS}"
_EVENTS: Final = tuple(
    f"$JS.API.{asks}.{Durability.EVENTS}" for asks in ("STREAM.MSG.GET", "STREAM.INFO", "DIRECT.GET")
)
"""To read what engines and the fleet said; not to make or change a consumer, since the orchestrator's could be changed then."""
_LISTENERS: Final = (Actor.ORCHESTRATOR, Actor.GATEWAY)
_OWN_PLACE: Final = (
    f"$JS.API.CONSUMER.CREATE.{Durability.EVENTS}.{Actor.NOTIFIER}",
    f"$JS.API.CONSUMER.DURABLE.CREATE.{Durability.EVENTS}.{Actor.NOTIFIER}",
    f"$JS.API.CONSUMER.INFO.{Durability.EVENTS}.{Actor.NOTIFIER}",
    f"$JS.API.CONSUMER.MSG.NEXT.{Durability.EVENTS}.{Actor.NOTIFIER}",
    f"$JS.ACK.{Durability.EVENTS}.{Actor.NOTIFIER}.>",
)
"""The notifier's place in the stream of events, and nobody else's."""
_NAME: Final = "{{name()}}"
_TAG: Final = "{{tag(session)}}"
OWN_INBOX: Final = f"_INBOX_{engine_name(_NAME, _TAG)}.>"
OLDER_INBOX: Final = "_INBOX_engine_{{name()}}.>"
"""Of engines that a release with one account started."""


def actor_permissions(actor: Actor, *, pushes: bool = False) -> dict[str, Any]:
    """The publish and subscribe lists of one service; an operator may do everything. `pushes`: packages, too."""
    if actor == Actor.OPERATOR:
        return {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}
    said = [subject for call in CALLS if actor in call.callers for subject in _subjects(call)]
    said += [wildcard(feed.subject) for feed in FEEDS if feed.owner == actor]
    heard = [subject for call in CALLS if call.owner == actor for subject in _subjects(call)]
    if actor in _LISTENERS:
        heard += [wildcard(feed.subject) for feed in FEEDS]
    if actor == Actor.ORCHESTRATOR:
        said += _JETSTREAM
    if actor == Actor.NOTIFIER:
        said += _OWN_PLACE
        heard += [wildcard(feed.subject) for feed in WATCHED_FEEDS]
    if actor == Actor.GATEWAY:
        said += [FLEET_STOP_ORDER.subject, *_EVENTS]
    if pushes:
        said += [subject for call in PACKAGE_CHANGES for subject in _subjects(call)]
    if actor == Actor.SUPERVISOR:
        said.append(_STOPS)
    return _allow(said, [*heard, *_DISCOVERY, f"{inbox(actor)}.>"])


def worker_permissions(own_inbox: str = OWN_INBOX) -> dict[str, Any]:
    """The template of a worker's permissions: those of an engine, and to take trials from the queue."""
    return engine_permissions(own_inbox, wildcard(TRIAL_CLAIM.subject), *QUEUE)


def engine_permissions(own_inbox: str = OWN_INBOX, *more: str) -> dict[str, Any]:
    """The template of an engine's permissions: its own subjects, and what `more` it may say.

    `{{name()}}` is the instance id in its credential, `{{tag(session)}}` the session.
    """
    own = "engine.{{name()}}"
    said = [f"{own}.{feed.subject.rsplit('.', 1)[1]}" for feed in FEEDS if feed.owner == Actor.SIDECAR]
    heard = [f"{own}.command.*", own_inbox]
    return _allow([*said, wildcard(PACKAGE_FETCH.subject), *more], heard)


def renewal_permissions() -> dict[str, Any]:
    """The template of a session's second credential: it asks the supervisor of its host for a renewal, and nothing else."""
    return _allow([wildcard(on_host(RENEW_CREDENTIAL))], [f"_INBOX_{renewal_name(_NAME, _TAG)}.>"])


def observer_permissions() -> dict[str, Any]:
    """The template of an observer's permissions: it hears feeds, and says nothing.

    A queue group would take messages from others of its name in any account.
    """
    return {"pub": {"deny": [">"]}, "sub": {"allow": sorted(OBSERVED), "deny": ["> >"]}}


def inbox(name: str) -> str:
    """The inbox prefix of a connection's name: nobody else may subscribe below it."""
    return f"_INBOX_{name}"


def _allow(said: list[str], heard: list[str]) -> dict[str, Any]:
    return {
        "pub": {"allow": sorted(set(said))},
        "sub": {"allow": sorted(set(heard))},
        # Answers go to whatever inbox asked, once each.
        "resp": {"max": 1, "ttl": RESPONSE_TTL_S * 1_000_000_000},
    }


def _subjects(call: Any) -> list[str]:
    plain = wildcard(call.subject)
    is_host_call = call.owner == Actor.SUPERVISOR and call is not HEALTH[Actor.SUPERVISOR]
    return [plain, wildcard(on_host(call))] if is_host_call else [plain]
