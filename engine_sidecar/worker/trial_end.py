"""How a trial ended: from its last word, its exit code, and what was done to it. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from flotilla.engine_sidecar.session.core.final_state import describe_exit
from flotilla.schemas.backtest import TrialCancelled, TrialFailed, TrialFailure

TAIL_LINES: Final = 20
_MAX_TEXT: Final = 2_000
_KILLED: Final = -9


class TrialKill(StrEnum):
    """Why the worker killed a trial's process. LEFT: the worker ends, and another one shall run it."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    LEFT = "left"


class TrialEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a trial whose process is gone. `refused` is its own last word; `is_whole`: all of its result came."""

    exit_code: int
    is_whole: bool = False
    refused: tuple[TrialFailure, str] | None = None
    killed_for: TrialKill | None = None
    is_oom: bool = False
    timeout_s: float | None = None
    log_tail: Sequence[str] = ()

    @property
    def is_open(self) -> bool:
        """It says nothing of the trial, which shall be run again: the worker ends, or somebody else killed the process."""
        if self.is_whole or self.refused is not None:
            return False
        was_killed = self.killed_for is None and self.exit_code == _KILLED and not self.is_oom
        return was_killed or self.killed_for is TrialKill.LEFT


def told_of(end: TrialEnd) -> TrialFailed | TrialCancelled | None:  # noqa: PLR0911  one row per end
    """What to tell of the trial; None when it gave its result, which counts whatever came after."""
    if end.is_whole:
        return None
    if end.refused is not None:
        return _failed(end, *end.refused)
    match end.killed_for:
        case TrialKill.CANCEL:
            return TrialCancelled()
        case TrialKill.TIMEOUT:
            return _failed(end, TrialFailure.TIMEOUT, f"it did not end within {end.timeout_s:g} s")
        case TrialKill.MEMORY:
            return _failed(end, TrialFailure.OOM, "it used more than its share of the worker's memory")
    if end.is_oom and end.exit_code == _KILLED:
        return _failed(end, TrialFailure.OOM, "killed by the kernel: out of memory")
    return _failed(end, TrialFailure.CRASH, f"its process {describe_exit(end.exit_code)}")


def _failed(end: TrialEnd, reason: TrialFailure, detail: str) -> TrialFailed:
    tail = tuple(_cut(line) for line in end.log_tail[-TAIL_LINES:])
    return TrialFailed(reason=reason, detail=_cut(detail), exit_code=end.exit_code, log_tail=tail)


def _cut(text: str) -> str:
    return text[:_MAX_TEXT].replace("\0", "\ufffd")
