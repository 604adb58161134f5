"""Takes and frees leases within the transaction that begins or ends a session, so that neither is on record without the other."""

from datetime import datetime
from typing import Any

import msgspec

from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.adapters import rows
from flotilla.services.orchestrator.adapters.rows import SQL
from flotilla.services.orchestrator.engines.core import leases
from flotilla.services.orchestrator.engines.core.model import Session
from flotilla.services.orchestrator.engines.ports import AccountHeld


async def take(connection: Any, spec: SessionSpec, now: datetime) -> SessionSpec:
    """The spec with a lease on its accounts that has a token of its own. Raises AccountHeld and then nothing is taken."""
    if spec.lease is None:
        return spec
    columns = rows.account_columns(spec.lease.accounts)
    await connection.execute(SQL["add_leases"], *columns)
    # Locked in one order by everybody, so that two sessions with several accounts cannot wait for each other.
    found = [rows.lease_of(row) for row in await connection.fetch(SQL["lock_leases"], *columns)]
    for lease in found:
        if not lease.is_free(now):
            raise AccountHeld(lease, now)
    token = leases.next_token(found, spec.lease.token)
    holder = (spec.instance_id, spec.session_id, spec.lease.ttl_s, now)
    await connection.execute(SQL["take_leases"], *columns, token, *holder)
    return msgspec.structs.replace(spec, lease=msgspec.structs.replace(spec.lease, token=token))


async def free(connection: Any, session: Session, now: datetime) -> None:
    """Notes from when on others may take what a session that is over holds."""
    held = [rows.lease_of(row) for row in await connection.fetch(SQL["session_leases"], session.session_id)]
    if held:
        at = leases.free_at(session, held[0].ttl_s, now)
        await connection.execute(SQL["free_leases"], session.session_id, at)
