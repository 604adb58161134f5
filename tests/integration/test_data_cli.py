"""`flotilla data import` as people type it, without a stack: what the command offers, the program that imports takes."""

import subprocess
import sys
from pathlib import Path

from tests.engine_processes import ROOT

ROWS = """made by hand
02.01.2024 10:01;X;1.001,5;1.001,5;1.000,0;1.001,0
02.01.2024 10:00;X;1.000,5;1.001,5;1.000,0;1.001,0
02.01.2024 10:01;Y;9,5;9,5;9,0;9,0
02.01.2024 10:01;X;1.001,5;1.001,5;1.000,0;1.001,0
"""
ALL_OPTIONS = (
    *("--type", "bars", "--instrument", "XAU/USD.SIM", "--bar-type", "XAU/USD.SIM-1-MINUTE-LAST-EXTERNAL"),
    *("--no-header", "--columns", "timestamp,symbol,open,high,low,close", "--delimiter", ";", "--skip", "1"),
    *("--decimal", ",", "--thousands", ".", "--time-format", "%d.%m.%Y %H:%M", "--timezone", "UTC"),
    *("--stamp", "open", "--default-size", "5", "--symbol", "X", "--sort", "--dedupe", "--replace"),
    *("--price-precision", "2", "--size-precision", "0", "--class", "currency-pair", "--currency", "USD"),
)


def test_every_option_of_an_import_at_once(tmp_path: Path) -> None:
    file = tmp_path / "gold.csv"
    file.write_text(ROWS)
    state = tmp_path / "state"

    def run(*arguments: str) -> str:
        argv = [sys.executable, "-m", "flotilla", "--state", str(state), *arguments]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("data", "import", str(file), *ALL_OPTIONS, "--dry-run")
    said = run("data", "import", str(file), *ALL_OPTIONS).splitlines()
    assert said[0] == "XAU/USD.SIM-1-MINUTE-LAST-EXTERNAL: 2 bars, 2024-01-02 to 2024-01-02, imported"
    shown = run("instrument", "show", "XAU/USD.SIM")
    assert "currency-pair (CurrencyPair)" in shown
