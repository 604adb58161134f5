"""Tells the server that credentials of engines are good no longer: their connections are cut, and they get in no more.

The account's claims, which name them, are signed anew with a key that the operator's claims list, and pushed to the system account.
"""

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

from flotilla.bus.server_accounts import ServerAccounts, unavailable

LONGEST_LIFE_S: Final = 7 * 86_400
"""No credential of an engine is good for longer, in seconds: a revocation that is older says nothing any more."""


def still_revoked(claims: dict[str, Any], now: int) -> dict[str, int]:
    """The users that an account's claims name as revoked, and when; without those whose credentials have ended by themselves."""
    found = claims["nats"].get("revocations", {})
    return {user: at for user, at in found.items() if at > now - LONGEST_LIFE_S}


def revoked(claims: dict[str, Any], users: Iterable[str], now: int) -> dict[str, Any]:
    """The account's claims with these users' credentials revoked that were issued until now (UNIX seconds)."""
    known = {name: value for name, value in claims["nats"].items() if name != "version"}
    return {**known, "revocations": {**still_revoked(claims, now), **dict.fromkeys(users, now)}}


class Revoker:
    """Revokes users of one account."""

    def __init__(self, accounts: ServerAccounts, account: str) -> None:
        self._accounts = accounts
        self._account = account
        self._turn = asyncio.Lock()

    async def revoke(self, users: Collection[str]) -> None:
        """Returns when the server knows of it. Raises FaultError `unavailable`; asking again is safe."""
        async with self._turn:
            try:
                # Once more should another supervisor have written over it in the same instant.
                while (
                    not set(users)
                    <= (claims := await self._accounts.look_up(self._account))["nats"]
                    .get("revocations", {})
                    .keys()
                ):
                    now = int(time.time())
                    await self._accounts.tell(self._account, claims["name"], revoked(claims, users, now))
            except KeyError as error:
                raise unavailable(f"no claims of an account: {error!r}") from error

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        await self._accounts.close()
