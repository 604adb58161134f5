"""One question to a container that is thrown away: a line in on stdin, its output out."""

import secrets
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import closing
from typing import Any, Final

from docker import APIClient
from docker.errors import NotFound
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ReadTimeout

from flotilla.bus.logs import get_logger
from flotilla.services.supervisor.adapters.docker_errors import FAILURES
from flotilla.services.supervisor.adapters.docker_launch import stdin_of
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.check_output import MAX_BYTES, CheckOutput, Question

log = get_logger(__name__)


_TAIL_LINES: Final = 5


def run_check(client: APIClient, config: dict[str, Any], asked: Future[Question | None]) -> CheckOutput:
    """Waits to be asked, and runs it to its end, or for the time of the question; nothing is left of it. None ends it unasked.

    Raises what the SDK raises.
    """
    container_id = client.create_container_from_config(config, f"flotilla-check-{secrets.token_hex(6)}")["Id"]
    try:
        with stdin_of(client, container_id) as stdin:
            client.start(container_id)
            question = asked.result()
            if question is None:
                return CheckOutput(exit_code=None)
            # One that ends before it has read tells by its exit code.
            try:
                stdin.sendall(question.line)
            except (BrokenPipeError, ConnectionResetError):
                log.debug("check ended before it was told", container_id=container_id)
        exit_code = _wait(client, container_id, question.timeout_s)
        return CheckOutput(
            exit_code=exit_code,
            stdout=_said(client, container_id),
            stderr=client.logs(container_id, stdout=False, stderr=True, tail=_TAIL_LINES),
        )
    finally:
        remove_check(client, container_id)


def sweep_checks(client: APIClient, owner: str) -> int:
    """Removes what a supervisor that died left of its checks; returns how many."""
    left = client.containers(all=True, filters={"label": f"{names.CHECK}={owner}"})
    for row in left:
        remove_check(client, row["Id"])
    return len(left)


def remove_check(client: APIClient, container_id: str) -> None:
    """Deletes it, running or not. What is left, because Docker went away, is swept at the next start."""
    try:
        client.remove_container(container_id, v=True, force=True)
    except NotFound:
        return
    except FAILURES as error:
        log.warning("container of a check was left", container_id=container_id, error=repr(error))


def _wait(client: APIClient, container_id: str, timeout_s: float) -> int | None:
    """Its exit code, None when it still ran after `timeout_s`."""
    try:
        return int(client.wait(container_id, timeout=timeout_s)["StatusCode"])
    except (ReadTimeout, RequestsConnectionError) as error:
        if "Read timed out" not in str(error):
            raise
        return None


def _said(client: APIClient, container_id: str) -> bytes:
    # The SDK's own way hands out a stream that cannot be closed before its end.
    url = client._url("/containers/{0}/logs", container_id)
    with closing(client._get(url, params={"stdout": 1, "stderr": 0}, stream=True)) as response:
        client._raise_for_status(response)
        return _bounded(client._multiplexed_response_stream_helper(response))


def _bounded(chunks: Iterable[bytes]) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > MAX_BYTES:
            break
    return bytes(found[: MAX_BYTES + 1])
