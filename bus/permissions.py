"""Who may say and hear what, derived from the contract. Pure: nothing here touches a key or a server."""

from typing import Any, Final

from flotilla.schemas.contract import (
    CALLS,
    EMERGENCY_TIMEOUT_S,
    FEEDS,
    FLEET_STOP_ORDER,
    HEALTH,
    TRIAL_CLAIM,
    TRIAL_CONSUMER,
    Actor,
    Durability,
    on_host,
)
from flotilla.schemas.subjects import wildcard

RESPONSE_TTL_S: Final = round(EMERGENCY_TIMEOUT_S) + 30
"""The slowest answers are those of an emergency stop."""
_JETSTREAM: Final = ("$JS.API.>", "$JS.ACK.>")
_DISCOVERY: Final = ("$SRV.PING.>", "$SRV.INFO.>", "$SRV.STATS.>", "$SRV.PING", "$SRV.INFO", "$SRV.STATS")
_QUEUE: Final = (
    f"$JS.API.CONSUMER.MSG.NEXT.{Durability.TRIALS}.{TRIAL_CONSUMER}",
    f"$JS.ACK.{Durability.TRIALS}.{TRIAL_CONSUMER}.>",
)
_STOPS: Final = f"$JS.API.STREAM.MSG.GET.{Durability.STOPS}"
_LISTENERS: Final = (Actor.ORCHESTRATOR, Actor.GATEWAY)


def actor_permissions(actor: Actor) -> dict[str, Any]:
    """The publish and subscribe lists of one service; an operator may do everything."""
    if actor == Actor.OPERATOR:
        return {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}
    said = [subject for call in CALLS if actor in call.callers for subject in _subjects(call)]
    said += [wildcard(feed.subject) for feed in FEEDS if feed.owner == actor]
    heard = [subject for call in CALLS if call.owner == actor for subject in _subjects(call)]
    if actor in _LISTENERS:
        heard += [wildcard(feed.subject) for feed in FEEDS]
    if actor == Actor.ORCHESTRATOR:
        said += _JETSTREAM
    if actor == Actor.GATEWAY:
        said.append(FLEET_STOP_ORDER.subject)
    if actor == Actor.SUPERVISOR:
        said.append(_STOPS)
    return _allow(said, [*heard, *_DISCOVERY, f"{inbox(actor)}.>"])


def worker_permissions() -> dict[str, Any]:
    """The template of a worker's permissions: those of an engine, and to take trials from the queue."""
    return _engine_permissions(TRIAL_CLAIM.subject, *_QUEUE)


def engine_permissions() -> dict[str, Any]:
    """The template of an engine's permissions: its own subjects only. `{{name()}}` is the instance id in its credential."""
    return _engine_permissions()


def _engine_permissions(*more: str) -> dict[str, Any]:
    own = "engine.{{name()}}"
    said = [f"{own}.{feed.subject.rsplit('.', 1)[1]}" for feed in FEEDS if feed.owner == Actor.SIDECAR]
    heard = [f"{own}.command.*", "_INBOX_engine_{{name()}}.>"]
    return _allow([*said, *more], heard)


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
