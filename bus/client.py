"""nats-py with its defects mended, each pinned by a test in tests/integration/test_bus_client.py (ADR 0002).

Private methods are overridden, so nats-py is pinned to one minor version.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.protocol.parser import PERMISSIONS_ERR

from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import Feed
from flotilla.schemas.subjects import parse

log = get_logger(__name__)

PENDING_MESSAGES: Final = 65_536
PENDING_BYTES: Final = 64 << 20
_PING: Final = b"PING\r\n"
_HEADER_OVERHEAD: Final = len("NATS/1.0\r\n\r\n")
_FIELD_OVERHEAD: Final = len(": \r\n")


class Listener:
    """Hands messages of one feed to a handler; one that cannot be decoded or handled is logged and passed over."""

    def __init__(
        self,
        feed: Feed[Any],
        pattern: str,
        handler: Callable[[Any, Mapping[str, str]], Awaitable[None]],
    ) -> None:
        self._feed = feed
        self._pattern = pattern
        self._handler = handler
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(feed.payload)
        self._subscription: Subscription | None = None

    async def start(self, client: Client) -> None:
        """Subscribes, and returns when the server knows of it."""
        self._subscription = await client.subscribe(
            self._pattern,
            cb=self._receive,
            pending_msgs_limit=PENDING_MESSAGES,
            pending_bytes_limit=PENDING_BYTES,
        )
        await client.flush(timeout=5)

    async def close(self) -> None:
        """Unsubscribes; closing twice is fine."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not subscription._closed:
            await subscription.unsubscribe()

    async def _receive(self, message: Msg) -> None:
        try:
            payload = self._decoder.decode(message.data)
            await self._handler(payload, parse(self._feed.subject, message.subject) or {})
        except Exception:  # a poisoned message must not end the subscription
            log.exception("message failed", subject=message.subject, bytes=len(message.data))


class RobustClient(Client):
    """A client that stays usable whatever the server does; `denied` counts refused publishes and subscriptions."""

    denied: int = 0

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        # Stock: PING is written before what is pending, so flush() is no barrier and drain() loses messages.
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        self._pending.append(_PING)
        self._pending_data_size += len(_PING)
        await self._flush_pending()

    async def _process_pong(self) -> None:
        # Stock: a PONG that arrives after its flush() timed out raises InvalidStateError and ends the read loop.
        if self._pongs:
            future = self._pongs.pop(0)
            self._pongs_received += 1
            self._pings_outstanding = 0
            if not future.done():
                future.set_result(True)

    async def _process_err(self, err_msg: str) -> None:
        # Stock: everything but a permissions error (an expired JWT, a payload too large) closes the client for good.
        bare = err_msg.strip("'")
        told = f"nats: {bare}"
        if PERMISSIONS_ERR in told:
            self.denied += 1
            await super()._process_err(err_msg)
            return
        error = errors.Error(told)
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _process_op_err(self, e: Exception) -> None:
        # Stock: requests in flight wait their whole timeout although their answers can no longer come.
        for future in list(self._resp_map.values()):
            if not future.done():
                future.set_exception(errors.ConnectionReconnectingError())
        await super()._process_op_err(e)

    async def _connect_to_server(self, s: Any) -> None:
        # Stock: an attempt that fails after TCP (the server hangs) leaves its socket to the garbage collector.
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]
        await super()._connect_to_server(s)

    def _connect_command(self) -> bytes:
        # Stock: whether a tls:// connection is encrypted is for the server to say, and to whoever stands in between.
        if self.options.get("tls") is not None and self._encryption is None:
            raise errors.Error("nats: the server does not encrypt")
        return super()._connect_command()

    @property
    def certificate_ends(self) -> datetime | None:
        """When the certificate that the server showed ends; None where the connection is not encrypted."""
        if (encryption := self._encryption) is None:
            return None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(encryption.getpeercert()["notAfter"]), UTC)

    @property
    def _encryption(self) -> Any:
        writer = getattr(self._transport, "_io_writer", None)
        return writer.get_extra_info("ssl_object") if writer is not None else None

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # Stock: headers are not counted, the server then closes the connection.
        if headers and len(payload) + headers_size(headers) > self._max_payload:
            raise errors.MaxPayloadError
        await super().publish(subject, payload, reply, dict(headers) if headers else None)


def headers_size(headers: Mapping[str, str]) -> int:
    """Bytes that the headers take on the wire."""
    return _HEADER_OVERHEAD + sum(
        len(k.encode()) + len(v.encode()) + _FIELD_OVERHEAD for k, v in headers.items()
    )
