"""What the exit code of a command says. Scripts go by these; docs/cli.md and `flotilla --help` list them."""

from enum import IntEnum
from typing import Final

from flotilla.schemas.fault import FaultCode


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    ENGINE_FAILED = 7
    OUTCOME_UNKNOWN = 8
    INTERRUPTED = 130


MEANING: Final[dict[Exit, str]] = {
    Exit.OK: "done",
    Exit.FAILED: "failed for a reason of ours, or a check failed",
    Exit.USAGE: "the command line is wrong",
    Exit.REFUSED: "the input was refused; the field at fault is named",
    Exit.NOT_FOUND: "there is no such engine, session, backtest or template",
    Exit.CONFLICT: "not possible in the present state",
    Exit.UNAVAILABLE: "the stack, a part of it, or a venue is not there: nothing was done",
    Exit.ENGINE_FAILED: "the engine failed, or is up and does not trade, while it was waited for",
    Exit.OUTCOME_UNKNOWN: "sent, but whether it was carried out is not known",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}

OF_FAULT: Final[dict[FaultCode, Exit]] = {
    FaultCode.MALFORMED: Exit.REFUSED,
    FaultCode.CONFIRMATION_REQUIRED: Exit.REFUSED,
    FaultCode.UNAUTHENTICATED: Exit.REFUSED,
    FaultCode.FORBIDDEN: Exit.REFUSED,
    FaultCode.TOO_LARGE: Exit.REFUSED,
    FaultCode.INVALID: Exit.REFUSED,
    FaultCode.NOT_FOUND: Exit.NOT_FOUND,
    FaultCode.CONFLICT: Exit.CONFLICT,
    FaultCode.AMBIGUOUS_ENGINE: Exit.CONFLICT,
    FaultCode.BUSY: Exit.UNAVAILABLE,
    FaultCode.UNAVAILABLE: Exit.UNAVAILABLE,
    FaultCode.INTERNAL: Exit.FAILED,
    FaultCode.OUTCOME_UNKNOWN: Exit.OUTCOME_UNKNOWN,
}
