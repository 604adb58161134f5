"""`flotilla instrument` as people type it: without a stack, in words and as JSON, with the exit codes of the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine_processes import ROOT


class Cli:
    """The command line on a state folder of its own."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it printed: results, or errors where it exits with another code than 0."""
        argv = [sys.executable, "-m", "flotilla", "--state", str(self._state), "instrument", *arguments]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(tmp_path_factory.mktemp("state"))


def test_an_instrument_is_described_shown_and_changed(cli: Cli, tmp_path: Path) -> None:
    said = cli("add", "ES", "--expiry", "2024-03", "--taker-fee", "0.00001")
    assert said.splitlines()[0] == "ESH4.CME: future, added"
    assert "  maker_fee 0: trading costs nothing unless the run has a commission" in said.splitlines()
    shown = cli("show", "ESH4.CME")
    assert ["multiplier", "50", "USD per point and contract"] in [
        line.split(None, 2) for line in shown.splitlines()
    ]
    assert shown.splitlines()[-1] == "no data depends on it"
    file = tmp_path / "es.json"
    file.write_text(cli("show", "ESH4.CME", "--json"))
    nautilus: dict[str, Any] = json.loads(file.read_text())["nautilus"]
    assert (nautilus["type"], nautilus["multiplier"], nautilus["taker_fee"]) == (
        "FuturesContract",
        "50",
        "0.00001",
    )
    changed = cli("add", "ESH4.CME", "--from-json", str(file), "--multiplier", "5").splitlines()
    assert changed[:2] == ["ESH4.CME: future, replaced", "  multiplier 50 → 5"]
    assert cli("import", str(file)).splitlines()[1] == "  multiplier 5 → 50"
    assert cli("ls").splitlines()[1].split() == [
        "ESH4.CME",
        "future",
        "USD",
        "0.25",
        "1",
        "50",
        "0.00001",
        "0",
    ]


def test_what_is_wrong_is_refused_by_its_field_with_exit_code_3(cli: Cli) -> None:
    said = cli("add", "X.CME", "--class", "future", "--currency", "USDX", "--tick", "0", code=3)
    assert "X.CME: asset_class must be given (--asset-class)" in said
    assert "price_increment must be above 0, not 0" in said
    assert "currency 'USDX' is no currency that NautilusTrader knows" in said
    assert "the catalog has no instrument NOPE.SIM" in cli("rm", "NOPE.SIM", code=3)
