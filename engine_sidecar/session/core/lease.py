"""The right to trade the session's accounts, as far as its sidecar knows: how long it lasts, and what follows when it runs out."""

import msgspec

from flotilla.schemas.session import AccountLease, reducing_s


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """`until` is when it runs out, in monotonic seconds; `is_lost` from then on, until it is renewed."""

    token: int
    ttl_s: float
    until: float
    is_lost: bool = False

    @property
    def stop_at(self) -> float:
        """When an engine that was not given it again is stopped."""
        return self.until + reducing_s(self.ttl_s)

    def left_s(self, now: float) -> float:
        """What is left of it."""
        return max(0.0, self.until - now)


def granted(lease: AccountLease, now: float) -> Lease:
    """The lease that a session was started with."""
    return Lease(token=lease.token, ttl_s=lease.ttl_s, until=now + lease.ttl_s)


def renewed(lease: Lease, token: int, ttl_s: float, now: float, as_of_s: float | None = None) -> Lease:
    """The lease after a renewal, which counts from `as_of_s`, the heartbeat that it answers.

    One with an older token changes nothing, and neither does one that was so long under way that it has run out already.
    """
    until = min(now, now if as_of_s is None else as_of_s) + ttl_s
    if token < lease.token or until <= now:
        return lease
    return Lease(token=token, ttl_s=ttl_s, until=max(until, lease.until))
