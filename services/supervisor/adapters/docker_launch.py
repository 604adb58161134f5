"""Making one container run, step by step in one thread: create or adopt, connect, put the launch line on its stdin, start."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError, NotFound

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.supervisor.adapters.docker_errors import FAILURES, is_name_taken
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.adopt import Verdict, judge
from flotilla.services.supervisor.core.inspected import Inspected, existing_of, inspected

log = get_logger(__name__)

ATTEMPTS: Final = 20
PAUSE_S: Final = 0.1


def ensure_container(
    client: APIClient,
    name: str,
    config: dict[str, Any],
    line: bytes,
    networks: tuple[str, ...] = (),
    *,
    go_on: Callable[[], None] = lambda: None,
) -> Inspected:
    """The container of that name, running or ended. It is created first and looked at only when the name is taken.

    `networks` are those besides the one in its config; `go_on` see ContainerRuntime.ensure.

    The name can be taken although nobody saw it a moment ago: the daemon finishes a create whose client died. Raises what the
    SDK raises, and FaultError `conflict` for a name that is somebody else's.
    """
    for _ in range(ATTEMPTS):
        if created := _create(client, name, config):
            _launch(client, created, line, networks, go_on)
            return _started(client, created)
        if (found := find(client, name)) is None:
            continue
        match _judge(found, config["Labels"]):
            case Verdict.ADOPT:
                return found
            case Verdict.REPLACE:
                # Not by force: should it have been started meanwhile, it is adopted in the next round.
                remove_if_not_running(client, found.id)
            case Verdict.WAIT:
                time.sleep(PAUSE_S)
    raise fault(FaultCode.CONFLICT, f"the name {name} does not come free", retry_after_s=1.0)


def find(client: APIClient, name_or_id: str) -> Inspected | None:
    """What Docker says of a container, None when there is none."""
    try:
        return inspected(client.inspect_container(name_or_id))
    except NotFound:
        return None


def remove_if_not_running(client: APIClient, container_id: str) -> bool:
    """Deletes a container with its anonymous volumes; False when it runs. One that is gone is a success."""
    try:
        client.remove_container(container_id, v=True)
    except NotFound:
        return True
    except APIError as error:
        if error.status_code != 409:
            raise
        # The other 409 says that its removal is under way already.
        return "already in progress" in str(error.explanation)
    return True


def _create(client: APIClient, name: str, config: dict[str, Any]) -> str | None:
    try:
        created: dict[str, str] = client.create_container_from_config(config, name)
    except APIError as error:
        if is_name_taken(error):
            return None
        raise
    return created["Id"]


def _judge(found: Inspected, labels: dict[str, str]) -> Verdict:
    return judge(
        existing_of(found),
        owner=labels[names.OWNER],
        session_id=labels[names.SESSION],
        spec_hash=labels[names.SPEC],
    )


def _launch(
    client: APIClient, container_id: str, line: bytes, networks: tuple[str, ...], go_on: Callable[[], None]
) -> None:
    try:
        for network in networks:
            client.connect_container_to_network(container_id, network)
        with stdin_of(client, container_id) as stdin:
            # Before the start: whoever dies in between, a container that runs has got its line.
            rest = _send_what_fits(stdin, line)
            go_on()
            client.start(container_id)
            if rest:
                # What is over some 200 KB must wait until somebody reads; one that ends before it did tells by its exit code.
                with suppress(BrokenPipeError, ConnectionResetError):
                    stdin.sendall(rest)
    except (APIError, FaultError):
        _clean_up(client, container_id)
        raise


def _started(client: APIClient, container_id: str) -> Inspected:
    try:
        return inspected(client.inspect_container(container_id))
    except APIError:
        raise
    except FAILURES as error:
        # Not `unavailable`, which would say that nothing happened.
        raise fault(FaultCode.OUTCOME_UNKNOWN, "it was started, and Docker went away") from error


def _send_what_fits(connection: socket.socket, data: bytes) -> bytes:
    timeout_s = connection.gettimeout()
    connection.setblocking(False)
    sent = connection.send(data)
    connection.settimeout(timeout_s)
    return data[sent:]


@contextmanager
def stdin_of(client: APIClient, container_id: str) -> Iterator[socket.socket]:
    """A container's stdin, which ends when the block does."""
    stream = client.attach_socket(container_id, params={"stdin": 1, "stream": 1})
    try:
        yield stream._sock  # the SDK hands out a read-only wrapper of it
    finally:
        stream._response.close()


def _clean_up(client: APIClient, container_id: str) -> None:
    """A start that is refused leaves the container there, and the next ensure would find it."""
    try:
        client.remove_container(container_id, v=True, force=True)
    except FAILURES as error:
        log.warning("container that did not start was left", container_id=container_id, error=repr(error))
