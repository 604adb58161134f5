"""`python -m flotilla.engine_sidecar.backtest CATALOG`: a TrialPlan as JSON on stdin; on stdout a line per progress, and the result.

Each line is an object with one key, `progress`, `result` or `refused`. Exit code 0 with a result, 78 for a plan that cannot be run.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from flotilla.engine_sidecar.backtest.building import TrialRefusedError
from flotilla.engine_sidecar.backtest.running import run_trial
from flotilla.engine_sidecar.replay.streams import WrongDataError
from flotilla.schemas.backtest import TrialPlan

EX_CONFIG = 78


def main(argv: list[str]) -> int:
    """The command line; returns the exit code."""
    if len(argv) != 1:
        print("usage: python -m flotilla.engine_sidecar.backtest CATALOG < plan.json", file=sys.stderr)
        return 2
    try:
        plan = msgspec.json.decode(sys.stdin.buffer.read(), type=TrialPlan)
        result = run_trial(plan, Path(argv[0]), lambda progress: _say("progress", progress)).result
    except (msgspec.MsgspecError, TrialRefusedError, WrongDataError) as error:
        _say("refused", str(error))
        return EX_CONFIG
    _say("result", result)
    return 0


def _say(key: str, value: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({key: value}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
