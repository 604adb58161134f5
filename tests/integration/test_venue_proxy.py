"""A venue behind a proxy is reached by its `proxy_url`: no engine is told of the proxies of whoever runs the fleet.

NautilusTrader takes a proxy of the environment for its requests and not for its streams, so that a venue would answer and never tell
a price.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.services.supervisor.adapters.process_spawn import environment
from tests.engine_processes import ROOT
from tests.integration.test_venues import InProcess, in_process
from tests.venue_runs import NAMES, run_of_venue, venue

__all__ = ["in_process"]
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
WITHOUT = {"databento", "interactive_brokers"}
"""NautilusTrader's clients of these two know no proxy."""


class Proxy:
    """Refuses every connection, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readline()).decode().strip())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy()
    async with await asyncio.start_server(made.answer, "127.0.0.1", 0) as server:
        made.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        yield made


async def in_python(code: str, env: dict[str, str]) -> None:
    """Runs code in a process of its own; how it ends does not matter."""
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        await done.wait()


REQUEST = """
import asyncio
from nautilus_trader.core import nautilus_pyo3 as rust
async def ask():
    await rust.HttpClient().get("https://venue.invalid/", None, None, None, 5)
asyncio.run(ask())
"""
STREAM = """
import asyncio
from nautilus_trader.core import nautilus_pyo3 as rust
async def ask():
    config = rust.WebSocketConfig(url="wss://venue.invalid/", headers=[]{proxy})
    loop = asyncio.get_running_loop()
    await rust.WebSocketClient.connect(loop_=loop, config=config, handler=print)
asyncio.run(ask())
"""
ASKED = ["CONNECT venue.invalid:443 HTTP/1.1"]


async def test_a_proxy_of_the_environment_would_serve_requests_and_not_streams(proxy: Proxy) -> None:
    env = {**os.environ, **dict.fromkeys(PROXIES, proxy.url)}
    await in_python(REQUEST, env)
    assert proxy.asked == ASKED
    proxy.asked.clear()
    await in_python(STREAM.format(proxy=""), env)
    assert proxy.asked == [], "streams go through it now: it may be passed on to engines"
    await in_python(STREAM.format(proxy=f", proxy_url={proxy.url!r}"), dict(os.environ))
    assert proxy.asked == ASKED


def test_no_engine_is_told_of_a_proxy_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    told = environment(tmp_path)
    assert [name for name in told if "proxy" in name.lower()] == []
    assert "PATH" in told


def venues_without_proxy_url() -> set[str]:
    """Those of which a client has no such field."""
    from nautilus_trader.common.config import resolve_path  # noqa: PLC0415 - in the fork only

    sides = [(name, side) for name in NAMES for side in ("data", "execution") if venue(name)[side]]
    return {
        name
        for name, side in sides
        if "proxy_url" not in resolve_path(venue(name)[side]["path"]).__struct_fields__
    }


def test_every_venue_but_two_takes_a_proxy_url(in_process: InProcess) -> None:
    assert in_process(venues_without_proxy_url) == WITHOUT


def failure_of_connecting(proxy_url: str) -> str:
    """Why the data client of a venue whose secret names a proxy does not connect."""
    from flotilla.engine_sidecar.engine.node_building import build_node  # noqa: PLC0415 - in the fork only

    given = {"base_url_http": "https://venue.invalid", "instrument_provider": {"load_all": True}}
    run = run_of_venue("binance", "paper", **given)
    run.secrets["mine"]["proxy_url"] = proxy_url

    async def connect() -> str:
        kernel = build_node(run, asyncio.get_running_loop(), print, print, print).kernel
        client: Any = next(iter(kernel.data_engine._clients.values()))
        try:
            async with asyncio.timeout(30):
                await client._connect()
        except Exception as error:  # noqa: BLE001 - it is what is asked for
            return f"{type(error).__name__}: {error}"
        return ""

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(connect())


async def test_a_venue_is_reached_by_the_proxy_that_its_secret_names(
    in_process: InProcess, proxy: Proxy
) -> None:
    assert "tunnel error" in await asyncio.to_thread(in_process, failure_of_connecting, proxy.url)
    assert set(proxy.asked) == set(ASKED)
