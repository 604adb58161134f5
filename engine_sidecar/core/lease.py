"""The right to trade the session's accounts, as far as its sidecar knows: how long it lasts, and what follows when it runs out."""

from typing import Final

import msgspec

from schemas.session import AccountLease

MAX_GRACE_S: Final = 60.0
"""How long at most an engine without a lease goes on reducing before it is stopped."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """`until` is when it runs out, in monotonic seconds; `is_lost` from then on, until it is renewed."""

    token: int
    ttl_s: float
    until: float
    is_lost: bool = False

    @property
    def stop_at(self) -> float:
        """When an engine that was not given it again is stopped."""
        return self.until + min(self.ttl_s / 2, MAX_GRACE_S)

    def left_s(self, now: float) -> float:
        """What is left of it."""
        return max(0.0, self.until - now)


def granted(lease: AccountLease, now: float) -> Lease:
    """The lease that a session was started with."""
    return Lease(token=lease.token, ttl_s=lease.ttl_s, until=now + lease.ttl_s)


def renewed(lease: Lease, token: int, ttl_s: float, now: float) -> Lease:
    """The lease after a renewal; one with an older token than its own changes nothing."""
    if token < lease.token:
        return lease
    return Lease(token=token, ttl_s=ttl_s, until=now + ttl_s)
