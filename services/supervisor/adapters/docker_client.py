"""Calls to Docker in a bounded number of threads, each with a client of its own and a timeout on every request."""

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError

from flotilla.services.supervisor.adapters.docker_errors import FAILURES, NotPermittedError, fault_of

STARTS_AT_ONCE: Final = 4
READS_AT_ONCE: Final = 2
STOPS_AT_ONCE: Final = 64
SIGNALS_AT_ONCE: Final = 64
LOOKS_AT_ONCE: Final = 64
REQUEST_TIMEOUT_S: Final = 30.0


class TimedClient(APIClient):  # type: ignore[misc] # the SDK has no types
    """The SDK's low-level client; the SDK itself waits for ever when it attaches and when it reads events."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Like requests.Session.send, never without a timeout."""
        kwargs["timeout"] = kwargs.get("timeout") or self.timeout
        return super().send(request, **kwargs)


def open_client(url: str, *, timeout_s: float = REQUEST_TIMEOUT_S) -> TimedClient:
    """A client that has agreed on an API version. Raises one of docker_errors.FAILURES when there is no daemon."""
    _knock(url, timeout_s)
    client = TimedClient(base_url=url, version="auto", timeout=timeout_s)
    client.trust_env = False  # no proxy stands before a socket of this machine
    return client


def _knock(url: str, timeout_s: float) -> None:
    """Raises OSError when nobody listens: the SDK would wrap the reason four deep, and leave its socket open."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        path = "/" + rest.lstrip("/")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(path)
            except PermissionError:
                raise NotPermittedError(path) from None


class DockerCalls:
    """Runs functions of a client in threads: 4 starts at once is the measured optimum on 2 cores, reads never queue behind
    them, and a stop, which lasts as long as its engine takes, queues behind neither. A kill queues behind no stop, however
    many there are, and not behind the looks that tell whether one is needed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._local = threading.local()
        self._clients: set[APIClient] = set()
        self._starts = ThreadPoolExecutor(STARTS_AT_ONCE, "docker-start")
        self._reads = ThreadPoolExecutor(READS_AT_ONCE, "docker-read")
        self._stops = asyncio.Semaphore(STOPS_AT_ONCE)
        self._signals = asyncio.Semaphore(SIGNALS_AT_ONCE)
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def read[T](self, call: Callable[[APIClient], T]) -> T:
        """A call that changes nothing. Raises FaultError."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, self._call, call, False)

    async def start[T](self, call: Callable[[APIClient], T]) -> T:
        """A call that creates, starts or removes. Raises FaultError."""
        return await asyncio.get_running_loop().run_in_executor(self._starts, self._call, call, True)

    async def stop[T](self, call: Callable[[APIClient], T]) -> T:
        """A call that lasts as long as a container takes to stop; it keeps no process from exiting. Raises FaultError."""
        async with self._stops:
            return await _in_daemon_thread(lambda: self._call_once(call), "docker-stop")

    async def hold[T](self, call: Callable[[APIClient], T]) -> T:
        """A call that waits for something of ours, and takes nobody's turn meanwhile; it keeps no process from exiting. Raises FaultError."""
        return await _in_daemon_thread(lambda: self._call_once(call), "docker-hold")

    async def signal[T](self, call: Callable[[APIClient], T]) -> T:
        """A call that sends a signal to a container and waits for nothing. Raises FaultError."""
        async with self._signals:
            return await _in_daemon_thread(lambda: self._call_once(call), "docker-signal")

    async def look[T](self, call: Callable[[APIClient], T]) -> T:
        """A call that looks into a container that may not answer. Raises FaultError."""
        async with self._looks:
            return await _in_daemon_thread(lambda: self._call_once(call), "docker-look")

    async def close(self) -> None:
        """Waits for the reads and starts under way; a stop goes on in the daemon without us."""
        await asyncio.to_thread(self._starts.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._reads.shutdown, cancel_futures=True)
        for client in self._clients:
            client.close()

    def _call[T](self, call: Callable[[APIClient], T], is_change: bool) -> T:
        client = self._client_of_thread()
        try:
            return call(client)
        except APIError as error:
            raise fault_of(error, is_change=is_change) from error
        except FAILURES as error:
            # The daemon that comes back may speak another version of the API.
            self._forget(client)
            raise fault_of(error, is_change=is_change) from error

    def _call_once[T](self, call: Callable[[APIClient], T]) -> T:
        try:
            return self._call(call, True)
        finally:
            if client := getattr(self._local, "client", None):
                self._forget(client)

    def _client_of_thread(self) -> APIClient:
        if not hasattr(self._local, "client"):
            try:
                self._local.client = open_client(self.url)
            except FAILURES as error:
                raise fault_of(error, is_change=False) from error
            self._clients.add(self._local.client)
        return self._local.client

    def _forget(self, client: APIClient) -> None:
        del self._local.client
        self._clients.discard(client)
        client.close()


async def _in_daemon_thread[T](call: Callable[[], T], name: str) -> T:
    """Unlike an executor's, such a thread does not keep the interpreter from exiting."""
    outcome: Future[T] = Future()
    # Begun, so that whoever stops waiting cannot cancel it: the thread always has somewhere to put what came of it.
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the outcome is awaited
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(outcome)
