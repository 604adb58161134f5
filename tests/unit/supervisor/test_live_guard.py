"""The supervisor's own guard before live trading."""

from collections.abc import Collection
from itertools import product
from typing import Any

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.secrets import SecretBinding
from flotilla.schemas.session import EnginePlan, SessionSpec
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.supervisor.core.live_guard import refuse_live
from tests.fakes.supervised import session

SIMULATED = "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"

BINANCE = "nautilus_trader.adapters.binance.factories:BinanceLiveExecClientFactory"
BROKERS = "nautilus_trader.adapters.interactive_brokers.factories:InteractiveBrokersLiveExecClientFactory"
LIVE = (EngineType.LIVE, TradingMode.LIVE)
PAPER = (EngineType.PAPER, TradingMode.PAPER)


def plan(
    factory: str = BINANCE,
    config: dict[str, Any] | None = None,
    *,
    client: str = "X",
    secrets: dict[str, str] | None = None,
    **node: Any,
) -> EnginePlan:
    clients = {client: {"path": "m:C", "config": config or {}}}
    return EnginePlan(
        trader_id="TESTER-001",
        node={"exec_clients": clients, **node},
        exec_factories={"X": factory},
        secrets={"X": "keys"} if secrets is None else secrets,
    )


def spec_of(pair: tuple[EngineType, TradingMode], plan: EnginePlan, *, confirmed: bool = True) -> SessionSpec:
    return session(engine_type=pair[0], trading_mode=pair[1], confirm_live_trading=confirmed, plan=plan)


def refusal(
    spec: SessionSpec, *, isolated: bool = True, secrets: Any = None, tests: Collection[str] = ()
) -> FaultCode | None:
    try:
        refuse_live(spec, is_isolated=isolated, secrets=secrets, test_exchanges=tests)
    except FaultError as error:
        return error.fault.code
    return None


@pytest.mark.parametrize("pair", list(product(EngineType, TradingMode)))
def test_with_simulated_execution_only_the_pair_that_is_called_live_is_ever_refused(
    pair: tuple[EngineType, TradingMode],
) -> None:
    spec = spec_of(pair, plan(SIMULATED), confirmed=False)
    assert (refusal(spec, isolated=False) is not None) == (pair == LIVE)
    assert (refusal(spec) is not None) == (pair == LIVE)
    assert refusal(spec_of(pair, plan(SIMULATED, secrets={}))) is None


def test_without_isolation_a_confirmation_does_not_help() -> None:
    assert refusal(spec_of(LIVE, plan()), isolated=False) == FaultCode.FORBIDDEN
    assert refusal(spec_of(LIVE, plan(), confirmed=False)) == FaultCode.CONFIRMATION_REQUIRED
    assert refusal(spec_of(LIVE, plan())) is None


@pytest.mark.parametrize("bypass", [True, 1, "true", "False", None, []])
def test_live_trading_with_a_risk_engine_that_is_not_certainly_on_is_refused(bypass: object) -> None:
    assert refusal(spec_of(LIVE, plan(risk_engine={"bypass": bypass}))) == FaultCode.FORBIDDEN
    assert refusal(spec_of(LIVE, plan(risk_engine=["bypass"]))) == FaultCode.FORBIDDEN
    assert refusal(spec_of(LIVE, plan(risk_engine={"bypass": False}))) is None
    assert refusal(spec_of(PAPER, plan(SIMULATED, risk_engine={"bypass": bypass}))) is None


def test_live_trading_without_a_secret_is_refused_but_at_the_gateway_that_has_logged_in() -> None:
    assert refusal(spec_of(LIVE, plan(secrets={}))) == FaultCode.FORBIDDEN
    assert refusal(spec_of(LIVE, plan(secrets={"Y": "keys"}))) == FaultCode.FORBIDDEN
    assert refusal(spec_of(LIVE, plan(BROKERS, {"ibg_port": 4001}, secrets={}))) is None


@pytest.mark.parametrize(
    ("factory", "config", "is_paper"),
    [
        (BROKERS, {"ibg_port": 4002}, True),
        (BROKERS, {"ibg_port": 7497}, True),
        (BROKERS, {"ibg_port": 4001}, False),
        (BROKERS, {"ibg_port": "4002"}, False),
        (BROKERS, {"ibg_port": 4002, "dockerized_gateway": {"trading_mode": "live"}}, False),
        (BROKERS, {"testnet": True}, False),
        (BROKERS, {}, False),
        (BINANCE, {"environment": "TESTNET"}, True),
        (BINANCE, {"environment": "demo"}, True),
        (BINANCE, {"testnet": True}, True),
        (BINANCE, {"environment": "LIVE"}, False),
        (BINANCE, {"environment": " TESTNET "}, False),
        (BINANCE, {"environment": True}, False),
        (BINANCE, {"testnet": "true"}, False),
        (BINANCE, {"environment": "TESTNET", "base_url_http": "https://api.binance.com"}, False),
        (BINANCE, {"environment": "TESTNET", "base_url_http": None}, True),
        (BINANCE, {"ibg_port": 4002}, False),
        (BINANCE, {}, False),
        ("", {"environment": "TESTNET"}, True),
        ("", {}, False),
    ],
)
def test_what_counts_as_paper_trading_at_a_real_venue(
    factory: str, config: dict[str, Any], is_paper: bool
) -> None:
    expected = None if is_paper else FaultCode.FORBIDDEN
    for pair in (PAPER, (EngineType.LIVE, TradingMode.PAPER)):
        assert refusal(spec_of(pair, plan(factory, config))) == expected
        assert refusal(spec_of(pair, plan(factory, config)), isolated=False) == expected
    # Neither a simulation nor paper that is called live mode has a real venue at all.
    for disguise in ((EngineType.SANDBOX, TradingMode.PAPER), (EngineType.BACKTEST, TradingMode.PAPER)):
        assert refusal(spec_of(disguise, plan(factory, config))) == FaultCode.FORBIDDEN
    assert (
        refusal(spec_of((EngineType.PAPER, TradingMode.LIVE), plan(factory, config))) == FaultCode.FORBIDDEN
    )


def test_a_secret_cannot_turn_a_paper_client_into_a_real_one() -> None:
    spec = spec_of(PAPER, plan(config={"environment": "TESTNET"}))
    assert refusal(spec, secrets={"keys": {"api_key": "k"}}) is None
    assert refusal(spec, secrets={"keys": {"environment": "LIVE"}}) == FaultCode.FORBIDDEN
    assert (
        refusal(spec, secrets={"keys": {"base_url_http": "https://api.binance.com"}}) == FaultCode.FORBIDDEN
    )


def test_nor_can_what_a_secret_has_for_the_execution_client() -> None:
    paper = spec_of(PAPER, plan(config={"environment": "TESTNET"}))
    for_execution = {"keys": {"api_key": "k", "execution": {"environment": "LIVE"}}}
    assert refusal(paper, secrets=for_execution) is FaultCode.FORBIDDEN
    assert refusal(paper, secrets={"keys": {"api_key": "k", "data": {"environment": "LIVE"}}}) is None


def test_a_client_under_a_longer_name_has_the_factory_of_the_shorter_one() -> None:
    assert refusal(spec_of(PAPER, plan(SIMULATED, client="X-002"))) is None
    assert refusal(spec_of(PAPER, plan(client="X-002"))) == FaultCode.FORBIDDEN


@pytest.mark.parametrize("clients", [["X"], "X", {"X": None}, {"X": {"config": []}}, {"Y": {}}])
def test_clients_of_another_shape_count_as_money(clients: object) -> None:
    strange = EnginePlan(
        trader_id="TESTER-001", node={"exec_clients": clients}, exec_factories={"X": BINANCE}
    )
    assert refusal(spec_of(PAPER, strange)) == FaultCode.FORBIDDEN


@pytest.mark.parametrize(
    ("config", "factory", "tests", "passes"),
    [
        ({"environment": "TESTNET"}, "m:F", {"keys"}, True),
        ({"environment": "TESTNET"}, "m:F", {"other"}, False),
        ({"environment": "LIVE"}, "m:F", {"keys"}, False),
        ({}, "m:F", {"keys"}, False),
        ({"ibg_port": 4002}, BROKERS, {"keys"}, False),
    ],
)
def test_addresses_of_a_secret_are_paper_where_its_owner_says_that_it_is_a_test_exchange(
    config: dict[str, Any], factory: str, tests: Collection[str], passes: bool
) -> None:
    spec = spec_of((EngineType.LIVE, TradingMode.PAPER), plan(factory, config))
    url = {"keys": {"base_url_http": "http://127.0.0.1:9100", "ibg_port": 9300}}
    assert (refusal(spec, secrets=url, tests=tests) is None) == passes
    live = spec_of(LIVE, plan(factory, config))
    assert refusal(live, isolated=False, secrets=url, tests=tests) == FaultCode.FORBIDDEN


def test_a_secret_of_a_test_exchange_is_for_no_live_trading() -> None:
    with pytest.raises(ValueError, match="paper trading only"):
        SecretBinding(adapter="m", modes=(TradingMode.LIVE,), is_test_exchange=True)
