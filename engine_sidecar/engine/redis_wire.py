"""Enough of Redis's protocol to ask whether it is there: NautilusTrader's own connection tells nobody that it lost it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from flotilla.schemas.session import CacheAccess

PATIENCE_S: Final = 5.0


class RedisRefusedError(Exception):
    """Redis answered with an error."""


class RedisWire:
    """One connection, logged in. Every call raises OSError, TimeoutError, EOFError or RedisRefusedError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, access: CacheAccess) -> "RedisWire":
        """Connects and logs in."""
        async with asyncio.timeout(PATIENCE_S):
            wire = cls(*await asyncio.open_connection(access.host, access.port))
        try:
            await wire.call("AUTH", access.username, access.password)
        except BaseException:
            wire.close()
            raise
        return wire

    async def call(self, *parts: str) -> bytes | None:
        """Asks and returns the answer; None where Redis has nothing."""
        async with asyncio.timeout(PATIENCE_S):
            self._writer.write(_request(parts))
            await self._writer.drain()
            return await self._answer()

    def close(self) -> None:
        """Closes the connection."""
        self._writer.close()

    async def _answer(self) -> bytes | None:
        line = await self._reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisRefusedError(rest.decode(errors="replace"))
        if kind != b"$":
            return rest
        length = int(rest)
        return None if length < 0 else (await self._reader.readexactly(length + 2))[:-2]


def why_not_there(access: CacheAccess) -> str:
    """Why Redis cannot be used, empty when it can. Blocks for at most twice PATIENCE_S."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_ask(access))).result()


def fault_of(error: BaseException) -> str:
    """What a call raised, in words."""
    match error:
        case TimeoutError():
            return f"no answer within {PATIENCE_S:g} s"
        case EOFError():
            return "it closed the connection"
        case _:
            return str(error) or type(error).__name__


async def _ask(access: CacheAccess) -> str:
    try:
        wire = await RedisWire.open(access)
        await wire.call("PING")
        wire.close()
    except (OSError, TimeoutError, EOFError, RedisRefusedError) as error:
        return fault_of(error)
    return ""


def _request(parts: tuple[str, ...]) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in encoded)
