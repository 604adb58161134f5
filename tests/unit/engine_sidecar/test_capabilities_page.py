"""The tables of docs/simulations.md say what there is in NautilusTrader, and what of it a backtest has."""

import inspect
import pkgutil
import re
from pathlib import Path
from typing import get_args, get_type_hints

import nautilus_trader.examples.algorithms as algorithms
from nautilus_trader.backtest import models, modules
from nautilus_trader.backtest.config import BacktestVenueConfig

from flotilla.schemas.simulation import OWN_MODELS, PLAIN, VenueFillModel, VenueSettings

PAGE = (Path(__file__).parents[3] / "docs/simulations.md").read_text()
ROWS = dict(re.findall(r"^\| `([\w.]+)`[^|]* \| (yes|no|in part): .+\|$", PAGE, re.MULTILINE))
ABSTRACT = {"FeeModel", "MarginModel", "SimulationModule"}
RENAMED = {"name": None, "latency_model": "latency", "fee_model": "fees"}


def told(head: str) -> dict[str, str]:
    found = {
        name.removeprefix(f"{head}."): word for name, word in ROWS.items() if name.startswith(f"{head}.")
    }
    assert found
    return found


def test_every_field_of_a_venues_config_is_told_and_those_that_are_reachable_are_settings() -> None:
    fields = told("BacktestVenueConfig")
    assert set(fields) == {*BacktestVenueConfig.__struct_fields__}
    reachable = {RENAMED.get(name, name) for name, word in fields.items() if word != "no"} - {None}
    assert reachable == {*VenueSettings.__struct_fields__} - {*OWN_MODELS}


def test_plain_settings_have_nautilustraders_names_and_defaults() -> None:
    theirs = dict(
        zip(
            BacktestVenueConfig.__struct_fields__[-len(BacktestVenueConfig.__struct_defaults__) :],
            BacktestVenueConfig.__struct_defaults__,
            strict=True,
        )
    )
    ours = VenueSettings()
    for name in PLAIN:
        assert getattr(ours, name) == (theirs[name] or type(getattr(ours, name))()), name


def test_every_model_is_told_and_fill_models_that_are_reachable_are_names() -> None:
    found = {
        name for name, kind in vars(models).items() if inspect.isclass(kind) and name.endswith("Model")
    } - ABSTRACT
    assert set(told("models")) == found
    names = set(get_args(get_type_hints(VenueFillModel)["name"]))
    assert {
        name for name, word in told("models").items() if name.endswith("FillModel") and word == "yes"
    } == names


def test_every_algorithm_and_simulation_module_is_told() -> None:
    assert set(told("examples.algorithms")) == {one.name for one in pkgutil.iter_modules(algorithms.__path__)}
    found = {
        name for name, kind in vars(modules).items() if inspect.isclass(kind) and name.endswith("Module")
    } - ABSTRACT
    assert set(told("modules")) == found


def test_the_page_has_every_setting_of_a_venue() -> None:
    table = PAGE.partition("| Field | Default |")[2].partition("\n\n")[0]
    heads = " ".join(line.split("|")[1] for line in table.splitlines() if line.count("|") > 3)
    assert set(re.findall(r"`(\w+)`", heads)) == {*VenueSettings.__struct_fields__}
