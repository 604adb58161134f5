"""What a check said, and what that means. Pure."""

from typing import Final, NamedTuple

import msgspec

from flotilla.schemas.fault import FaultCode, FaultError, fault

MAX_BYTES: Final = 1 << 20
KILLED: Final = 137
_SHOWN: Final = 300


READY_S: Final = 600.0
"""So long at most a check waits for its question, once it is begun."""
LONGEST_S: Final = READY_S + 120.0
"""And so long at most it lives, with its answer."""


class Question(NamedTuple):
    """What a check is asked, and how long it may take from then on."""

    line: bytes
    timeout_s: float


class CheckOutput(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended (null: it had not when its time was over) and what it printed, cut after little more than MAX_BYTES."""

    exit_code: int | None
    stdout: bytes = b""
    stderr: bytes = b""


def answer_in[T](output: CheckOutput, kind: type[T], what: str) -> T:
    """The answer, which is the last line. Raises FaultError `unavailable` when there is none: nothing is known of `what` then."""
    if output.exit_code in (None, KILLED):
        raise _no_answer(what, "it took too long, or too much memory")
    if output.exit_code != 0:
        last_words = output.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _no_answer(what, f"it ended with exit code {output.exit_code}: {last_words[:_SHOWN]}")
    if len(output.stdout) > MAX_BYTES:
        raise _no_answer(what, "it said too much")
    try:
        return msgspec.json.decode(output.stdout.strip().rpartition(b"\n")[2], type=kind)
    except msgspec.DecodeError as error:
        raise _no_answer(what, f"its answer cannot be read: {error}") from None


def _no_answer(what: str, why: str) -> FaultError:
    return fault(FaultCode.UNAVAILABLE, f"{what} could not be checked: {why}")
