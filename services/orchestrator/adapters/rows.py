"""Between the record's rows and the core's values."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.audit import AuditChain, AuditEntry, AuditHead, AuditPruned, AuditRow, Caller
from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.config import EngineConfig, RestartPolicy
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.loss_limits import NOTHING_KEPT, KeptLosses
from flotilla.schemas.session import SessionSpec, VenueAccount
from flotilla.schemas.telemetry import StopReport
from flotilla.services.orchestrator.engines.core.events import StoredEvent
from flotilla.services.orchestrator.engines.core.leases import Lease
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop, Session, Silence
from flotilla.services.orchestrator.engines.ports import Command, Refusal
from flotilla.services.postgres.migrating import statements

SQL: Final = statements("flotilla.services.orchestrator.adapters.queries")


_MOVING: Final = (
    *("state", "host", "reason", "detail", "exit_code", "log_tail", "stop", "state_seq", "is_provisional"),
    *("changed_at", "started_at", "trading_at", "ended_at", "exit_seen_at"),
    *("not_confirmed", "stop_report", "is_given_up", "told_seq", "silence"),
)
_FIXED: Final = (
    *("instance_id", "generation", "stop_policy", "stop_timeout_s", "created_at"),
    *("needs_docker", "needs_cache"),
)


def to_json(value: object) -> str | None:
    """A document for a json column; None stays null."""
    return None if value is None else msgspec.json.encode(value).decode()


def engine_row(engine: Engine) -> tuple[Any, ...]:
    """The values of save_engine.sql."""
    return (
        engine.instance_id,
        str(engine.desired),
        to_json(engine.config),
        engine.generation,
        engine.version,
        engine.session.session_id if engine.session else None,
        to_json(engine.pending),
        engine.created_at,
        engine.updated_at,
        to_json(engine.configured),
        engine.removed_at,
        to_json(engine.restart_policy),
        list(engine.restarts),
        engine.restart_at,
        to_json(engine.brake if engine.brake != RELEASED else None),
        to_json(engine.losses if engine.losses != NOTHING_KEPT else None),
    )


def changed_session_row(session: Session) -> tuple[Any, ...]:
    """The values of change_session.sql."""
    return (session.session_id, *(_column(getattr(session, name)) for name in _MOVING))


def new_session_row(session: Session, spec: SessionSpec) -> tuple[Any, ...]:
    """The values of add_session.sql."""
    fixed = (_column(getattr(session, name)) for name in _FIXED)
    return (*changed_session_row(session), *fixed, to_json(spec))


def event_columns(events: Sequence[StoredEvent]) -> tuple[list[Any], ...]:
    """The columns of add_events.sql."""
    names = ("session_id", "seq", "instance_id", "kind", "at", "body")
    return tuple([getattr(event, name) for event in events] for name in names)


def digest_columns(events: Sequence[StoredEvent]) -> tuple[list[Any], ...]:
    """The columns of contradicted.sql: a body that PostgreSQL could not take at all must not keep it from being asked."""
    digests = [hashlib.sha256(event.body.encode()).digest() for event in events]
    return [event.session_id for event in events], [event.seq for event in events], digests


def engine_of(row: Mapping[str, Any], session: Session | None) -> Engine:
    """An engine from a row of engines.sql and its present session."""
    return msgspec.convert(
        {
            **row,
            "config": msgspec.json.decode(row["config"], type=EngineConfig),
            "pending": _decoded(row["pending"], SessionSpec),
            "configured": _decoded(row["configured"], EngineConfig),
            "restart_policy": _decoded(row["restart_policy"], RestartPolicy),
            "restarts": tuple(row["restarts"]),
            "brake": _decoded(row["brake"], EngineBrake) or RELEASED,
            "losses": _decoded(row["losses"], KeptLosses) or NOTHING_KEPT,
            "session": session,
        },
        Engine,
    )


def session_of(row: Mapping[str, Any]) -> Session:
    """A session from a row of session_facts."""
    documents = {
        "stop": _decoded(row["stop"], OrderedStop),
        "stop_report": _decoded(row["stop_report"], StopReport),
        "silence": _decoded(row["silence"], Silence),
    }
    lists = {name: tuple(row[name]) for name in ("log_tail", "not_confirmed")}
    return msgspec.convert({**row, **documents, **lists}, Session)


def lease_of(row: Mapping[str, Any]) -> Lease:
    """A lease from a row of account_leases."""
    return msgspec.convert(dict(row), Lease)


def account_columns(accounts: Sequence[VenueAccount]) -> tuple[list[str], list[str]]:
    """Accounts as two columns."""
    return [each.venue for each in accounts], [each.account for each in accounts]


def _decoded[T](document: str | None, kind: type[T]) -> T | None:
    return msgspec.json.decode(document, type=kind) if document else None


def _column(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, OrderedStop | StopReport | Silence):
        return to_json(value)
    return str(value) if isinstance(value, str) else value


def command_row(command: Command) -> tuple[Any, ...]:
    """The values of add_command.sql."""
    return (
        command.request_id,
        command.subject,
        command.body_hash,
        command.instance_id,
        command.reply.decode(),
        command.created_at,
        *_asked(command),
        command.message,
    )


def refusal_row(refusal: Refusal) -> tuple[Any, ...]:
    """The values of add_refusal.sql."""
    return (
        refusal.request_id,
        refusal.subject,
        refusal.instance_id,
        refusal.created_at,
        *_asked(refusal),
        str(refusal.code),
        refusal.message,
    )


def _asked(one: Command | Refusal) -> tuple[Any, ...]:
    caller = one.caller
    body = None if one.body is None else one.body.decode()
    return (one.host, caller.credential, caller.name, caller.origin, caller.via, body)


def audit_entry_of(row: Mapping[str, Any]) -> AuditEntry:
    """A row of audit.sql."""
    return AuditEntry(
        number=row["seq"],
        at=row["at"],
        request_id=row["request_id"],
        subject=row["subject"],
        about=row["about"],
        host=row["host"],
        caller=Caller(credential=row["credential"], name=row["caller"], origin=row["origin"], via=row["via"]),
        body=None if row["body"] is None else msgspec.json.decode(row["body"]),
        code=None if row["code"] is None else FaultCode(row["code"]),
        message=row["message"],
        hash=row["hash"].hex(),
    )


def audit_chain_of(found: Sequence[Mapping[str, Any]]) -> AuditChain:
    """The rows of audit_chain.sql: one at least, which has no entry where there is none."""
    facts = found[0]
    head = facts["head_seq"], facts["head_hash"]
    pruned = facts["pruned_seq"], facts["pruned_hash"], facts["pruned_at"], facts["pruned_rule"]
    return AuditChain(
        rows=tuple(_audit_row(row) for row in found if row["seq"] is not None),
        head=None if head[0] is None else AuditHead(seq=head[0], hash=head[1].hex()),
        pruned=AuditPruned(seq=pruned[0], hash=pruned[1].hex(), at=pruned[2], rule=pruned[3])
        if pruned[0]
        else None,
        stray=facts["stray"],
    )


def _audit_row(row: Mapping[str, Any]) -> AuditRow:
    given = {name: row[name] for name in AuditRow.__struct_fields__}
    return AuditRow(**{**given, "prev": row["prev"].hex(), "hash": row["hash"].hex()})
