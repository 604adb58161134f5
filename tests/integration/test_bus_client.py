"""Each defect of nats-py that RobustClient mends, shown against a scripted server; the same script breaks the stock client.

Numbers are those of the study that found them. A test that stays green with the stock client would pin nothing, so each of the
first six also shows that stock fails it: when an upgrade of nats-py mends one, that half fails and ours can go.
"""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from nats import errors
from nats.aio.client import Client

from flotilla.bus.bus import connect
from flotilla.bus.client import RobustClient, headers_size
from flotilla.bus.settings import BusSettings
from flotilla.schemas import contract
from flotilla.schemas.engine import ListEngines
from flotilla.schemas.fault import FaultCode, FaultError

INFO = b'INFO {"server_id":"S","version":"2.15.1","proto":1,"headers":true,"max_payload":4096,"host":"x","port":1}\r\n'


class Script:
    """A server that answers the first PING of each connection and records every protocol line."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.connections = 0
        self.pongs_allowed = 1_000
        self.closes_before_pong = False
        self.hangs = False
        self.open = 0
        self.url = ""
        self.on_line: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await self._converse(reader, writer)
        finally:
            self.open -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            if not self.hangs:
                writer.write(INFO)
            while line := await reader.readline():
                self.lines.append(line.strip())
                if line.startswith(b"PING"):
                    if self.closes_before_pong:
                        break
                    if self.pongs_allowed > 0:
                        self.pongs_allowed -= 1
                        writer.write(b"PONG\r\n")
                if self.on_line is not None:
                    await self.on_line(line, writer)


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    made = Script()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    server.close_clients()


@asynccontextmanager
async def connected(kind: type[Client], script: Script) -> AsyncIterator[tuple[Client, list[Exception]]]:
    seen: list[Exception] = []

    async def note(error: Exception) -> None:
        seen.append(error)

    client = kind()
    await client.connect(script.url, error_cb=note, reconnect_time_wait=0, max_reconnect_attempts=-1)
    yield client, seen
    with suppress(Exception):
        await client.close()


async def _until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def _order_of_flush(kind: type[Client], script: Script) -> list[bytes]:
    async with connected(kind, script) as (client, _):
        script.lines.clear()
        await client.subscribe("a.b")
        await client.publish("c.d", b"x")
        await client.flush(timeout=2)
        await _until(lambda: any(line.startswith(b"PUB") for line in script.lines))
        return [
            line.split()[0]
            for line in script.lines
            if line.split() and line.split()[0] in (b"SUB", b"PUB", b"PING")
        ]


async def test_1_flush_is_a_barrier(script: Script) -> None:
    assert await _order_of_flush(RobustClient, script) == [b"SUB", b"PUB", b"PING"]


async def test_1_stock_sends_the_ping_first(script: Script) -> None:
    assert (await _order_of_flush(Client, script))[0] == b"PING"


async def _hears_after_late_pong(kind: type[Client], script: Script) -> bool:
    async with connected(kind, script) as (client, _):
        heard = asyncio.Event()

        async def hear(_: object) -> None:
            heard.set()

        await client.subscribe("a.b", cb=hear)
        await client.flush(timeout=2)
        writers: list[asyncio.StreamWriter] = []

        async def keep(_: bytes, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)

        script.pongs_allowed, script.on_line = 0, keep
        with pytest.raises(errors.TimeoutError):
            await client.flush(timeout=0.05)
        await _until(lambda: bool(writers))
        writers[-1].write(b"PONG\r\nMSG a.b 1 2\r\nhi\r\n")
        with suppress(TimeoutError):
            await asyncio.wait_for(heard.wait(), 0.5)
        return heard.is_set()


async def test_3_a_late_pong_leaves_the_client_hearing(script: Script) -> None:
    assert await _hears_after_late_pong(RobustClient, script)


@pytest.mark.filterwarnings("ignore")
async def test_3_stock_goes_deaf_after_a_late_pong(script: Script) -> None:
    assert not await _hears_after_late_pong(Client, script)


async def _survives(kind: type[Client], script: Script, error: bytes) -> bool:
    async with connected(kind, script) as (client, _):
        before = script.connections

        async def complain(line: bytes, writer: asyncio.StreamWriter) -> None:
            if line.startswith(b"PUB"):
                script.on_line = None
                writer.write(b"-ERR '" + error + b"'\r\n")

        script.on_line = complain
        await client.publish("a.b", b"x")
        with suppress(errors.Error):
            await client.flush(timeout=1)
        await _until(lambda: script.connections > before or client.is_closed)
        if not client.is_closed:
            await _until(lambda: client.is_connected)
        return bool(client.is_connected)


@pytest.mark.parametrize(
    "error", [b"User Authentication Expired", b"Maximum Payload Violation", b"Authorization Violation"]
)
async def test_4_an_expired_credential_or_any_other_error_makes_it_reconnect(
    script: Script, error: bytes
) -> None:
    assert await _survives(RobustClient, script, error)


async def test_4_stock_closes_for_good(script: Script) -> None:
    assert not await _survives(Client, script, b"User Authentication Expired")


async def test_5_headers_count_towards_the_largest_payload(script: Script) -> None:
    headers = {"Nats-Msg-Id": "x" * 50}
    async with connected(RobustClient, script) as (client, _):
        with pytest.raises(errors.MaxPayloadError):
            await client.publish("a.b", b"x" * 4_090, headers=headers)
        await client.publish("a.b", b"x" * (4_096 - headers_size(headers)), headers=headers)
        await client.flush(timeout=2)


async def test_5_stock_lets_it_through(script: Script) -> None:
    async with connected(Client, script) as (client, _):
        await client.publish("a.b", b"x" * 4_090, headers={"Nats-Msg-Id": "x" * 50})


async def test_6_a_server_that_closes_before_its_first_pong_is_no_connection(script: Script) -> None:
    script.closes_before_pong = True
    with pytest.raises(FaultError) as caught:
        await connect(BusSettings(url=script.url, name="test"), wait_s=1.0)
    assert caught.value.fault.code == FaultCode.UNAVAILABLE


async def test_8_a_dead_server_is_reported_in_time() -> None:
    with pytest.raises(FaultError) as caught:
        await connect(BusSettings(url="nats://127.0.0.1:1", name="test"), wait_s=0.5)
    assert caught.value.fault.code == FaultCode.UNAVAILABLE


async def test_11_a_request_in_flight_fails_at_once_when_the_connection_goes(script: Script) -> None:
    bus = await connect(BusSettings(url=script.url, name="test"))

    async def hang_up(line: bytes, writer: asyncio.StreamWriter) -> None:
        if line.startswith(b"PUB fleet."):
            writer.close()

    script.on_line = hang_up
    async with asyncio.timeout(2):
        with pytest.raises(FaultError):
            await bus.call(contract.ENGINE_LIST, ListEngines(), timeout_s=30)
    await bus.client.close()


async def _sockets_left_to_the_collector(kind: type[Client], script: Script) -> int:
    async def ignore(_: Exception) -> None:
        pass

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        client = kind()
        await client.connect(
            script.url, error_cb=ignore, reconnect_time_wait=0, max_reconnect_attempts=-1, connect_timeout=0.2
        )
        before = script.connections
        script.hangs = True
        client._transport.close()
        await _until(lambda: script.connections >= before + 3)
        script.hangs = False
        await _until(lambda: client.is_connected)
        await client.close()
        gc.collect()
    return len([one for one in seen if one.category is ResourceWarning])


async def test_14_attempts_at_a_server_that_hangs_close_their_sockets(script: Script) -> None:
    assert await _sockets_left_to_the_collector(RobustClient, script) == 0


async def test_14_stock_leaves_them_to_the_garbage_collector(script: Script) -> None:
    assert await _sockets_left_to_the_collector(Client, script) > 0
