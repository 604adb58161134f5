"""What can go wrong here, beyond the faults that services answer."""

from pathlib import Path

from flotilla.schemas.backtest import BacktestView
from flotilla.schemas.engine import EngineView


class StackError(Exception):
    """The stack cannot work as it is; `remedy` says what to do about it."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


class ServerError(StackError):
    """An embedded server did not start; the text says what to do."""


class StackRunsError(StackError):
    """The state folder is in use; `pid` is the `flotilla up` that holds it, None when only its children are left."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        holder = f"by process {pid}" if pid else "by what is left of a killed stack"
        super().__init__(
            f"{folder} is in use {holder}",
            "stop it with `flotilla down`, or choose another folder with --state",
        )
        self.pid = pid


class ReaderGoneError(Exception):
    """Whoever read our output has had enough; that is no failure."""


class ProgramFailedError(Exception):
    """A program of ours ended with `exit_code`; the text is what it wrote to stderr."""

    def __init__(self, argv: list[str], exit_code: int, errors: str) -> None:
        super().__init__(errors.strip() or f"{' '.join(argv)} ended with exit code {exit_code}")
        self.exit_code = exit_code


class EngineFailedError(Exception):
    """The session that was waited for is impaired, ended, or gave way to a newer one, before it got where it was wanted."""

    def __init__(self, engine: EngineView) -> None:
        session = engine.session
        state = session.state if session else "gone"
        why = f" ({session.reason})" if session and session.reason else ""
        detail = f": {session.detail}" if session and session.detail else ""
        super().__init__(f"engine {engine.instance_id} is {state}{why}{detail}")
        self.engine = engine


class BacktestFailedError(Exception):
    """The backtest that was waited for failed, or was cancelled."""

    def __init__(self, backtest: BacktestView) -> None:
        why = f" ({backtest.reason})" if backtest.reason else ""
        detail = f": {backtest.error}" if backtest.error else ""
        super().__init__(f"backtest {backtest.backtest_id} is {backtest.status}{why}{detail}")
        self.backtest = backtest
