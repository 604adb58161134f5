"""How a trial ended: from its last word, its exit code, and what was done to it. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from flotilla.engine_sidecar.session.core.verdict import describe_exit
from flotilla.schemas.backtest import TrialCancelled, TrialFailed, TrialFailure

TAIL_LINES: Final = 20
_MAX_TEXT: Final = 2_000
_KILLED: Final = -9


class KillCause(StrEnum):
    """Why the worker killed a trial's process. LEFT: the worker ends, and another one shall run it."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    LEFT = "left"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a trial whose process is gone. `refused` is its own last word; `is_whole`: all of its result came."""

    exit_code: int
    is_whole: bool = False
    refused: tuple[TrialFailure, str] | None = None
    killed_for: KillCause | None = None
    is_oom: bool = False
    timeout_s: float | None = None
    log_tail: Sequence[str] = ()

    @property
    def is_open(self) -> bool:
        """It says nothing of the trial, which shall be run again: the worker ends, or somebody else killed the process."""
        if self.is_whole or self.refused is not None:
            return False
        was_killed = self.killed_for is None and self.exit_code == _KILLED and not self.is_oom
        return was_killed or self.killed_for is KillCause.LEFT


def verdict(ending: Ending) -> TrialFailed | TrialCancelled | None:  # noqa: PLR0911  one row per ending
    """What to tell of the trial; None when it gave its result, which counts whatever came after."""
    if ending.is_whole:
        return None
    if ending.refused is not None:
        return _failed(ending, *ending.refused)
    match ending.killed_for:
        case KillCause.CANCEL:
            return TrialCancelled()
        case KillCause.TIMEOUT:
            return _failed(ending, TrialFailure.TIMEOUT, f"it did not end within {ending.timeout_s:g} s")
        case KillCause.MEMORY:
            return _failed(ending, TrialFailure.OOM, "it used more than its share of the worker's memory")
    if ending.is_oom and ending.exit_code == _KILLED:
        return _failed(ending, TrialFailure.OOM, "killed by the kernel: out of memory")
    return _failed(ending, TrialFailure.CRASH, f"its process {describe_exit(ending.exit_code)}")


def _failed(ending: Ending, reason: TrialFailure, detail: str) -> TrialFailed:
    tail = tuple(_cut(line) for line in ending.log_tail[-TAIL_LINES:])
    return TrialFailed(reason=reason, detail=_cut(detail), exit_code=ending.exit_code, log_tail=tail)


def _cut(text: str) -> str:
    return text[:_MAX_TEXT].replace("\0", "\ufffd")
