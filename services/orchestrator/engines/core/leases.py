"""Leases on accounts at venues: one engine at a time trades an account, and whoever comes after it has a higher token."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.session import VenueAccount, reducing_s
from flotilla.services.orchestrator.core.record_time import on_wall
from flotilla.services.orchestrator.engines.core.model import Session

MARGIN_S: Final = 15.0
"""For the sidecar's checks and for readers of the record that are not quite at the same time."""
DRIFT: Final = 0.01
"""By how much two monotonic clocks may differ; a hundred times what any do."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds an account. `free_at` is null while its session has not ended, and then when another may take it."""

    venue: str
    account: str
    token: int = 0
    instance_id: str | None = None
    session_id: str | None = None
    ttl_s: float = 0.0
    taken_at: datetime | None = None
    free_at: datetime | None = None

    @property
    def of(self) -> VenueAccount:
        """The account that it is a lease on."""
        return VenueAccount(venue=self.venue, account=self.account)

    def is_free(self, now: datetime) -> bool:
        """True when nobody holds it, or whoever did has surely gone."""
        return self.session_id is None or (self.free_at is not None and self.free_at <= now)


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """All that a session holds, to be renewed with one call."""

    instance_id: str
    session_id: str
    token: int
    ttl_s: float


def next_token(leases: Sequence[Lease], wanted: int) -> int:
    """A token above that of every earlier holder, and at least `wanted`."""
    return max(wanted, *(lease.token + 1 for lease in leases))


def free_at(session: Session, ttl_s: float, now: datetime) -> datetime:
    """When the accounts of a session that is over may be taken by another.

    At once, unless nobody saw it end: then when its sidecar, which gets no renewal any more, has surely stopped it.
    """
    if not session.is_given_up:
        return now
    end_s = ttl_s + reducing_s(ttl_s) + session.stop_timeout_s
    return now + timedelta(seconds=end_s * (1 + DRIFT) + MARGIN_S)


def holdings(leases: Sequence[Lease]) -> list[Holding]:
    """Who is to get renewals, from the leases that are held."""
    found = {
        lease.session_id: Holding(
            instance_id=lease.instance_id,
            session_id=lease.session_id,
            token=lease.token,
            ttl_s=lease.ttl_s,
        )
        for lease in leases
        if lease.session_id is not None and lease.instance_id is not None
    }
    return list(found.values())


def held_text(lease: Lease, now: datetime) -> str:
    """Who holds an account, for people."""
    text = (
        f"account {lease.account} at {lease.venue} is traded by engine {lease.instance_id}"
        f" (session {lease.session_id})"
    )
    if lease.free_at is None:
        return text
    return f"{text}, which was given up while out of sight: it is free at {on_wall(lease.free_at, now):%Y-%m-%dT%H:%M:%SZ}"
