"""Alerts of the fleet: what a person should know of, each told once."""

from datetime import datetime

from flotilla.schemas.session import ContainerFacts
from flotilla.schemas.telemetry import FleetAlert, Severity
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.engines.core.model import Engine, Session


def about_engine(
    engine: Engine, severity: Severity, code: str, message: str, now: datetime, *, key: str | None = None
) -> RaiseAlert:
    """An alert about an engine and its present session; one per session, or per `key`."""
    session = engine.session
    if session is not None:
        return about_session(session, severity, code, message, now, key=key)
    alert = FleetAlert(
        at=wall(now), severity=severity, code=code, message=message, instance_id=engine.instance_id
    )
    return RaiseAlert(alert, f"{code}-{key or engine.instance_id}")


def about_session(
    session: Session, severity: Severity, code: str, message: str, now: datetime, *, key: str | None = None
) -> RaiseAlert:
    """An alert about a session; one per session and code, or per `key`."""
    alert = FleetAlert(
        at=wall(now),
        severity=severity,
        code=code,
        message=message,
        instance_id=session.instance_id,
        session_id=session.session_id,
        host=session.host,
        container=session.container_name,
    )
    return RaiseAlert(alert, f"{code}-{key or session.session_id}")


def about_container(
    facts: ContainerFacts, severity: Severity, code: str, message: str, now: datetime
) -> RaiseAlert:
    """An alert about a container; one per container and code."""
    alert = FleetAlert(
        at=wall(now),
        severity=severity,
        code=code,
        message=message,
        instance_id=facts.instance_id,
        session_id=facts.session_id,
        host=facts.host,
        container=facts.name,
    )
    return RaiseAlert(alert, f"{code}-{facts.session_id}")
