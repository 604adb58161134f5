"""Where clients connect to, why nothing is there, and whose clock is wrong."""

import asyncio
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.engine.venues.clocks import clock_words
from flotilla.engine_sidecar.engine.venues.reach import (
    addresses,
    hear_gateway,
    heard_of,
    look,
    note_reach,
    why_not_reached,
)
from flotilla.engine_sidecar.engine.waiting import UNKNOWN, connecting_words


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("client", "found"),
    [
        (
            SimpleNamespace(_http_client=SimpleNamespace(base_url="https://a.example/api")),
            [("a.example", 443)],
        ),
        (SimpleNamespace(_ws_client=SimpleNamespace(url="ws://a.example:9/x")), [("a.example", 9)]),
        (
            SimpleNamespace(_http_client=SimpleNamespace(base_url=lambda: "http://a.example")),
            [("a.example", 80)],
        ),
        (SimpleNamespace(_client=SimpleNamespace(_host="127.0.0.1", _port=4002)), [("127.0.0.1", 4002)]),
        (
            SimpleNamespace(
                _config=SimpleNamespace(proxy_url="http://user:word@proxy.example:3128"),
                _http_client=SimpleNamespace(base_url="https://a.example"),
            ),
            [("proxy.example", 3128)],
        ),
        (
            SimpleNamespace(
                _loader=SimpleNamespace(get_dataset_for_venue=None),
                _live_gateway=None,
                _instrument_ids={"GLBX.MDP3": ()},
            ),
            [("glbx-mdp3.lsg.databento.com", 13_000)],
        ),
        (SimpleNamespace(_ws_client=SimpleNamespace(url="ws://a.example:no")), []),
        (object(), []),
        (
            SimpleNamespace(
                _ws_client=SimpleNamespace(
                    _use_rest_listen_key=True,
                    _base_url="wss://api.venue/ws",
                    _stream_base_url="wss://stream.venue",
                )
            ),
            [("stream.venue", 443)],
        ),
    ],
)
def test_a_clients_addresses_are_found_where_it_has_them(client: Any, found: list[tuple[str, int]]) -> None:
    assert list(addresses(client)) == found


def test_what_refuses_and_what_has_no_name_is_told(free_port: int) -> None:
    assert look("127.0.0.1", free_port) == f"127.0.0.1:{free_port} refuses connections"
    # RFC 6761: never a name of anybody.
    assert look("venue.invalid", 443).startswith("no DNS for venue.invalid")


async def test_the_first_address_that_does_not_answer_is_told(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        well = ("127.0.0.1", there.getsockname()[1])
        assert await why_not_reached((well,)) == ""
        assert await why_not_reached((well, ("127.0.0.1", free_port))) == (
            f"127.0.0.1:{free_port} refuses connections"
        )


async def test_what_a_gateway_says_is_kept_and_passed_on() -> None:
    passed: list[int] = []

    async def process_error(**error: Any) -> None:
        passed.append(error["error_code"])

    gateway = SimpleNamespace(process_error=process_error)
    client = SimpleNamespace(_client=gateway)
    hear_gateway(gateway, lambda text: text.replace("U1", "***"))
    hear_gateway(gateway, str)
    assert heard_of(client) == ""
    for code, request, text in ((326, -1, "U1 is in use"), (2104, -1, "farm is OK"), (200, 7, "no contract")):
        await gateway.process_error(req_id=request, error_time=0, error_code=code, error_string=text)
    assert (heard_of(client), passed) == ("326 *** is in use", [326, 2104, 200])


def test_who_is_waited_for_and_why_is_one_line_by_venue_and_reason() -> None:
    def client(name: str, *, is_connected: bool = False, why: str = "") -> SimpleNamespace:
        made = SimpleNamespace(id=name, is_connected=is_connected)
        note_reach(made, why)
        return made

    kernel = SimpleNamespace(
        data_engine=SimpleNamespace(
            _clients={1: client("A", why="no DNS for a"), 2: client("B", is_connected=True)}
        ),
        exec_engine=SimpleNamespace(_clients={1: client("A", why="no DNS for a"), 2: client("B")}),
    )
    assert connecting_words(kernel) == f"A data and execution: no DNS for a; B execution: {UNKNOWN}"


@pytest.mark.parametrize(
    ("venue_s", "told"),
    [(-3.0, "clock 3.0 s ahead of the venue"), (3.0, "clock 3.0 s behind the venue"), (-0.4, ""), (0.0, "")],
)
async def test_a_clock_that_is_wrong_is_told_with_the_seconds(venue_s: float, told: str) -> None:
    async def request_server_time() -> int:
        return int((time.time() + venue_s) * 1_000)

    client = SimpleNamespace(_http_market=SimpleNamespace(request_server_time=request_server_time))
    assert await clock_words(client) == told


async def test_a_venue_that_does_not_say_what_time_it_is_says_nothing_of_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def raises() -> int:
        raise ConnectionError("away")

    async def hangs() -> int:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("flotilla.engine_sidecar.engine.venues.clocks.ANSWER_S", 0.05)
    for ask in (raises, hangs):
        client = SimpleNamespace(_http_client=SimpleNamespace(get_server_time=ask))
        assert await clock_words(client) == ""
    assert await clock_words(SimpleNamespace()) == ""
