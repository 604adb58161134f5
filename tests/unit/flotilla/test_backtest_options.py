"""From the options of `backtest run` and `study run` to configurations."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from flotilla.cli.backtest_options import given_config
from flotilla.cli.main import cli
from flotilla.cli.study_options import axis, study_config
from flotilla.client.backtest_config import with_instruments, with_range
from flotilla.schemas.backtest import Axis, BacktestConfig, FillModelChoice, StudyKind
from flotilla.schemas.catalog import CatalogEntry, Parameter, TemplateView
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultError

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
TEMPLATE = TemplateView(
    name="ema_cross",
    kind="strategy",
    file="ema_cross.json",
    description="",
    parameters={
        "instrument_id": Parameter(type="instrument", help="", default="SPX.SIM"),
        "bar_type": Parameter(type="bar_type", help="", default=BARS),
    },
)


def given(**options: Any) -> dict[str, Any]:
    return given_config(**{"config_file": None, "param": (), "strategy": "ema_cross", **options})


def held(instrument: str, first: int, last: int) -> CatalogEntry:
    return CatalogEntry(
        data_type="bars",
        identifier=f"{instrument}-1-DAY-LAST-EXTERNAL",
        instrument_id=instrument,
        start=datetime(first, 1, 2, tzinfo=UTC),
        end=datetime(last, 12, 30, tzinfo=UTC),
        files=1,
        size_bytes=1,
    )


def test_options_become_the_fields_of_the_contract() -> None:
    made = given(
        param=("fast_ema_period=5", "trade_size=10"),
        instrument=("SPX.SIM",),
        bar_type=(BARS,),
        start="2000-01-01",
        end="2001-01-01",
        balance=1000.0,
        currency="EUR",
        latency_ms=5.0,
        prob_slippage=0.5,
        venue=("SIM",),
        tick_data=False,
        seed=0,
    )
    config: BacktestConfig = convert(made, BacktestConfig)
    assert config.strategy_config == {"fast_ema_period": 5, "trade_size": 10}
    assert (made["start_date"], made["initial_balance"], made["base_currency"]) == (
        "2000-01-01",
        1000.0,
        "EUR",
    )
    assert config.fill_model == FillModelChoice(prob_slippage=0.5)
    assert "tick_data" not in made


def test_kinds_of_data_and_composite_bar_types_are_given_by_options() -> None:
    composite = "SPX.SIM-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL"
    made = given(data_types=("order_book_deltas", "quotes"), buffer_deltas=True, bar_type=(composite,))
    made = with_range(with_instruments(made, {}), [held("SPX.SIM", 2001, 2003)])
    config: BacktestConfig = convert(made, BacktestConfig)
    assert [str(kind) for kind in config.data_types] == ["order_book_deltas", "quotes"]
    assert (config.buffer_deltas, config.use_mark_prices, config.instruments) == (True, False, ("SPX.SIM",))


def test_dates_are_those_of_the_kinds_that_are_read() -> None:
    books = msgspec.structs.replace(
        held("SPX.SIM", 2010, 2011), data_type="order_book_deltas", identifier="SPX.SIM"
    )
    entries = [held("SPX.SIM", 2001, 2003), books]
    made = with_range({"instruments": ["SPX.SIM"], "data_types": ["order_book_deltas"]}, entries)
    assert (made["start_date"], made["end_date"]) == ("2010-01-02", "2011-12-30")


def test_options_stand_above_the_file() -> None:
    file = io.BytesIO(b'{"strategy": "grid", "seed": 3, "strategy_config": {"a": 1, "b": 2}}')
    made = given(config_file=file, strategy=None, strategy_class="m:S", param=("b=3",), seed=7)
    assert made == {"strategy_class": "m:S", "seed": 7, "strategy_config": {"a": 1, "b": 3}}


def test_a_seed_of_zero_is_put_over_the_files() -> None:
    assert given(config_file=io.BytesIO(b'{"seed": 3}'), seed=0)["seed"] == 0


@pytest.mark.parametrize("options", [{"strategy": None}, {"strategy_class": "m:S"}])
def test_no_strategy_and_two_are_wrong_command_lines(options: dict[str, Any]) -> None:
    with pytest.raises(click.UsageError, match="strategy"):
        given(**options)


def test_wheels_go_with_code_that_is_uploaded(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="--wheels goes with --file"):
        given(wheels=tmp_path)
    assert given(file=tmp_path, wheels=tmp_path, strategy=None) == {}
    arguments = ["engine", "start", "e1", "--strategy", "mine", "--wheels", str(tmp_path)]
    refused = CliRunner().invoke(cli, arguments)
    assert (refused.exit_code, "--wheels goes with --dev" in refused.output) == (2, True)


def test_several_strategies_and_what_is_beside_them_are_options_too() -> None:
    made = given(
        strategy=None,
        add_strategy=("ema_cross,fast_ema_period=5", "m:Own,size=2,config_class=m:Other"),
        actor=("m:Watch",),
        exec_algorithm=("m:Slow,seconds=3",),
        venue_set=("SIM.oms_type=HEDGING", "SIM.fees.kind=maker_taker", 'X.starting_balances=["1 BTC"]'),
        warm_up=True,
    )
    assert made == {
        "strategies": [
            {"template": "ema_cross", "parameters": {"fast_ema_period": 5}},
            {"strategy_path": "m:Own", "config_path": "m:Other", "config": {"size": 2}},
        ],
        "actors": [{"path": "m:Watch", "config": {}}],
        "exec_algorithms": [{"path": "m:Slow", "config": {"seconds": 3}}],
        "venue_settings": {
            "SIM": {"oms_type": "HEDGING", "fees": {"kind": "maker_taker"}},
            "X": {"starting_balances": ["1 BTC"]},
        },
        "warm_up": True,
    }


def test_settings_of_venues_are_put_over_those_of_the_file() -> None:
    file = io.BytesIO(b'{"strategies": [{}], "venue_settings": {"SIM": {"oms_type": "HEDGING"}}}')
    made = given(config_file=file, strategy="ema_cross", venue_set=("SIM.routing=true",))
    assert made["venue_settings"] == {"SIM": {"oms_type": "HEDGING", "routing": True}}
    assert (made["strategy"], "strategies" in made) == ("ema_cross", False)


@pytest.mark.parametrize("text", ["SIM=1", "SIM.=1", "SIM.a.b.c=1", "SIM.a"])
def test_a_setting_of_no_venue_is_a_wrong_command_line(text: str) -> None:
    with pytest.raises(click.UsageError):
        given(venue_set=(text,))


def test_a_file_that_is_not_as_it_must_be_is_left_to_be_refused() -> None:
    file = io.BytesIO(b'{"strategies": [1, {"template": "x", "parameters": 3}], "venue_settings": [1]}')
    made = given(config_file=file, strategy=None)
    assert made["venue_settings"] == [1]
    assert "instruments" not in with_instruments(made, {})
    assert "instruments" not in with_instruments({"strategies": 5}, {})
    with pytest.raises(FaultError, match="strategies"):
        convert({**made, "start_date": "2000-01-01", "end_date": "2001-01-01"}, BacktestConfig, "config")


def test_a_value_and_a_part_of_it_are_not_given_at_once() -> None:
    with pytest.raises(click.UsageError, match="fees is given as a value already"):
        given(venue_set=("SIM.fees=1", "SIM.fees.kind=fixed"))


def test_instruments_of_several_strategies_are_all_of_theirs() -> None:
    several = [
        {"template": "ema_cross"},
        {"template": "ema_cross", "parameters": {"instrument_id": "IXIC.SIM"}},
        {"strategy_path": "m:Own", "config_path": "m:C", "config": {"instrument_id": "BTC.X"}},
    ]
    found = with_instruments({"strategies": several}, {"ema_cross": TEMPLATE})
    assert found["instruments"] == ["SPX.SIM", "IXIC.SIM", "BTC.X"]


def test_instruments_come_from_the_bar_types_else_from_the_parameters_else_from_the_template() -> None:
    templates = {"ema_cross": TEMPLATE}
    assert with_instruments(given(), templates)["instruments"] == ["SPX.SIM"]
    own = given(param=("instrument_id=IXIC.SIM",))
    assert with_instruments(own, templates)["instruments"] == ["IXIC.SIM"]
    named = given(bar_type=("EUR/USD.SIM-1-MINUTE-BID-EXTERNAL",))
    assert with_instruments(named, templates)["instruments"] == ["EUR/USD.SIM"]
    assert "instruments" not in with_instruments({"strategy_class": "m:S"}, templates)


def test_dates_and_venues_come_from_what_the_catalog_holds_of_the_instruments() -> None:
    entries = [held("A.X", 2001, 2003), held("B.Y", 2002, 2005), held("C.Z", 1990, 2020)]
    made = with_range({"instruments": ["A.X", "B.Y"], "end_date": "2004-01-01"}, entries)
    assert (made["start_date"], made["end_date"], made["venues"]) == ("2001-01-02", "2004-01-01", ["X", "Y"])


def test_what_the_catalog_does_not_hold_is_left_to_be_refused() -> None:
    assert "start_date" not in with_range({"instruments": ["A.X"]}, [])


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("fast=5,10,20", {"values": [5, 10, 20]}),
        ("slow=20:60:10", {"low": 20, "high": 60, "step": 10}),
        ("share=0.1:0.9", {"low": 0.1, "high": 0.9}),
        ("mode=on", {"values": ["on"]}),
        ("at=09:30:00", {"values": ["09:30:00"]}),
    ],
)
def test_an_axis_is_a_list_or_a_range(option: str, values: dict[str, Any]) -> None:
    assert axis(option) == (option.partition("=")[0], values)


@pytest.mark.parametrize("option", ["fast", "=5", "fast="])
def test_an_axis_without_name_or_values_is_a_wrong_command_line(option: str) -> None:
    with pytest.raises(click.UsageError, match="NAME="):
        axis(option)


def test_a_study_has_the_axes_and_the_defaults_of_the_contract() -> None:
    base = BacktestConfig(
        start_date="2000-01-01", end_date="2001-01-01", instruments=("A.X",), strategy="ema_cross"
    )
    options: dict[str, Any] = {"kind": "random", "best_by": None, "samples": 9, "lowest": False}
    made = study_config(base, axes=("fast=1:9",), choice_seed=4, **options)
    assert made.kind == StudyKind.RANDOM
    assert made.axes == {"fast": Axis(low=1.0, high=9.0)}
    assert (made.samples, made.seed, made.best_by, made.base) == (9, 4, "sharpe_ratio", base)
    with pytest.raises(FaultError, match="samples"):
        study_config(base, axes=("fast=1:9",), choice_seed=None, **{**options, "samples": 0})
