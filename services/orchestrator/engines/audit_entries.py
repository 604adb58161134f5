"""From a command that was answered, here or by a host, to what the audit keeps of it. Pure."""

from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.bus.blanking import blanked, blanked_text
from flotilla.bus.endpoint import Witnessed
from flotilla.schemas.audit import GatewayRefusal, HostCommand
from flotilla.schemas.contract import (
    EMERGENCY_STOP,
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    LIFT_STOP,
    TRIAL_CLAIM,
    Actor,
)
from flotilla.schemas.ids import is_id, new_request_id
from flotilla.schemas.session import StopOrder
from flotilla.schemas.telemetry import FleetAlert, Severity
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.engines.core.events import storable
from flotilla.services.orchestrator.ports import Command, Refusal

_ABOUT: Final = ("instance_id", "backtest_id", "study_id")
_LONGEST: Final = 2_000
_FROM_HOST: Final = b"null"


def refusal_of(seen: Witnessed, now: datetime) -> Refusal | None:
    """A command of a person's that was refused or failed; None for what was done, which is on record with its effect.

    Workers ask for trials all the time, and are told no just as often: that is no change that anybody wanted.
    """
    if seen.problem is None or seen.call is TRIAL_CLAIM:
        return None
    body = blanked(seen.body)
    said = msgspec.json.decode(body) if body is not None else {}
    request_id = said.get("request_id")
    return Refusal(
        request_id=storable(request_id)[:100] if isinstance(request_id, str) else new_request_id(),
        subject=seen.call.subject,
        instance_id=_about(said),
        created_at=now,
        code=seen.problem.code,
        message=storable(blanked_text(seen.problem.message, seen.body))[:_LONGEST],
        caller=seen.caller,
        body=body,
    )


def entry_of_host(told: HostCommand) -> Command | Refusal:
    """What a host did, or refused, when it was asked directly. One request to several hosts is an entry for each."""
    request_id = _request_id(told)
    about = storable(told.about or "all")[:100]
    body = msgspec.json.encode(told.body) if told.body is not None else None
    if told.code is not None:
        return Refusal(
            request_id=request_id,
            subject=told.subject,
            instance_id=about,
            created_at=told.at,
            code=told.code,
            message=storable(blanked_text(told.message))[:_LONGEST],
            caller=told.caller,
            host=told.host,
            body=body,
        )
    return Command(
        request_id=request_id,
        subject=told.subject,
        body_hash=b"",
        instance_id=about,
        reply=_FROM_HOST,
        created_at=told.at,
        caller=told.caller,
        host=told.host,
        body=body,
        message=storable(blanked_text(told.message))[:_LONGEST],
    )


def alert_of(told: HostCommand) -> RaiseAlert | None:
    """People hear of each emergency stop, and of each that is lifted, whoever asked for it. Our own are told of as a whole."""
    is_stop = told.subject == HOST_EMERGENCY_STOP.subject
    if told.caller.credential == Actor.ORCHESTRATOR or not (
        is_stop or told.subject == HOST_LIFT_STOP.subject
    ):
        return None
    code, text = _stop_text(told) if is_stop else _lift_text(told)
    alert = FleetAlert(
        at=told.at,
        severity=Severity.CRITICAL if is_stop else Severity.WARNING,
        code=code,
        message=f"host {told.host}: {text}: {told.message}",
        instance_id=told.about if told.about != "all" and is_id(told.about) else None,
        host=told.host,
    )
    return RaiseAlert(alert, f"{code}-{_request_id(told)}")


def entry_of_gateway(told: GatewayRefusal) -> Refusal:
    """Requests that the gateway turned away, which reached nobody else."""
    times = f" ({told.count} times)" if told.count > 1 else ""
    return Refusal(
        request_id=storable(told.request_id)[:100],
        subject=storable(told.subject)[:200],
        instance_id=storable(told.about)[:100],
        created_at=told.at,
        code=told.code,
        message=f"{storable(blanked_text(told.message))[:_LONGEST]}{times}",
        # Only the gateway may publish on its feed.
        caller=msgspec.structs.replace(told.caller, credential=Actor.GATEWAY),
    )


def entry_of_order(order: StopOrder) -> Command:
    """A stop or a lift as it was asked for, whatever comes of it: that is an entry of its own, of whoever carried it out."""
    body: dict[str, Any] = {"instance_id": order.instance_id}
    return Command(
        request_id=f"{storable(order.order_id)[:100]}@asked",
        subject=(LIFT_STOP if order.is_lift else EMERGENCY_STOP).subject,
        body_hash=b"",
        instance_id=order.instance_id or "all",
        reply=_FROM_HOST,
        created_at=order.at,
        caller=order.caller,
        body=msgspec.json.encode(body if order.is_lift else body | {"reason": storable(order.reason)}),
        message="asked for; an entry of its own says what came of it, and without one that is not known",
    )


def alert_of_order(order: StopOrder) -> RaiseAlert:
    """People hear of a stop and of a lift as soon as it is asked for: whoever carries it out may die of it."""
    code = "stop_lift_asked" if order.is_lift else "emergency_stop_asked"
    of_whom = f"engine {order.instance_id}" if order.instance_id else "all engines"
    who = order.caller.name or order.caller.credential or "somebody"
    why = f" ({storable(order.reason)[:200]})" if order.reason else ""
    what = "the lift of the emergency stop" if order.is_lift else "an emergency stop"
    alert = FleetAlert(
        at=order.at,
        severity=Severity.WARNING if order.is_lift else Severity.CRITICAL,
        code=code,
        message=f"{what} of {of_whom} is asked for by {storable(who)[:200]}{why}",
        instance_id=order.instance_id,
    )
    return RaiseAlert(alert, f"{code}-{order.order_id}-{order.at}")


def _stop_text(told: HostCommand) -> tuple[str, str]:
    stop = f"emergency stop of {_of_whom(told)}"
    if told.code is None:
        return "emergency_stop", f"{stop} by {_who(told)}"
    return "emergency_stop_failed", f"{stop}, asked for by {_who(told)}, failed"


def _lift_text(told: HostCommand) -> tuple[str, str]:
    if told.code is None:
        return "stop_lifted", f"emergency stop lifted of {_of_whom(told)} by {_who(told)}"
    return (
        "stop_not_lifted",
        f"emergency stop of {_of_whom(told)} not lifted, as {_who(told)} asked for",
    )


def _of_whom(told: HostCommand) -> str:
    return f"engine {storable(told.about)[:100]}" if told.about not in ("", "all") else "all engines"


def _who(told: HostCommand) -> str:
    return told.caller.name or told.caller.credential or "somebody"


def _request_id(told: HostCommand) -> str:
    """One for each host that was asked; what is no id of ours is cut to what an index can hold."""
    return f"{storable(told.request_id)[:100]}@{told.host}"


def _about(said: dict[str, Any]) -> str:
    config = said.get("config")
    places = (said, config if isinstance(config, dict) else {})
    found = (place[name] for name in _ABOUT for place in places if isinstance(place.get(name), str))
    return storable(next(found, ""))[:100]
