"""Clients that mean harm, or do not know what they do: too many, too slow, of the wrong site, with the wrong body."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.services.gateway.routes.table import ROUTES
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, ENGINE, Stage, Supervisor, concrete, staged

type Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]

STATUS = f"{ENGINE}/status"
START = f"{ENGINE}/start"


@asynccontextmanager
async def opened(stage: Stage, count: int = 1) -> AsyncIterator[list[Peer]]:
    """Plain connections to the gateway."""
    host, port = stage.address.removeprefix("http://").split(":")
    peers = [await asyncio.open_connection(host, int(port)) for _ in range(count)]
    try:
        yield peers
    finally:
        for _, writer in peers:
            writer.close()


async def end_of(peers: Iterable[Peer], within_s: float = 10) -> list[bytes]:
    """What the gateway sends on each until it closes it."""

    async def rest(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read()
        except ConnectionError:
            return b""

    async with asyncio.timeout(within_s):
        return list(await asyncio.gather(*(rest(reader) for reader, _ in peers)))


def head(stage: Stage, method: str, path: str, *lines: str) -> bytes:
    bearer = stage.bearer(Role.ADMIN)["Authorization"]
    return "\r\n".join(
        (f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: {bearer}", *lines)
    ).encode()


async def figures(stage: Stage) -> dict[str, float]:
    async with stage.http.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}


async def test_wrong_tokens_are_soon_answered_no_more_and_good_ones_of_the_same_address_are(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with (
        staged(connect_as, tmp_path, failures=30) as stage,
        aiohttp.ClientSession(stage.address) as http,
    ):

        async def tried(number: int) -> tuple[int, int]:
            headers = {"Authorization": f"Bearer guess-{number}"}
            async with http.get(STATUS, headers=headers) as answer:
                return answer.status, int(answer.headers.get("Retry-After", "0"))

        answers = [await tried(number) for number in range(200)]
        assert answers[:30] == [(401, 0)] * 30
        assert {status for status, _ in answers[30:]} == {429}
        assert all(1 <= wait_s <= 60 for _, wait_s in answers[30:])
        async with http.get(STATUS, headers=stage.bearer(Role.OBSERVER)) as answer:
            assert answer.status == 200
        async with http.get(STATUS) as answer:
            assert answer.status == 429
        assert len(stage.orchestrator.requests) == 2, "one status, with its backtests not asked for"


async def test_a_token_that_asks_too_often_is_told_when_to_come_back_and_may_stop_all_the_same(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, rate=2.0) as stage:
        supervisor = Supervisor(await connect_as(contract.Actor.SUPERVISOR))
        await supervisor.start()
        statuses = []
        for _ in range(15):
            async with stage.http.get(STATUS) as answer:
                statuses.append(answer.status)
        assert statuses[:10] == [200] * 10
        assert 429 in statuses
        async with stage.http.get(STATUS) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert "admin asks more than 2 times a second" in (await answer.json())["message"]
        async with stage.http.post(f"{ENGINE}/emergency-stop") as answer:
            assert answer.status == 200
        async with stage.http.get(STATUS, headers=stage.bearer(Role.VIEWER)) as answer:
            assert answer.status == 200, "others may ask"


async def test_half_a_request_is_cut_and_a_whole_one_is_not(connect_as: ConnectAs, tmp_path: Path) -> None:
    slow = {"request_s": 0.5, "connections": 200}
    async with (
        staged(connect_as, tmp_path, **slow) as stage,
        opened(stage, 100) as peers,
        stage.http.get(f"{API}/stream") as stream,
    ):
        for number, (_, writer) in enumerate(peers):
            # Nothing at all, a line, and a head that only lacks its end.
            writer.write((b"", b"GET / HTTP/1.1\r\n", head(stage, "GET", STATUS))[number % 3])
        began = time.monotonic()
        assert await end_of(peers) == [b""] * 100
        assert time.monotonic() - began < 5
        assert stream.status == 200
        assert not stream.content.at_eof(), "what is answered may take its time"
        assert (await figures(stage))["flotilla_gateway_connections_cut_total"] == 100


async def test_a_head_that_comes_byte_by_byte_is_cut_too(connect_as: ConnectAs, tmp_path: Path) -> None:
    async with staged(connect_as, tmp_path, request_s=0.5) as stage, opened(stage) as [(reader, writer)]:

        async def trickle() -> None:
            for byte in head(stage, "GET", STATUS) + b"\r\nX-Filler: " + b"x" * 4_000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            trickling = group.create_task(trickle())
            assert await end_of([(reader, writer)]) == [b""]
            trickling.cancel()
        assert time.monotonic() - began < 3


async def test_a_body_that_does_not_come_is_refused_and_its_connection_closed(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, request_s=0.5) as stage, opened(stage, 2) as peers:
        for (_, writer), body in zip(peers, (b"", b'{"config":'), strict=True):
            writer.write(head(stage, "POST", START, "Content-Length: 500", "", "") + body)
        for answer in await end_of(peers):
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"body did not arrive within 0.5 s" in answer
        assert stage.orchestrator.requests == []


async def test_several_requests_on_one_connection_each_have_their_time(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, request_s=0.5) as stage, opened(stage) as [(reader, writer)]:
        for _ in range(4):
            writer.write(head(stage, "GET", STATUS, "", ""))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            await asyncio.sleep(0.3)  # idle, which is no half request
        writer.write(b"GET ")
        assert await end_of([(reader, writer)]) == [b""]


async def test_an_address_has_so_many_connections_and_a_closed_one_is_free_again(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, connections=8) as stage:
        async with opened(stage, 12) as peers:
            full = await end_of(peers[8:])
            assert all(answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n") for answer in full)
            writer = peers[0][1]
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(5):
                while True:
                    try:
                        assert (await figures(stage))["flotilla_gateway_connections"] == 8
                        break
                    except (aiohttp.ClientError, IndexError, KeyError):
                        await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            while (await figures(stage))["flotilla_gateway_connections"] > 1:
                await asyncio.sleep(0.02)


async def test_a_client_that_takes_nothing_of_its_answer_is_cut(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    slow = {"answer_s": 0.5, "request_s": 60.0}
    async with staged(connect_as, tmp_path, **slow) as stage, opened(stage) as [(reader, writer)]:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(1, 8, 2048)  # SO_RCVBUF
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        request = head(stage, "GET", "/openapi.json", "", "")
        began = time.monotonic()
        async with asyncio.timeout(20):
            while (await figures(stage))["flotilla_gateway_connections_cut_total"] < 1:
                if not writer.transport.is_closing():
                    writer.write(request)  # each a hundred times as long as its question
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "é",
    ],
)
async def test_a_body_that_is_no_json_by_its_own_word_is_refused(
    connect_as: ConnectAs, tmp_path: Path, kind: str
) -> None:
    async with staged(connect_as, tmp_path) as stage:
        headers = {"Content-Type": kind}
        async with stage.http.post(START, data=b'{"config":{}}', headers=headers) as answer:
            assert answer.status == 415
            assert (await answer.json())["code"] == "unsupported_media_type"
        assert stage.orchestrator.requests == []
        for good in ("application/json", "Application/JSON; charset=UTF-8"):
            headers = {"Content-Type": good}
            async with stage.http.post(START, data=b'{"config":{}}', headers=headers) as answer:
                assert answer.status == 200
        async with stage.http.post(f"{ENGINE}/stop", headers={"Content-Type": kind}) as answer:
            assert answer.status == 200, "no body is of no type"


async def test_no_other_site_reaches_anything(connect_as: ConnectAs, tmp_path: Path) -> None:
    async with staged(connect_as, tmp_path, names=frozenset({"desk.example"})) as stage:
        for route in ROUTES:
            path = concrete(route)
            for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
                async with stage.http.request(route.method, path, headers=headers) as answer:
                    assert answer.status == 403, (route.name, headers)
                    assert "Access-Control-Allow-Origin" not in answer.headers
        assert stage.orchestrator.requests == []
        for headers in ({"Host": "desk.example:80"}, {"Origin": stage.address}, {"Host": "localhost"}):
            async with stage.http.get(STATUS, headers=headers) as answer:
                assert answer.status == 200, headers


async def test_every_answer_says_how_a_browser_is_to_treat_it(connect_as: ConnectAs, tmp_path: Path) -> None:
    async with staged(connect_as, tmp_path) as stage:
        for path in (STATUS, "/nowhere", "/docs", "/openapi.json", "/metrics", f"{API}/stream", START):
            async with stage.http.get(path) as answer:
                headers = answer.headers
                assert headers["X-Content-Type-Options"] == "nosniff", path
                assert headers["X-Frame-Options"] == "DENY", path
                assert headers["Cache-Control"] == "no-store", path
                assert headers["Referrer-Policy"] == "no-referrer", path
                policy = headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy, path
                assert "frame-ancestors 'none'" in policy, path
                assert ("style-src" in policy) == (path == "/docs"), path
