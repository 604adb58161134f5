"""Keeps commands that were meant for another life of the engine away from this one."""

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import SessionSpec


def fence(spec: SessionSpec, session_id: str | None) -> None:
    """Raises `conflict` when a session is named and it is not this one."""
    if session_id not in (None, spec.session_id):
        raise fault(FaultCode.CONFLICT, f"the engine's session is {spec.session_id}, not {session_id}")
