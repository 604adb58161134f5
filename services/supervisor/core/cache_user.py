"""Who an engine is in Redis, and what it may do there. Pure."""

import hashlib

import msgspec

from flotilla.schemas.ids import InstanceId, SessionId


class CacheUser(msgspec.Struct, frozen=True, kw_only=True):
    """The user of one session: the engine's name with a password of the session's own."""

    instance_id: InstanceId
    session_id: SessionId
    trader_id: str
    password: str

    @property
    def name(self) -> str:
        """`engine-<instance_id>`."""
        return f"engine-{self.instance_id}"

    @property
    def digest(self) -> str:
        """SHA-256 of the password, as Redis keeps it."""
        return hashlib.sha256(self.password.encode()).hexdigest()

    @property
    def rules(self) -> tuple[str, ...]:
        """For ACL SETUSER: reading and writing the keys of its trader id, and what NautilusTrader needs besides.

        That is INFO alone (it asks for the server's version), as measured on NautilusTrader 1.231.0. What would reach others is
        denied: FLUSHDB, KEYS, CONFIG, channels.
        """
        return (
            "reset",
            "on",
            f"#{self.digest}",
            f"~trader-{self.trader_id}:*",
            "resetchannels",
            "+@read",
            "+@write",
            "+@connection",
            "+@transaction",
            "-@admin",
            "-@dangerous",
            "+info",
        )
