"""People's own templates beside ours, on a whole stack: NautilusTrader itself says which classes there are."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.catalog import TemplateList
from tests.e2e.stacks import RunningStack

OURS = json.loads((Path(__file__).parents[2] / "templates/strategies/ema_cross.json").read_text())
CLASS = "nautilus_trader.examples.strategies.ema_cross:EMACross"


def template(name: str, **changes: Any) -> str:
    return json.dumps({**OURS, "name": name, **changes})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("own") / "strategies"
    folder.mkdir()
    for name, text in {
        "mine": template("mine"),
        "ema_cross": template("ema_cross"),
        "broken": "{",
        "absent": template("absent", strategy_path=f"{CLASS}ing"),
        "odd": template("odd", config={**OURS["config"], "colour": "red"}),
    }.items():
        (folder / f"{name}.json").write_text(text)
    made = RunningStack("process")
    made.start("--templates", str(folder.parent))
    yield made
    made.remove()


async def told(fleet: Flotilla, *files: str) -> TemplateList:
    """The list of templates, when these files are among its faults."""
    deadline = time.monotonic() + 60
    while True:
        found = await fleet.templates("strategy")
        if {Path(each.file).stem for each in found.faults} >= set(files):
            return found
        assert time.monotonic() < deadline, found.faults
        await asyncio.sleep(0.1)


async def test_what_cannot_be_run_is_told_and_the_rest_is_served(fleet: Flotilla) -> None:
    found = await told(fleet, "absent", "odd", "broken", "ema_cross")
    why = {Path(each.file).stem: each.message for each in found.faults}
    assert set(why) == {"absent", "odd", "broken", "ema_cross"}
    assert "EMACrossing" in why["absent"]
    assert "colour" in why["odd"]
    assert "one of ours" in why["ema_cross"]
    assert {"mine", "ema_cross", "simple_momentum"} <= {each.name for each in found.templates}


async def test_a_validation_asks_nautilustrader_and_starts_nothing(fleet: Flotilla) -> None:
    sound = await fleet.validate_strategy("mine", {"fast_ema_period": 5})
    assert sound.is_valid
    assert "NautilusTrader" in sound.message
    assert "not asked" not in sound.message
    wrong = await fleet.validate_strategy("mine", {"fast_ema_period": 50, "trade_size": -5, "x": 1})
    assert {error.field for error in wrong.errors} == {
        "parameters.fast_ema_period",
        "parameters.trade_size",
        "parameters.x",
    }


def test_an_engine_runs_a_template_of_ones_own(stack: RunningStack) -> None:
    done = stack.cli("engine", "start", "own", "--strategy", "mine", "--set", "fast_ema_period=5")
    assert done.returncode == 0, done.stderr
    done = stack.cli("engine", "start", "odd", "--strategy", "absent")
    assert done.returncode != 0
    assert "absent" in done.stderr
