"""Follows the fleet over many server-sent streams: `python -m benchmarks.followers ADDRESS CLIENTS SECONDS TOKEN`.

A process of its own. Prints how many messages came in all, and by how many milliseconds 99 of 100 changes were late at most, from when
`benchmarks.saying` said them; of one client in ten, so that reading is not what takes the time.
"""

import asyncio
import re
import sys
import time
from typing import Final

from benchmarks.telemetry import STREAM

_SAID: Final = re.compile(rb'"orders_total":(\d+)')
_MEASURED: Final = 10


class Follower:
    """One client."""

    def __init__(self, *, is_measured: bool) -> None:
        self.messages = 0
        self.lags_ms: list[int] = []
        self._is_measured = is_measured
        self._has_begun = False

    async def follow(self, address: str, token: str, until: float) -> None:
        """Reads until then. Raises RuntimeError for an answer that is no stream, and when the stream ends before."""
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=16 << 20)
        writer.write(
            f"GET {STREAM} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(head.decode())
        try:
            async with asyncio.timeout_at(until):
                while line := await reader.readline():
                    if line.startswith(b"data:"):
                        self._took(line)
            raise RuntimeError("the stream ended")
        except TimeoutError:
            return
        finally:
            writer.close()

    def _took(self, line: bytes) -> None:
        self.messages += 1
        if self._has_begun and self._is_measured:  # the first is all there is, however old
            now_ms = int(time.time() * 1_000)
            self.lags_ms += [now_ms - int(said) for said in _SAID.findall(line)]
        self._has_begun = True


async def follow(address: str, clients: int, seconds: float, token: str) -> tuple[int, int]:
    """The messages, and the lag."""
    until = asyncio.get_running_loop().time() + seconds
    followers = [Follower(is_measured=number % _MEASURED == 0) for number in range(clients)]
    await asyncio.gather(*(each.follow(address, token, until) for each in followers))
    lags = sorted(lag for each in followers for lag in each.lags_ms)
    if not lags:
        raise RuntimeError("nothing changed")
    return sum(each.messages for each in followers), lags[len(lags) * 99 // 100]


def main(address: str, clients: str, seconds: str, token: str) -> int:
    """Prints both figures."""
    messages, lag_ms = asyncio.run(follow(address, int(clients), float(seconds), token))
    sys.stdout.write(f"{messages} {lag_ms}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
