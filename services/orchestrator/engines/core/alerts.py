"""Alerts of the fleet: what a person should know of, each told once."""

from datetime import datetime

from flotilla.schemas.alerts import AlertKind
from flotilla.schemas.session import ContainerFacts
from flotilla.schemas.telemetry import FleetAlert
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.engines.core.model import Engine, Session


def once_per(key: str, alert: FleetAlert) -> RaiseAlert:
    """The effect that tells people, once for each code and key."""
    return RaiseAlert(alert, f"{alert.code}-{key}")


def about_engine(
    engine: Engine, kind: AlertKind, message: str, now: datetime, *, key: str | None = None
) -> RaiseAlert:
    """An alert about an engine and its present session; one per session, or per `key`."""
    if engine.session is not None:
        return about_session(engine.session, kind, message, now, key=key)
    alert = kind.fleet_alert(message, wall(now), instance_id=engine.instance_id)
    return once_per(key or engine.instance_id, alert)


def about_session(
    session: Session,
    kind: AlertKind,
    message: str,
    now: datetime,
    *,
    key: str | None = None,
    is_critical: bool = False,
) -> RaiseAlert:
    """An alert about a session; one per session and code, or per `key`."""
    alert = kind.fleet_alert(
        message,
        wall(now),
        is_critical=is_critical,
        instance_id=session.instance_id,
        session_id=session.session_id,
        host=session.host,
        container=session.container_name,
    )
    return once_per(key or session.session_id, alert)


def about_container(
    facts: ContainerFacts, kind: AlertKind, message: str, now: datetime, *, is_critical: bool = False
) -> RaiseAlert:
    """An alert about a container; one per container and code."""
    alert = kind.fleet_alert(
        message,
        wall(now),
        is_critical=is_critical,
        instance_id=facts.instance_id,
        session_id=facts.session_id,
        host=facts.host,
        container=facts.name,
    )
    return once_per(facts.session_id, alert)
