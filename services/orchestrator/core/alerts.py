"""Alerts of the fleet: what a person should know of, each told once."""

from datetime import datetime

from schemas.session import ContainerFacts
from schemas.telemetry import FleetAlert, Severity
from services.orchestrator.core.effects import RaiseAlert
from services.orchestrator.core.model import Engine
from services.orchestrator.core.record_time import wall


def about_engine(
    engine: Engine, severity: Severity, code: str, message: str, now: datetime, *, key: str | None = None
) -> RaiseAlert:
    """An alert about an engine and its present session; one per session, or per `key`."""
    session = engine.session
    alert = FleetAlert(
        at=wall(now),
        severity=severity,
        code=code,
        message=message,
        instance_id=engine.instance_id,
        session_id=session.session_id if session else None,
        host=session.host if session else None,
        container=session.container_name if session else None,
    )
    named = key or (session.session_id if session else engine.instance_id)
    return RaiseAlert(alert, f"{code}-{named}")


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
