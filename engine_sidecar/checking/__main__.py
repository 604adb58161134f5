"""`python -m flotilla.engine_sidecar.checking`: one PlanCheck as JSON on stdin, one PlanProblems on stdout; no sidecar, no bus.

Exit code 78 says that the input could not be read. What is checked is not trusted: each strategy, and the plan, has a process of
its own, which may end or hang as it likes.
"""

import sys
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.engine_sidecar.checking.isolated_check import PATIENCE_S, IsolatedCheck
from flotilla.engine_sidecar.strategies.import_path import extend_path
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import PlanCheck, PlanProblems

MAX_BYTES: Final = 4 << 20


def problems_of(check: PlanCheck, patience_s: float = PATIENCE_S) -> PlanProblems:
    """Everything that NautilusTrader refuses. Takes little more than `patience_s`, however much is checked."""
    from flotilla.engine_sidecar.checking import plan_check  # noqa: PLC0415 - a second, once for all trials
    from flotilla.engine_sidecar.engine import preload  # noqa: F401, PLC0415 - a second, once for all trials

    extend_path()
    trials = [
        IsolatedCheck(f"strategies[{index}]", _judging(plan_check.strategy_problems, index, strategy))
        for index, strategy in enumerate(check.strategies)
    ]
    if (plan := check.plan) is not None:
        trials.append(IsolatedCheck("plan", lambda: plan_check.plan_problems(plan)))
    found = [problem for trial in trials for problem in trial.verdict(patience_s)]
    return PlanProblems(problems=tuple(found))


def _judging[T](
    judge: Callable[[str, T], list[FieldError]], index: int, item: T
) -> Callable[[], list[FieldError]]:
    return lambda: judge(f"strategies[{index}]", item)


def main() -> int:
    """Reads, checks, answers."""
    line = sys.stdin.buffer.readline(MAX_BYTES + 1)
    try:
        check = msgspec.json.decode(line, type=PlanCheck)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        sys.stderr.write(f"the check cannot be read: {error}\n")
        return 78
    sys.stdout.write(msgspec.json.encode(problems_of(check)).decode() + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
