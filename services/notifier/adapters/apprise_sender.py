"""Sends through Apprise, each message in a thread of its own. The address is read from the secret store when it is needed, and goes nowhere else."""

import asyncio
import logging
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.bus.secret_store import SecretStore
from flotilla.schemas.alerting import ALERT_ADAPTER, HEARTBEAT_ADAPTER
from flotilla.schemas.fault import FaultError
from flotilla.schemas.telemetry import Severity
from flotilla.services.notifier.core.deliveries import Message
from flotilla.services.notifier.ports import Sent

log = get_logger(__name__)

SEND_S: Final = 30.0
CALL_S: Final = 10.0
_URL: Final = "url"
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_TALKERS: Final = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")
"""What they log has addresses in it."""


class AppriseSender:
    """`secrets` is the fleet's store; it is read for each message, so that a secret that was changed is used at once."""

    def __init__(self, secrets: SecretStore, *, send_s: float = SEND_S) -> None:
        self._secrets = secrets
        self._send_s = send_s
        silence()

    async def send(self, secret: str, message: Message) -> Sent:
        return await _in_thread(lambda: self._send(secret, message), self._send_s)

    async def call(self, secret: str) -> Sent:
        return await _in_thread(lambda: self._call(secret), CALL_S)

    def _send(self, secret: str, message: Message) -> Sent:
        address, problem = self._address(secret, ALERT_ADAPTER)
        return _notify(secret, address, message) if not problem else Sent(is_sent=False, problem=problem)

    def _call(self, secret: str) -> Sent:
        address, problem = self._address(secret, HEARTBEAT_ADAPTER)
        if not problem and not address.startswith(("http://", "https://")):
            problem = f"secret {secret!r}: `{_URL}` must begin with http:// or https://"
        return _get(address) if not problem else Sent(is_sent=False, problem=problem)

    def _address(self, secret: str, adapter: str) -> tuple[str, str]:
        """The address, or why there is none."""
        try:
            found = self._secrets.read([secret])[secret]
        except FaultError as error:
            return "", error.fault.message
        if found.binding is None or found.binding.adapter != adapter:
            return (
                "",
                f"secret {secret!r} is not bound to {adapter}: `flotilla secret set {secret} --adapter {adapter}`",
            )
        address = found.values.get(_URL)
        return (address, "") if isinstance(address, str) else ("", f"secret {secret!r} has no text `{_URL}`")


def silence() -> None:
    """Has the libraries that are given addresses log nothing."""
    for name in _TALKERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)


def _notify(secret: str, address: str, message: Message) -> Sent:
    # It takes a third of a second and 40 MB, which a notifier without channels does not need.
    import apprise  # noqa: PLC0415

    silence()
    kinds = {
        Severity.INFO: apprise.NotifyType.INFO,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
    }
    # No plugins of anybody else, nothing kept on disk.
    asset = apprise.AppriseAsset(
        app_id="Flotilla",
        app_desc="Flotilla",
        app_url="",
        plugin_paths=[],
        async_mode=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    # Not by Apprise.notify, which sends in threads of a pool that outlive a time limit and keep the process from ending.
    channel = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(channel, apprise.NotifyBase):
        return Sent(is_sent=False, problem=f"the address in secret {secret!r} is none that Apprise knows")
    with _statuses() as found:
        is_sent = channel.notify(body=message.body, title=message.title, notify_type=kinds[message.severity])
    if is_sent:
        return Sent(is_sent=True)
    status = f" (status {found[-1]})" if found else ""
    return Sent(is_sent=False, problem=f"the channel did not take it{status}")


@contextmanager
def _statuses() -> Iterator[list[str]]:
    """The HTTP statuses of which Apprise complains in this thread: nothing else of what it says is free of addresses."""
    logger, found, thread = logging.getLogger("apprise"), [], threading.get_ident()

    class Status(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread and (status := _STATUS.search(record.getMessage())):
                found.append(status[1])

    handler = Status(logging.WARNING)
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _get(address: str) -> Sent:
    request = urllib.request.Request(address, headers={"User-Agent": "flotilla"})  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=CALL_S) as answer:  # noqa: S310
            answer.read(1)
    except urllib.error.HTTPError as error:
        return Sent(is_sent=False, problem=f"status {error.code}")
    except (OSError, ValueError) as error:
        return Sent(is_sent=False, problem=type(error).__name__)
    return Sent(is_sent=True)


async def _in_thread(work: Callable[[], Sent], within_s: float) -> Sent:
    """What `work` returns. One that takes longer is left alone: its thread ends by itself, or with the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Sent] = loop.create_future()

    def settle(result: Sent) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - its text may hold the address; its type says enough
            log.warning("sending failed", error=type(error).__name__)
            result = Sent(is_sent=False, problem=type(error).__name__)
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError as error:
            log.info("nobody waits for what was sent", error=str(error))

    threading.Thread(target=run, name="send", daemon=True).start()
    try:
        return await asyncio.wait_for(done, within_s)
    except TimeoutError:
        return Sent(is_sent=False, problem=f"no answer within {within_s:g} s", is_unsure=True)
