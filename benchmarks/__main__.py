"""Runs every figure, or those named: `python -m benchmarks [NAME …]`. Exits 1 when one is beyond its limit."""

import subprocess
import sys
from pathlib import Path

NOT_FIGURES = {
    "__init__",
    "__main__",
    "bare_node",
    "fleet",
    "followers",
    "load",
    "market",
    "pinger",
    "raw_backtest",
    "records",
    "rounds",
    "saying",
    "stack",
    "telemetry",
    "trials",
    "venues",
}


def main(names: list[str]) -> int:
    """Each figure runs in a process of its own, so that none warms another up."""
    figures = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in NOT_FIGURES)
    if unknown := set(names) - set(figures):
        sys.stderr.write(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(figures)}\n")
        return 2
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        for name in names or figures
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
