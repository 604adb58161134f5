"""What a token with labels may see and command: engines that carry all of them, and nothing that belongs to no engine of theirs.

Here, and nowhere else, a request is held against the labels of its token, by what its route says it is about. An engine of other labels
is answered as one that does not exist. The orchestrator holds a command against them once more, on the record that it changes.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from flotilla.schemas.access import TokenRecord
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.decoding import convert
from flotilla.schemas.engine import ListEngines
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault
from flotilla.schemas.labels import Labels, matches, text_of
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.known_engines import ambiguous, unknown_engine
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.scope import About

_AWAY: Final = (FaultCode.UNAVAILABLE, FaultCode.INTERNAL)
_PATIENCE_S: Final = 2.0
"""How long the orchestrator may take to say whose an engine is: an emergency stop may be waiting for it."""


async def narrowed(gateway: Gateway, about: About, token: TokenRecord, ask: Ask[Any, Any]) -> Ask[Any, Any]:
    """The request as the token may make it: with the engine meant, and with its labels in what it starts or stores.

    Raises FaultError: `forbidden` for what is about the whole fleet and for other labels, `not_found` for an engine that does not carry
    them, `conflict` for a new one whose id is taken, `ambiguous_engine` when several that carry them are active and none is named.
    """
    if not token.labels or about in (About.SHARED, About.ENGINES):
        return ask
    if about is About.FLEET:
        raise fault(FaultCode.FORBIDDEN, f"this is about more than {_engines_of(token)}")
    if (config := getattr(ask.body, "config", None)) is not None:
        labelled = _labelled(config, token)
        await _check_free(gateway, token, config.instance_id)
        return replace(ask, body=msgspec.structs.replace(ask.body, config=labelled))
    if (instance_id := _named(ask)) is not None:
        if not await _is_within(gateway, token, instance_id):
            raise unknown_engine(instance_id)
        return ask
    if about is About.ENGINE_OR_FLEET:
        raise fault(FaultCode.FORBIDDEN, f"without instance_id this is about more than {_engines_of(token)}")
    return await _with_active(gateway, token, ask)


def scope_of(ask: Ask[Any, Any]) -> Labels:
    """The labels that an engine must carry for whoever asks; none: every engine is in sight."""
    return ask.token.labels if ask.token is not None else {}


def both(scope: Mapping[str, str], wanted: Mapping[str, str]) -> Labels | None:
    """Labels that are in scope and asked for; None when nothing can carry both."""
    if any(scope.get(key, value) != value for key, value in wanted.items()):
        return None
    return {**wanted, **scope}


def engine_of(ask: Ask[Any, Any]) -> str | None:
    """The engine that a request names; None where it names none."""
    config = getattr(ask.body, "config", None)
    return _named(ask) or (config.instance_id if config is not None else None)


def _labelled(config: EngineConfig, token: TokenRecord) -> EngineConfig:
    for key, value in token.labels.items():
        if (given := config.labels.get(key, value)) != value:
            why = f"{key}={given} is not {key}={value}, which {_engines_of(token)} carry"
            raise fault(FaultCode.FORBIDDEN, f"config.labels: {why}", FieldError("config.labels", why))
    labels: Labels = convert({**config.labels, **token.labels}, Labels, "config.labels")
    return msgspec.structs.replace(config, labels=labels)


def _named(ask: Ask[Any, Any]) -> str | None:
    places = (
        ask.path.get("instance_id"),
        getattr(ask.body, "instance_id", None),
        getattr(ask.query, "instance_id", None),
    )
    return next((place for place in places if place is not None), None)


async def _check_free(gateway: Gateway, token: TokenRecord, instance_id: str) -> None:
    """An id may be new, or that of an engine in scope."""
    try:
        is_within = await _is_within(gateway, token, instance_id)
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            raise
        return
    if not is_within:
        raise fault(FaultCode.CONFLICT, f"the id {instance_id} is not free; choose another")


async def _is_within(gateway: Gateway, token: TokenRecord, instance_id: str) -> bool:
    """Raises FaultError `not_found` for an engine that nobody knows. An emergency stop is not to wait for an orchestrator that is away."""
    try:
        found = await gateway.reads.one(instance_id, timeout_s=_PATIENCE_S)
    except FaultError as error:
        if error.fault.code in _AWAY and gateway.labels.has(instance_id, token.labels):
            return True
        raise
    return matches(found.view.config.labels, token.labels)


async def _with_active(gateway: Gateway, token: TokenRecord, ask: Ask[Any, Any]) -> Ask[Any, Any]:
    """With the engine that is active, of those in scope; else the one that ran last. As it is when there is none."""
    active = await _list(gateway, token, active=True, limit=1000)
    if len(active) > 1:
        raise ambiguous(sorted(active))
    found = active or await _list(gateway, token, active=False, limit=1)
    if not found:
        raise fault(FaultCode.NOT_FOUND, f"there are no {_engines_of(token)}")
    return _with_id(ask, found[0])


async def _list(gateway: Gateway, token: TokenRecord, *, active: bool, limit: int) -> list[str]:
    request = ListEngines(active=active, limit=limit, labels=token.labels)
    return [shown.view.instance_id for shown in (await gateway.reads.page(request)).engines]


def _with_id(ask: Ask[Any, Any], instance_id: str) -> Ask[Any, Any]:
    if hasattr(ask.body, "instance_id"):
        return replace(ask, body=msgspec.structs.replace(ask.body, instance_id=instance_id))
    return replace(ask, query=msgspec.structs.replace(ask.query, instance_id=instance_id))


def _engines_of(token: TokenRecord) -> str:
    return f"the engines of {token.name}, labelled {text_of(token.labels)}"
