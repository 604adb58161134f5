"""What Docker's errors mean for us: first by their text, because 404 and 500 each stand for a dozen things, then by status."""

import errno
import grp
import json
import os
import pwd
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from docker.errors import APIError, DockerException
from urllib3.exceptions import HTTPError

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.supervisor.core.networks import CHOOSE_A_RANGE

FAILURES: Final = (DockerException, HTTPError, OSError, json.JSONDecodeError)
"""All that the SDK lets out; requests' own exceptions are OSErrors."""
_NAME_TAKEN: Final = re.compile(r"The container name .* is already in use")
_NETWORK_MISSING: Final = re.compile(r"network \S+ not found")
_NETWORK_IN_USE: Final = re.compile("has active endpoints")
_RANGE_TAKEN: Final = re.compile("non-overlapping IPv4 address pool|Pool overlaps with other")
_START: Final = "start one: scripts/docker-engine"
_NEVER_SENT: Final = (FileNotFoundError, ConnectionRefusedError, PermissionError)


class NotPermittedError(PermissionError):
    """A Docker engine is there, and its socket lets this account not in; `remedy` says how it would."""

    def __init__(self, path: str) -> None:
        user = _named(lambda: pwd.getpwuid(os.geteuid()).pw_name, f"user {os.geteuid()}")
        super().__init__(errno.EACCES, f"a Docker engine is there, but {user} may not use {path}")
        # The socket itself may be out of sight, as below a private folder.
        group = _named(lambda: grp.getgrgid(Path(path).stat().st_gid).gr_name, "docker")
        self.remedy = f"as root: usermod -aG {group} {user}, then log in again"


def _named(look: Callable[[], str], otherwise: str) -> str:
    try:
        return look()
    except (KeyError, OSError):
        return otherwise


class Meaning(msgspec.Struct, frozen=True):
    """A fault code, when to try again (never: null), and what a person can do about it."""

    code: FaultCode
    retry_after_s: float | None = None
    remedy: str = ""


_BY_TEXT: Final = (
    (_NAME_TAKEN, Meaning(FaultCode.CONFLICT)),
    (re.compile("no space left on device"), Meaning(FaultCode.UNAVAILABLE, 30.0, "free some disk space")),
    (re.compile("port is already allocated|address already in use"), Meaning(FaultCode.CONFLICT)),
    (
        _RANGE_TAKEN,
        Meaning(FaultCode.UNAVAILABLE, None, CHOOSE_A_RANGE),
    ),
    (re.compile("No such image"), Meaning(FaultCode.UNAVAILABLE, None, "build it: deploy/build-engine.sh")),
    (_NETWORK_MISSING, Meaning(FaultCode.UNAVAILABLE, 1.0)),
    (
        re.compile("OCI runtime create failed|failed to create (?:shim )?task|error setting rlimit"),
        Meaning(FaultCode.UNAVAILABLE, None, "the image or this host cannot start it"),
    ),
    (re.compile("unable to find user|bind source path does not exist"), Meaning(FaultCode.INVALID)),
)
_BY_STATUS: Final = {
    400: Meaning(FaultCode.INVALID),
    404: Meaning(FaultCode.NOT_FOUND),
    409: Meaning(FaultCode.CONFLICT),
}
_OTHER: Final = Meaning(FaultCode.UNAVAILABLE)


def fault_of(error: BaseException, *, is_change: bool) -> FaultError:
    """The fault that tells what went wrong. A change whose answer was lost on the way is `outcome_unknown`."""
    if isinstance(error, APIError):
        return _refusal(error)
    refused = next((cause for cause in _causes(error) if isinstance(cause, _NEVER_SENT)), None)
    if isinstance(refused, NotPermittedError):
        text = f"{refused.strerror} ({refused.remedy})"
        return fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0)
    if refused is not None:
        text = f"no Docker engine answers: {refused.strerror} ({_START})"
        return fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0)
    if is_change:
        text = f"Docker was asked and its answer was lost: {type(error).__name__}"
        return fault(FaultCode.OUTCOME_UNKNOWN, text)
    return fault(FaultCode.UNAVAILABLE, f"Docker does not answer: {error}"[:1000], retry_after_s=1.0)


def is_name_taken(error: APIError) -> bool:
    """True when a create found its name in use."""
    return _NAME_TAKEN.search(_text(error)) is not None


def is_network_missing(error: APIError) -> bool:
    """True when a start found its network gone; creating the container had succeeded."""
    return _NETWORK_MISSING.search(_text(error)) is not None


def is_network_in_use(error: APIError) -> bool:
    """True when a network was not removed because containers are on it."""
    return _NETWORK_IN_USE.search(_text(error)) is not None


def is_range_taken(error: FaultError) -> bool:
    """True when a network was not made because another has the range."""
    return isinstance(error.__cause__, APIError) and _RANGE_TAKEN.search(_text(error.__cause__)) is not None


def _refusal(error: APIError) -> FaultError:
    text = _text(error)
    meaning = next(
        (meaning for pattern, meaning in _BY_TEXT if pattern.search(text)),
        _BY_STATUS.get(error.status_code or 0, _OTHER),
    )
    message = f"Docker: {text}" + (f" ({meaning.remedy})" if meaning.remedy else "")
    return fault(meaning.code, message[:1000], retry_after_s=meaning.retry_after_s)


def _text(error: APIError) -> str:
    return str(error.explanation or error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps: the SDK, requests and urllib3 each put theirs around it, some as an argument only."""
    pending = [error]
    seen: list[BaseException] = []
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.append(current)
        yield current
        pending += [arg for arg in current.args if isinstance(arg, BaseException)]
        pending += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
