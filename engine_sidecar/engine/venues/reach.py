"""Why a client does not get further with its venue: what is heard and found out beside it, since NautilusTrader's own tries again in silence."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

ANSWER_S: Final = 3.0
"""How long each address of a host has to take a connection, and as long again its name to be looked up."""
_URLS: Final = (
    "base_url",
    "_base_url",
    "_stream_base_url",
    "url",
    "host",
    "_ws_url",
    "_ws_orders_url",
    "_ws_base_url",
)
_SAID: Final = "flotilla_gateway_said"
_REACH: Final = "flotilla_reach"
_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}

type Address = tuple[str, int]


def heard_of(client: Any) -> str:
    """Why a client that is still connecting does not get further: what its gateway says, and whether it can be reached."""
    found = (getattr(getattr(client, "_client", None), _SAID, ""), getattr(client, _REACH, ""))
    return "; ".join(filter(None, found))


def note_reach(client: Any, why: str) -> None:
    """Keeps why the client's venue cannot be reached; empty where it can."""
    setattr(client, _REACH, why)


def hear_gateway(gateway: Any, hidden: Callable[[str], str]) -> None:
    """Keeps the last error of a gateway of Interactive Brokers: its client logs it, tries again, and then says that time is up."""
    process = getattr(gateway, "process_error", None)
    if process is None or hasattr(gateway, _SAID):
        return
    setattr(gateway, _SAID, "")

    async def heard(**error: Any) -> None:
        code = error["error_code"]
        # 2100 to 2199 are notes, such as that a farm is there.
        if error["req_id"] == -1 and not 2100 <= code < 2200:
            setattr(gateway, _SAID, hidden(f"{code} {error['error_string']}"))
        await process(**error)

    gateway.process_error = heard


def addresses(client: Any) -> tuple[Address, ...]:
    """The hosts and ports that a client connects to, as far as it says so; those of its proxy, if it has one."""
    config = getattr(client, "_config", None)
    if proxy := getattr(config, "proxy_url", None):
        return tuple(_of_url(proxy))
    inner = [
        part
        for name, part in getattr(client, "__dict__", {}).items()
        if "client" in name and part is not None
    ]
    found = [address for part in (client, *inner) for address in _of_part(part)]
    found += _of_databento(client)
    return tuple(dict.fromkeys(found))


async def why_not_reached(found: tuple[Address, ...]) -> str:
    """What is wrong with the first of the addresses that cannot be connected to; empty when all can."""
    for host, port in found:
        if why := await _looked(host, port):
            return why
    return ""


def _of_databento(client: Any) -> Iterator[Address]:
    """The live gateway of each dataset, which has its name: the client itself does not say where it connects to."""
    if hasattr(getattr(client, "_loader", None), "get_dataset_for_venue") and not client._live_gateway:
        for dataset in client._instrument_ids:
            yield f"{dataset.lower().replace('.', '-')}.lsg.databento.com", 13_000


def _of_part(part: Any) -> Iterator[Address]:
    host, port = getattr(part, "_host", None), getattr(part, "_port", None)
    if isinstance(host, str) and isinstance(port, int):
        yield host, port
    # Binance futures with an HMAC key: the stream is asked for by REST, and the WebSocket API is never connected to.
    is_by_rest = getattr(part, "_use_rest_listen_key", False)
    for name in _URLS:
        if is_by_rest and name == "_base_url":
            continue
        url = getattr(part, name, None)
        # dYdX's has a method of the name.
        yield from _of_url(url() if name == "base_url" and callable(url) else url)


def _of_url(url: object) -> Iterator[Address]:
    if not isinstance(url, str) or "://" not in url:
        return
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return
    if parts.hostname and port:
        yield parts.hostname, port


async def _looked(host: str, port: int) -> str:
    """In a thread of its own, for which nothing waits: a resolver may take half a minute, and longer than the engine."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def say(why: str) -> None:
        if not answer.done():
            answer.set_result(why)

    def run() -> None:
        why = look(host, port)
        if not loop.is_closed():
            loop.call_soon_threadsafe(say, why)

    threading.Thread(target=run, name=f"reach {host}", daemon=True).start()
    try:
        return await asyncio.wait_for(answer, 2 * ANSWER_S)
    except TimeoutError:
        return f"no answer from {host}:{port}, or from a name server"


def look(host: str, port: int) -> str:
    """Why nothing is connected to there, or empty. Nothing is sent. Blocks."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return f"no DNS for {host} ({getattr(error, 'strerror', None) or error})"
    place = f"{host}:{port}"
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except ConnectionRefusedError:
        return f"{place} refuses connections"
    except TimeoutError:
        return f"no answer from {place}"
    except OSError as error:
        return f"{place} cannot be reached ({error.strerror})"
    return ""
