"""The guard of secrets: none goes to another adapter, address, account or mode than the one it is bound to."""

from typing import Any

import pytest

from flotilla.schemas.config import EngineConfig, VenueChoice
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.secrets import BoundSecret, SecretBinding
from flotilla.schemas.session import EnginePlan, SessionSpec
from flotilla.schemas.states import EngineType, TradingMode
from flotilla.services.supervisor.core.secret_use import refuse_misuse
from tests.fakes.supervised import session
from tests.venue_runs import GIVEN, NAMES, run_of_venue, venue

MODULE = "nautilus_trader.adapters.binance"
DATA = {
    "path": f"{MODULE}.config:BinanceDataClientConfig",
    "factory": {"path": f"{MODULE}.factories:BinanceLiveDataClientFactory"},
}
EXECUTION = {"path": f"{MODULE}.config:BinanceExecClientConfig"}
FACTORY = f"{MODULE}.factories:BinanceLiveExecClientFactory"
PAPER = SecretBinding(adapter=MODULE)
UNBOUND = None
AT = "spec.plan.node.data_clients.X.config"


def plan(config: dict[str, Any] | None = None, **node: Any) -> EnginePlan:
    clients = {
        "data_clients": {"X": {**DATA, "config": config or {}}},
        "exec_clients": {"X": {**EXECUTION, "config": {"environment": "TESTNET"}}},
    }
    return EnginePlan(
        trader_id="TESTER-001", node=clients | node, exec_factories={"X": FACTORY}, secrets={"X": "keys"}
    )


def spec_of(
    given: EnginePlan,
    pair: tuple[EngineType, TradingMode] = (EngineType.PAPER, TradingMode.PAPER),
    **more: Any,
) -> SessionSpec:
    return session(engine_type=pair[0], trading_mode=pair[1], plan=given, **more)


def refused(spec: SessionSpec, binding: SecretBinding | None = PAPER) -> set[str]:
    """The fields that are refused."""
    secret = BoundSecret(values={"api_key": "VERY-SECRET"}, binding=binding)
    try:
        refuse_misuse(spec, {"keys": secret})
    except FaultError as error:
        fault = error.fault
    else:
        return set()
    assert fault.code == FaultCode.INVALID
    assert "VERY-SECRET" not in fault.message
    assert "'keys'" in fault.message or "no client" in fault.message
    return {each.field for each in fault.errors}


def fields(config: dict[str, Any], binding: SecretBinding | None = PAPER) -> set[str]:
    return {field.removeprefix(f"{AT}.") for field in refused(spec_of(plan(config)), binding)}


def test_a_plan_that_names_no_address_has_its_secret() -> None:
    assert refused(spec_of(plan())) == set()
    assert refused(spec_of(plan()), UNBOUND) == set()


HARMLESS: tuple[dict[str, Any], ...] = (
    {"account_type": "USDT_FUTURES", "us": False, "environment": "TESTNET", "base_url_http": None},
    {"instrument_provider": {"load_ids": ["BTCUSDT-PERP.BINANCE", "EUR/USD.IDEALPRO"], "load_all": False}},
    {
        "instrument_ids": ["ESM4.XCME"],
        "parent_symbols": {"GLBX.MDP3": ["ES.FUT"]},
        "venue_dataset_map": {"A": "X.Y"},
    },
    {"instrument_provider": {"filters": {"base_currency": "BTC"}, "filter_callable": "mine.filters:liquid"}},
    {"futures_leverages": {"BTCUSDT": 5}, "product_types": ["LINEAR"], "key_type": "ED25519"},
    {"ws_heartbeat_secs": 30, "http_timeout_secs": 60, "use_http_batch_api": True, "recv_window_ms": 5000},
    {"wallet_address": "dydx1" + "q" * 38, "vault_address": "0x" + "2" * 40, "account_id": "U1234567"},
    {"instrument_config": {"min_market_start_time": "2026-01-01T00:00:00Z", "account_currency": "GBP"}},
    {"routing": {"default": True, "venues": ["BINANCE"]}, "transport_backend": "TUNGSTENITE"},
)
ADDRESSES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"base_url_http": "https://evil.example"}, "base_url_http"),
    ({"base_url_http": "evil"}, "base_url_http"),
    ({"base_url_http": ""}, "base_url_http"),
    ({"base_url_ws": "wss://api.binance.com@evil.example"}, "base_url_ws"),
    ({"base_url_ws": "HTTPS://EVIL"}, "base_url_ws"),
    ({"proxy_url": "http://10.0.0.1:3128"}, "proxy_url"),
    ({"submitter_proxy_urls": ["http://proxy"]}, "submitter_proxy_urls[0]"),
    ({"http_gateway": "evil"}, "http_gateway"),
    ({"ibg_host": "evil", "ibg_port": 4002}, "ibg_host"),
    ({"ibg_port": 4002}, "ibg_port"),
    ({"host": 2130706433}, "host"),
    ({"serverName": "evil"}, "serverName"),
    ({"wsUrl": "evil"}, "wsUrl"),
    ({"note": "evil.example"}, "note"),
    ({"note": "EVIL.EXAMPLE"}, "note"),
    ({"note": "127.0.0.1"}, "note"),
    ({"note": "127.1"}, "note"),
    ({"note": "[::1]"}, "note"),
    ({"note": "::1"}, "note"),
    ({"note": "evil:443"}, "note"),
    ({"note": "//evil/x"}, "note"),
    ({"note": "\\\\evil\\x"}, "note"),
    ({"note": "unix:/run/x"}, "note"),
    ({"note": "evil%2eexample"}, "note"),
    ({"note": "evil\u3002example"}, "note"),
    ({"note": "\uff45vil"}, "note"),
    ({"note": "evil\n"}, "note"),
    ({"note": "LocalHost"}, "note"),
    ({"deep": [{"deeper": {"note": "evil.example"}}]}, "deep[0].deeper.note"),
    ({"proxies": {"all": "evil"}}, "proxies.all"),
    ({"mounts": {"https://evil.example": 1}}, "mounts.https://evil.example"),
    ({"load_ids": ["https://evil.example"]}, "load_ids[0]"),
    ({"filters": {"proxy": "evil.example"}}, "filters.proxy"),
    ({"wallet_address": "evil.example"}, "wallet_address"),
    ({"wallet_address": {"host": "evil"}}, "wallet_address.host"),
)


@pytest.mark.parametrize("config", HARMLESS)
def test_what_is_no_address_passes(config: dict[str, Any]) -> None:
    assert fields(config) == set()
    assert fields(config, UNBOUND) == set()


@pytest.mark.parametrize(("config", "field"), ADDRESSES)
def test_whatever_may_be_an_address_is_refused_by_the_name_of_its_field(
    config: dict[str, Any], field: str
) -> None:
    assert field in fields(config)
    assert field in fields(config, UNBOUND)
    on_execution = {"X": {**EXECUTION, "config": config}}
    found = refused(spec_of(plan(exec_clients=on_execution)))
    assert f"spec.plan.node.exec_clients.X.config.{field}" in found


def test_a_field_with_a_long_name_is_not_repeated_whole() -> None:
    (field,) = fields({"host" * 1000: "evil"})
    assert len(field) < 100


def test_only_the_bound_addresses_pass_and_only_as_they_are_bound() -> None:
    bound = SecretBinding(adapter=MODULE, endpoints=("https://api.binance.us", "gateway:4002"))
    for config in ({"base_url_http": "https://api.binance.us"}, {"ibg_host": "gateway", "ibg_port": 4002}):
        assert fields(config, bound) == set()
    for value in (
        *("http://api.binance.us", "https://api.binance.us/", "https://api.binance.us:443", "api.binance.us"),
        *(
            "https://api.binance.us.evil.example",
            "https://api.binance.us@evil.example",
            "HTTPS://api.binance.us",
        ),
        *("https", "443", "//api.binance.us"),
    ):
        assert fields({"base_url_http": value}, bound) == {"base_url_http"}, value
    assert fields({"ibg_host": "gateway", "ibg_port": 4001}, bound) == {"ibg_port"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (
            {"data_clients": {"X": {**DATA, "path": "nautilus_trader.adapters.bybit.config:C"}}},
            "data_clients.X.path",
        ),
        ({"data_clients": {"X": {**DATA, "path": f"{MODULE}_evil.config:C"}}}, "data_clients.X.path"),
        ({"data_clients": {"X": {**DATA, "path": f"{MODULE}.config:C:D"}}}, "data_clients.X.path"),
        ({"data_clients": {"X": {**DATA, "path": None}}}, "data_clients.X.path"),
        ({"data_clients": {"X": {**DATA, "factory": {"path": "evil:Factory"}}}}, "data_clients.X.factory"),
        ({"data_clients": {"X": {**DATA, "factory": None}}}, "data_clients.X.factory"),
        ({"data_clients": {"X": DATA, "X-2": {"factory": {"path": "evil:F"}}}}, "data_clients.X-2.factory"),
        ({"data_clients": {"X": "evil"}}, "data_clients.X.path"),
        ({"exec_clients": {"X": {"path": "evil:Config"}}}, "exec_clients.X.path"),
    ],
)
def test_another_adapters_classes_and_factories_are_refused(change: dict[str, Any], field: str) -> None:
    spec = spec_of(plan(**change))
    assert f"spec.plan.node.{field}" in refused(spec)


def test_another_adapters_execution_factory_is_refused_for_all_clients_of_its_family() -> None:
    node = {"exec_clients": {"X-7": {**EXECUTION, "config": {}}}}
    for factory in ("evil:Factory", ""):
        given = EnginePlan(
            trader_id="T-001", node=node, exec_factories={"X": factory}, secrets={"X-7": "keys"}
        )
        assert refused(spec_of(given)) == {"spec.plan.exec_factories.X"}
    right = EnginePlan(trader_id="T-001", node=node, exec_factories={"X": FACTORY}, secrets={"X-7": "keys"})
    assert refused(spec_of(right)) == set()


@pytest.mark.parametrize(
    "node", [{}, {"data_clients": ["X"]}, {"data_clients": {"Y": DATA}}, {"data_clients": None}]
)
def test_a_secret_for_no_client_is_refused(node: dict[str, Any]) -> None:
    given = EnginePlan(trader_id="T-001", node=node, secrets={"X": "keys"})
    assert refused(spec_of(given)) == {"spec.plan.secrets.X"}
    assert refused(spec_of(given), UNBOUND) == {"spec.plan.secrets.X"}


def test_a_secret_is_used_in_the_modes_that_it_is_bound_to() -> None:
    live, paper = (EngineType.LIVE, TradingMode.LIVE), (EngineType.LIVE, TradingMode.PAPER)
    only_live = SecretBinding(adapter=MODULE, modes=(TradingMode.LIVE,))
    both = SecretBinding(adapter=MODULE, modes=(TradingMode.LIVE, TradingMode.PAPER))
    mode = {"spec.trading_mode"}
    table = (
        (PAPER, live, mode), (PAPER, paper, set()), (only_live, live, set()), (only_live, paper, mode),
        (both, live, set()), (both, paper, set()), (UNBOUND, live, set()), (UNBOUND, paper, set()),
    )  # fmt: skip
    for binding, pair, expected in table:
        assert refused(spec_of(plan(), pair), binding) == expected, (binding, pair)


def test_a_secret_trades_the_accounts_that_it_is_bound_to() -> None:
    bound = SecretBinding(adapter=MODULE, accounts=("main", "U1"))

    def of(account: str | None, **config: Any) -> set[str]:
        chosen = VenueChoice(name="X", adapter="binance", secret="keys", account=account)
        execution = {"X": {**EXECUTION, "config": config}}
        return refused(spec_of(plan(exec_clients=execution), config=EngineConfig(venues=(chosen,))), bound)

    assert of("main") == of("U1", account_id="U1") == of("main", account_id=None) == set()
    for account in ("other", None):
        assert of(account) == {"config.venues.X.account"}
    for field in ("account_id", "wallet_address", "vault_address", "subaccount"):
        assert of("main", **{field: "U2"}) == {f"spec.plan.node.exec_clients.X.config.{field}"}
    assert of("main", subaccount=0) == {"spec.plan.node.exec_clients.X.config.subaccount"}
    # What trades nothing there needs no account; what does, and does not say which, has none.
    assert refused(spec_of(plan(exec_clients={})), bound) == set()
    assert refused(spec_of(plan()), bound) == {"config.venues.X.account"}


def module_of(name: str) -> str:
    client = venue(name)["data"] or venue(name)["execution"]
    path: str = client["path"]
    return path.partition(":")[0].rpartition(".")[0]


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("name", NAMES)
def test_each_venue_of_ours_has_its_secret_as_the_orchestrator_renders_it(name: str, mode: str) -> None:
    run = run_of_venue(name, mode, **GIVEN.get(name, {}))
    if not run.plan.secrets:
        return
    endpoints = (GIVEN["tardis"]["base_url_ws"],) if name == "tardis" else ()
    binding = SecretBinding(adapter=module_of(name), endpoints=endpoints)
    refuse_misuse(spec_of(run.plan), {"mine": BoundSecret(values={}, binding=binding)})
    other = SecretBinding(adapter="nautilus_trader.adapters.other", endpoints=endpoints)
    with pytest.raises(FaultError, match="bound to another adapter"):
        refuse_misuse(spec_of(run.plan), {"mine": BoundSecret(values={}, binding=other)})
