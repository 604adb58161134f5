"""Tells the server that credentials of engines are good no longer: their connections are cut, and they get in no more.

The account's claims, which name them, are signed anew with a key that the operator's claims list, and pushed to the system account:
`$SYS.REQ.CLAIMS.UPDATE`, as NATS documents it. The server keeps them in its folder of accounts.
"""

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
from nats import errors

from flotilla.bus.bus import Bus, connect
from flotilla.bus.jwt import Key, claims_of, encode
from flotilla.bus.settings import BusSettings
from flotilla.schemas.fault import FaultCode, FaultError, fault

UPDATE: Final = "$SYS.REQ.CLAIMS.UPDATE"
TIMEOUT_S: Final = 5.0
LONGEST_LIFE_S: Final = 7 * 86_400
"""No credential of an engine is good for longer, in seconds: a revocation that is older says nothing any more."""
_OK: Final = 200


def lookup_of(account: str) -> str:
    """The subject on which the server tells an account's claims."""
    return f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"


def still_revoked(claims: dict[str, Any], now: int) -> dict[str, int]:
    """The users that an account's claims name as revoked, and when; without those whose credentials have ended by themselves."""
    found = claims["nats"].get("revocations", {})
    return {user: at for user, at in found.items() if at > now - LONGEST_LIFE_S}


def revoked(claims: dict[str, Any], users: Iterable[str], now: int) -> dict[str, Any]:
    """The account's claims with these users' credentials revoked that were issued until now (UNIX seconds)."""
    known = {name: value for name, value in claims["nats"].items() if name != "version"}
    return {**known, "revocations": {**still_revoked(claims, now), **dict.fromkeys(users, now)}}


class Revoker:
    """Revokes users of one account. It connects when there is something to do."""

    def __init__(self, settings: BusSettings, key: Key, account: str) -> None:
        """`settings` are of a user of the system account."""
        self._settings = settings
        self._key = key
        self._account = account
        self._bus: Bus | None = None
        self._turn = asyncio.Lock()

    async def revoke(self, users: Collection[str]) -> None:
        """Returns when the server knows of it. Raises FaultError `unavailable`; asking again is safe."""
        async with self._turn:
            bus = await self._connected()
            try:
                # Once more should another supervisor have written over it in the same instant.
                while (
                    not set(users)
                    <= (claims := await self._claims(bus))["nats"].get("revocations", {}).keys()
                ):
                    await self._push(bus, claims, users)
            except (errors.Error, TimeoutError, ValueError, KeyError) as error:
                raise _unavailable(repr(error)) from error

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    async def _claims(self, bus: Bus) -> dict[str, Any]:
        known = await bus.client.request(lookup_of(self._account), b"", timeout=TIMEOUT_S)
        return claims_of(known.data.decode())

    async def _push(self, bus: Bus, claims: dict[str, Any], users: Iterable[str]) -> None:
        now = int(time.time())
        token = encode(self._key, self._account, claims["name"], revoked(claims, users, now), issued_at=now)
        answer = await bus.client.request(UPDATE, token.encode(), timeout=TIMEOUT_S)
        told = msgspec.json.decode(answer.data)
        if told.get("data", {}).get("code") != _OK:
            raise _unavailable(str(told.get("error", told)))

    async def _connected(self) -> Bus:
        if self._bus is None or self._bus.client.is_closed:
            self._bus = await connect(self._settings, wait_s=TIMEOUT_S)
        if not self._bus.is_connected:
            raise _unavailable("the bus is not connected")
        return self._bus


def _unavailable(why: str) -> FaultError:
    return fault(FaultCode.UNAVAILABLE, f"credentials were not revoked: {why}", retry_after_s=1.0)
