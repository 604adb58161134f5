"""From the options of `engine start` to a configuration."""

import io
from typing import Any

import click
import pytest

from flotilla.cli.engine_options import engine_config, pairs
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.dead_man import DeadManChoice
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import DeadManPolicy


def config(**given: Any) -> EngineConfig:
    return engine_config(
        **{"name": "a", "config_file": None, "param": (), "strategy": None, "settings": (), **given}
    )


def test_nothing_said_is_a_sandbox_on_paper() -> None:
    made = config()
    assert (made.instance_id, made.engine_type, made.trading_mode, made.template) == (
        "a",
        "sandbox",
        "paper",
        None,
    )
    assert made.strategies is None
    assert not made.trades_money


def test_parameters_reach_the_template_and_the_strategy() -> None:
    made = config(
        param=("speed=0",), strategy="ema_cross", settings=("trade_size=100", "bar_type=SPX.SIM-1-DAY")
    )
    assert made.parameters == {"speed": 0}
    assert made.strategies is not None
    assert made.strategies[0].template == "ema_cross"
    assert made.strategies[0].parameters == {"trade_size": 100, "bar_type": "SPX.SIM-1-DAY"}


def test_a_file_is_the_ground_and_options_stand_above_it() -> None:
    file = io.BytesIO(
        b'{"max_memory": "1g", "log_level": "DEBUG", "parameters": {"speed": 1, "start": "2001-01-01"}}'
    )
    made = config(config_file=file, memory="3g", param=("speed=2",))
    assert (made.max_memory, made.log_level) == ("3g", "DEBUG")
    assert made.parameters == {"speed": 2, "start": "2001-01-01"}


def test_labels_are_put_over_those_of_the_file_or_of_what_is_stored() -> None:
    file = io.BytesIO(b'{"labels": {"desk": "rates", "zone": "b"}}')
    made = config(config_file=file, labels={"desk": "fx"})
    assert made.labels == {"desk": "fx", "zone": "b"}
    assert config(ground=made, labels={"floor": "1"}).labels == {"desk": "fx", "zone": "b", "floor": "1"}
    assert config(ground=made, labels={}).labels == made.labels
    assert config(labels={}).labels == {}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "no.dots"}, "config.instance_id"),
        ({"memory": "lots"}, "config.max_memory"),
        ({"cpus": "nan"}, "config.max_cpu"),
        ({"strategy": "../x"}, "config.strategies[0].template"),
        ({"config_file": io.BytesIO(b'{"bogus": 1}')}, "config.bogus"),
        ({"config_file": io.BytesIO(b'{"labels": []}'), "labels": {"desk": "fx"}}, "config.labels"),
        ({"config_file": io.BytesIO(b'{"parameters": 7}'), "param": ("speed=1",)}, "config.parameters"),
    ],
)
def test_a_value_that_is_wrong_is_refused_naming_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(FaultError) as caught:
        config(**given)
    assert caught.value.fault.code == FaultCode.INVALID
    assert caught.value.fault.errors[0].field == field


def test_a_file_that_is_no_json_is_refused() -> None:
    with pytest.raises(FaultError, match="not valid JSON"):
        config(config_file=io.BytesIO(b"max_memory: 1g"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("[1]", [1]),
        ("NaN", "NaN"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_values_are_json_where_they_are_and_text_otherwise(text: str, value: object) -> None:
    assert pairs([f"key={text}"], "--set") == {"key": value}


@pytest.mark.parametrize("pair", ["key", "=value", ""])
def test_a_pair_without_key_or_value_is_a_usage_error(pair: str) -> None:
    with pytest.raises(click.UsageError, match="KEY=VALUE"):
        pairs([pair], "--set")


def test_settings_without_a_strategy_are_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="--set needs --strategy"):
        config(settings=("trade_size=1",))


def test_a_venue_makes_a_paper_engine_and_names_its_account_and_secret() -> None:
    made = config(
        venue_options=("BINANCE=binance,secret=binance_main,testnet=true", "IB=interactive_brokers")
    )
    assert (made.engine_type, made.trading_mode) == ("paper", "paper")
    first, second = made.venues
    assert (first.name, first.adapter, first.secret, first.config) == (
        "BINANCE",
        "binance",
        "binance_main",
        {"testnet": True},
    )
    assert (second.name, second.account, second.config) == ("IB", None, {})


def test_an_account_of_digits_stays_text() -> None:
    (venue,) = config(venue_options=("IB=interactive_brokers,account=1234567",)).venues
    assert venue.account == "1234567"


def test_venues_come_from_a_file_too() -> None:
    file = io.BytesIO(
        b'[{"name": "IB", "adapter": "interactive_brokers", "config": {"data": {"ibg_port": 4002}}}]'
    )
    (venue,) = config(venues_file=file, engine_type="live").venues
    assert venue.config == {"data": {"ibg_port": 4002}}


@pytest.mark.parametrize("option", ["BINANCE", "=binance", "BINANCE=", "BINANCE=binance,testnet"])
def test_a_venue_that_is_written_wrong_is_a_usage_error(option: str) -> None:
    with pytest.raises(click.UsageError, match="--venue"):
        config(venue_options=(option,))


def test_a_change_leaves_what_it_does_not_name() -> None:
    ground = EngineConfig(instance_id="a", engine_type="sandbox", max_memory="4g", max_order_rate=60)
    made = config(ground=ground, cpus="1.5")
    assert (made.max_memory, made.max_order_rate, made.max_cpu) == ("4g", 60, "1.5")
    file = io.BytesIO(b'{"max_memory": "1g"}')
    assert config(ground=ground, config_file=file).max_order_rate is None, "a file is the whole configuration"


def test_actors_and_algorithms_run_beside_strategies() -> None:
    made = config(actor=("m:Watch,every=5",), exec_algorithm=("m:Slow,config_class=m:Pace",))
    (actor,), (algorithm,) = made.actors, made.exec_algorithms
    assert (actor.path, actor.config_path, actor.config) == ("m:Watch", None, {"every": 5})
    assert (algorithm.path, algorithm.config_path, algorithm.config) == ("m:Slow", "m:Pace", {})
    assert config(ground=made, cpus="1.5").actors == made.actors


def test_the_dead_man_is_chosen_by_two_options_over_what_the_file_says() -> None:
    file = b'{"dead_man": {"policy": "reduce", "after_s": 30}}'
    for given, expected in (
        ({}, None),
        ({"dead_man": "flatten"}, DeadManChoice(policy=DeadManPolicy.FLATTEN)),
        ({"dead_man_after": 20.0}, DeadManChoice(after_s=20.0)),
        (
            {"dead_man_after": 20.0, "config_file": io.BytesIO(file)},
            DeadManChoice(policy=DeadManPolicy.REDUCE, after_s=20.0),
        ),
    ):
        assert config(**given).dead_man == expected


@pytest.mark.parametrize("seconds", [0.0, 4.9, 86_401.0, float("nan")])
def test_a_time_that_no_dead_man_may_wait_is_refused_by_its_name(seconds: float) -> None:
    with pytest.raises(FaultError, match=r"config\.dead_man\.after_s"):
        config(dead_man="reduce", dead_man_after=seconds)
