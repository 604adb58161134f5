"""How a command says that it failed: what, which field, what to do about it, and the id that finds the log line."""

import sys

import msgspec

from flotilla.schemas.fault import Fault, FaultError
from flotilla.schemas.states import RunState
from flotilla.show.remedies import Asked, remedy_of
from flotilla.state.errors import (
    BacktestFailedError,
    EngineFailedError,
    ProgramFailedError,
    StackError,
    StackRunsError,
)
from flotilla.state.exits import OF_FAULT, Exit

_NOTHING = Asked()


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is told of a failure. `errors` are (field, message)."""

    exit_code: int
    code: str
    message: str
    errors: tuple[tuple[str, str], ...] = ()
    remedy: str = ""
    error_id: str = ""
    log_tail: tuple[str, ...] = ()

    def show(self, *, is_json: bool) -> None:
        """Writes it to stderr."""
        text = msgspec.json.encode({"error": self}).decode() if is_json else self._text()
        print(text, file=sys.stderr)

    def _text(self) -> str:
        lines = [f"error: {self.message}"]
        if len(self.errors) > 1:
            lines = ["error: the input was refused", *(f"  {field}: {why}" for field, why in self.errors)]
        elif self.errors and self.errors[0][0] not in self.message:
            lines.append(f"  field: {self.errors[0][0]}")
        lines += [f"  | {line}" for line in self.log_tail]
        lines += [f"  remedy: {self.remedy}"] if self.remedy else []
        lines += [f"  error id: {self.error_id}"] if self.error_id else []
        return "\n".join(lines)


def failure_of(error: Exception, asked: Asked = _NOTHING) -> Failure | None:
    """What to tell of an error in what was `asked`; None for one that nobody expected."""
    match error:
        case FaultError():
            return _of_fault(error.fault, asked)
        case EngineFailedError():
            return _of_engine(error)
        case BacktestFailedError():
            return _of_backtest(error)
        case StackError():
            is_taken = isinstance(error, StackRunsError)
            return _plain(str(error), error.remedy, exit_code=Exit.CONFLICT if is_taken else Exit.FAILED)
        case ProgramFailedError() | OSError():
            return _plain(str(error))
        case _:
            return None


def _of_fault(problem: Fault, asked: Asked) -> Failure:
    return Failure(
        exit_code=OF_FAULT[problem.code],
        code=problem.code,
        message=problem.message,
        errors=tuple((error.field, error.message) for error in problem.errors),
        remedy=remedy_of(problem, asked),
        error_id=problem.error_id,
    )


def _of_engine(error: EngineFailedError) -> Failure:
    session = error.engine.session
    exit_code = f", exit code {session.exit_code}" if session and session.exit_code is not None else ""
    return Failure(
        exit_code=Exit.ENGINE_FAILED,
        code="engine_failed",
        message=f"{error}{exit_code}",
        remedy=_after(error.engine.instance_id, session.state if session else None),
        log_tail=session.log_tail if session else (),
    )


def _after(name: str, state: RunState | None) -> str:
    if state != RunState.MISMATCH:
        return f"`flotilla engine logs {name}` shows more"
    return (
        f"look at the venue: `flotilla engine accept {name}` takes it as it is, `flotilla engine flatten {name}` closes what the engine knows "
        f"of; `flotilla engine inspect {name}` shows what differs"
    )


def _of_backtest(error: BacktestFailedError) -> Failure:
    return Failure(
        exit_code=Exit.FAILED,
        code=f"backtest_{error.backtest.status}",
        message=str(error),
        remedy=f"`flotilla backtest show {error.backtest.backtest_id}` shows all that is known of it",
        log_tail=error.backtest.log_tail,
    )


def _plain(message: str, remedy: str = "", *, exit_code: Exit = Exit.FAILED) -> Failure:
    return Failure(exit_code=exit_code, code=exit_code.name.lower(), message=message, remedy=remedy)
