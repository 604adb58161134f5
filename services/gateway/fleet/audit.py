"""The audit, as the orchestrator has it."""

from flotilla.schemas import contract
from flotilla.schemas.audit import AuditEntry, ReadAudit
from flotilla.services.gateway.fleet.audit_replies import AuditReply, AuditView
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import AuditQuery


async def read_audit(gateway: Gateway, ask: Ask[AuditQuery, None]) -> AuditReply:
    """A page of it, newest first; `next` goes on from there, null at the end."""
    query = ask.query
    question = ReadAudit(about=query.about, before=query.before, limit=query.limit)
    entries = (await gateway.bus.call(contract.AUDIT_LIST, question)).entries
    is_full = len(entries) == query.limit
    return AuditReply(
        entries=tuple(map(_view, entries)),
        count=len(entries),
        next=entries[-1].number if entries and is_full else None,
    )


def _view(entry: AuditEntry) -> AuditView:
    caller = entry.caller
    return AuditView(
        number=entry.number,
        at=entry.at,
        request_id=entry.request_id,
        subject=entry.subject,
        about=entry.about,
        host=entry.host,
        who=caller.name,
        is_vouched_for=caller.is_vouched_for,
        credential=caller.credential,
        origin=caller.origin,
        via=caller.via,
        body=entry.body,
        outcome="accepted" if entry.code is None else str(entry.code),
        message=entry.message,
        hash=entry.hash,
    )
