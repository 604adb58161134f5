"""camelCase bodies."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.fault import FaultError
from flotilla.services.gateway.backtests.queries import BacktestBody
from flotilla.services.gateway.web.inputs import snake_keys
from flotilla.services.gateway.web.queries import StartBody


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({"confirmLiveTrading": True}, {"confirm_live_trading": True}),
        ({"config": {"engineType": "live"}}, {"config": {"engine_type": "live"}}),
        (
            {"config": {"strategies": [{"strategyPath": "a:B", "config": {"tradeSize": 1}}]}},
            {"config": {"strategies": [{"strategy_path": "a:B", "config": {"tradeSize": 1}}]}},
        ),
        (
            {"config": {"parameters": {"maxCpu": {"maxCpu": 1}}}},
            {"config": {"parameters": {"maxCpu": {"maxCpu": 1}}}},
        ),
        ({"unheardOf": {"engineType": 1}}, {"unheardOf": {"engineType": 1}}),
        ({"config": {"strategies": None, "venues": "x"}}, {"config": {"strategies": None, "venues": "x"}}),
        ([{"engineType": 1}], [{"engineType": 1}]),
    ],
)
def test_only_keys_of_our_own_types_are_renamed(given_: Any, wanted: Any) -> None:
    assert snake_keys(given_, StartBody) == wanted


def test_settings_are_renamed_and_the_names_of_venues_are_not() -> None:
    given_ = {"config": {"venueSettings": {"aB": {"omsType": "HEDGING", "startingBalances": []}}}}
    wanted = {"config": {"venue_settings": {"aB": {"oms_type": "HEDGING", "starting_balances": []}}}}
    assert snake_keys(given_, BacktestBody) == wanted


def test_a_key_given_both_ways_is_refused_unless_both_say_the_same() -> None:
    with pytest.raises(FaultError) as caught:
        snake_keys({"config": {"strategies": [{"configPath": 1, "config_path": 2}]}}, StartBody)
    assert caught.value.fault.errors[0].field == "config.strategies[0].config_path"
    alike = {"config": {"strategies": [{"configPath": 1, "config_path": 1}]}}
    assert snake_keys(alike, StartBody) == {"config": {"strategies": [{"config_path": 1}]}}


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_comes_is_renamed_or_refused_and_nothing_else(value: Any) -> None:
    assert snake_keys({"config": {"parameters": value}}, StartBody) == {"config": {"parameters": value}}
    with suppress(FaultError):
        snake_keys(value, StartBody)
