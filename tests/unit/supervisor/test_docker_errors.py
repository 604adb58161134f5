"""What Docker's errors mean for us. The texts are Docker's own."""

import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError
from urllib3.exceptions import ProtocolError

from flotilla.schemas.fault import FaultCode
from flotilla.services.supervisor.adapters.docker_errors import (
    NotPermittedError,
    fault_of,
    is_name_taken,
    is_network_missing,
)


def api_error(status: int, text: str) -> APIError:
    response: Any = requests.Response()
    response.status_code = status
    return APIError("refused", response=response, explanation=text)


@pytest.mark.parametrize(
    ("status", "text", "code", "retries"),
    [
        (404, "No such image: nope:1", FaultCode.UNAVAILABLE, False),
        (400, "invalid reference format: repository name must be lowercase", FaultCode.INVALID, False),
        (404, "No such container: x", FaultCode.NOT_FOUND, False),
        (404, "network flotilla-bus not found", FaultCode.UNAVAILABLE, True),
        (
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults",
            FaultCode.UNAVAILABLE,
            False,
        ),
        (403, "Pool overlaps with other one on this address space", FaultCode.UNAVAILABLE, False),
        (
            409,
            'Conflict. The container name "/x" is already in use by container "abc".',
            FaultCode.CONFLICT,
            False,
        ),
        (409, "You cannot remove a running container abc. Stop it first.", FaultCode.CONFLICT, False),
        (500, "driver failed: port is already allocated", FaultCode.CONFLICT, False),
        (500, "mkdir /var/lib/docker/overlay2/x-init: no space left on device", FaultCode.UNAVAILABLE, True),
        (
            400,
            "failed to create shim task: OCI runtime create failed: no such file or directory",
            FaultCode.UNAVAILABLE,
            False,
        ),
        (500, "error setting rlimit type 7: operation not permitted", FaultCode.UNAVAILABLE, False),
        (500, "unable to find user x: no matching entries in passwd file", FaultCode.INVALID, False),
        (400, "invalid mount config: bind source path does not exist: /x", FaultCode.INVALID, False),
        (400, "Minimum memory limit allowed is 6MB", FaultCode.INVALID, False),
        (400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs", FaultCode.INVALID, False),
        (500, "something new", FaultCode.UNAVAILABLE, False),
    ],
)
def test_the_table_of_refusals(status: int, text: str, code: FaultCode, retries: bool) -> None:
    found = fault_of(api_error(status, text), is_change=True).fault
    assert found.code == code
    assert text in found.message
    assert (found.retry_after_s is not None) == retries


NEVER_SENT = requests.exceptions.ConnectionError(
    ProtocolError("Connection aborted.", FileNotFoundError(2, "No such file"))
)
CUT_OFF = requests.exceptions.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError()))
TOO_SLOW = requests.exceptions.ReadTimeout("Read timed out.")


@pytest.mark.parametrize(
    ("error", "is_change", "code"),
    [
        (NEVER_SENT, True, FaultCode.UNAVAILABLE),
        (NEVER_SENT, False, FaultCode.UNAVAILABLE),
        (CUT_OFF, True, FaultCode.OUTCOME_UNKNOWN),
        (CUT_OFF, False, FaultCode.UNAVAILABLE),
        (TOO_SLOW, True, FaultCode.OUTCOME_UNKNOWN),
        (TOO_SLOW, False, FaultCode.UNAVAILABLE),
    ],
)
def test_only_a_change_that_was_sent_is_of_unknown_outcome(
    error: Exception, is_change: bool, code: FaultCode
) -> None:
    assert fault_of(error, is_change=is_change).fault.code == code


def test_an_engine_that_this_account_may_not_use_is_told_with_the_group_that_may(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.touch()
    group, user = grp.getgrgid(socket.stat().st_gid).gr_name, pwd.getpwuid(os.geteuid()).pw_name
    found = fault_of(NotPermittedError(str(socket)), is_change=True).fault
    assert found.code == FaultCode.UNAVAILABLE
    assert found.message == (
        f"a Docker engine is there, but {user} may not use {socket} (as root: usermod -aG {group} {user}, then log in again)"
    )
    assert "usermod -aG docker " in NotPermittedError(str(tmp_path / "out-of-sight")).remedy


def test_a_taken_name_is_told_from_other_conflicts() -> None:
    assert is_name_taken(
        api_error(409, 'Conflict. The container name "/x" is already in use by container "y".')
    )
    assert not is_name_taken(api_error(409, "removal of container x is already in progress"))


def test_a_missing_network_is_told_from_a_missing_container() -> None:
    assert is_network_missing(api_error(404, "network flotilla-bus not found"))
    assert not is_network_missing(api_error(404, "No such container: network"))
