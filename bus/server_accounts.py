"""The accounts of a fleet as the server has them, through a user of the system account: looked up, and told anew.

`$SYS.REQ.CLAIMS.UPDATE` and its like are as NATS documents them. The server keeps what it is told in its folder of accounts.
"""

import asyncio
import time
from typing import Any, Final

import msgspec
from nats import errors

from flotilla.bus.bus import Bus, connect
from flotilla.bus.jwt import Key, claims_of, encode
from flotilla.bus.settings import BusSettings
from flotilla.schemas.fault import FaultCode, FaultError, fault

UPDATE: Final = "$SYS.REQ.CLAIMS.UPDATE"
LIST: Final = "$SYS.REQ.CLAIMS.LIST"
TIMEOUT_S: Final = 5.0
_OK: Final = 200


def lookup_of(account: str) -> str:
    """The subject on which the server tells an account's claims."""
    return f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"


def connections_of(account: str) -> str:
    """The subject on which the server tells who is connected in an account."""
    return f"$SYS.REQ.ACCOUNT.{account}.CONNZ"


class ServerAccounts:
    """Connects when there is something to ask. Every method raises FaultError `unavailable`; asking again is safe."""

    def __init__(self, settings: BusSettings, key: Key) -> None:
        """`settings` are of a user of the system account; `key` is one that the operator's claims list."""
        self._settings = settings
        self._key = key
        self._bus: Bus | None = None
        self._turn = asyncio.Lock()

    async def keys(self) -> tuple[str, ...]:
        """The public keys of the accounts that the server keeps."""
        answer = await self._ask(LIST, b"")
        try:
            return tuple(msgspec.convert(msgspec.json.decode(answer)["data"], list[str]))
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise unavailable(repr(error)) from error

    async def connections(self, account: str, **which: Any) -> list[dict[str, Any]]:
        """Connections in an account, as the server's `/connz` has them; `which` are its options."""
        answer = await self._ask(connections_of(account), msgspec.json.encode(which))
        try:
            return msgspec.convert(msgspec.json.decode(answer)["data"]["connections"], list[dict[str, Any]])
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise unavailable(repr(error)) from error

    async def look_up(self, account: str) -> dict[str, Any]:
        """The claims of an account: its JWT's body; empty when the server has none that can be read."""
        answer = await self._ask(lookup_of(account), b"")
        try:
            return claims_of(answer.decode())
        except ValueError:
            return {}

    async def tell(self, account: str, name: str, claims: dict[str, Any]) -> None:
        """Returns when the server has these claims, the `nats` part of the JWT, and has cut whoever may be in no more."""
        token = encode(self._key, account, name, claims, issued_at=int(time.time()))
        answer = await self._ask(UPDATE, token.encode())
        try:
            told = msgspec.json.decode(answer, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise unavailable(repr(error)) from error
        if told.get("data", {}).get("code") != _OK:
            raise unavailable(str(told.get("error", told)))

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    async def _ask(self, subject: str, data: bytes) -> bytes:
        bus = await self._connected()
        try:
            return (await bus.client.request(subject, data, timeout=TIMEOUT_S)).data
        except (errors.Error, TimeoutError) as error:
            raise unavailable(repr(error)) from error

    async def _connected(self) -> Bus:
        async with self._turn:
            if self._bus is None or self._bus.client.is_closed:
                self._bus = await connect(self._settings, wait_s=TIMEOUT_S)
            if not self._bus.is_connected:
                raise unavailable("the bus is not connected")
            return self._bus


def unavailable(why: str) -> FaultError:
    """The server was not told, or did not answer."""
    return fault(FaultCode.UNAVAILABLE, f"the server's accounts: {why}", retry_after_s=1.0)
