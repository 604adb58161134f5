"""From a plan to a node's config: what is refused, in which words, and what never shows in them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.engine.node_plan import PlanRefusedError, first_client_id, node_plan
from flotilla.engine_sidecar.link.frames import Run
from flotilla.schemas.session import CacheAccess
from tests.engine_processes import run_of, sandbox_node
from tests.venue_runs import GIVEN, NAMES, run_of_venue

BAND = 16


def refusal(run: Run) -> str:
    with pytest.raises(PlanRefusedError) as refused:
        node_plan(run)
    return str(refused.value)


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("name", NAMES)
def test_nautilus_trader_takes_the_configs_of_a_venue_file(name: str, mode: str) -> None:
    plan = node_plan(run_of_venue(name, mode, **GIVEN.get(name, {})))
    assert name.upper() in plan.config.data_clients
    assert plan.data_factories.keys() == {name.upper()}


def test_a_secret_for_a_client_that_is_not_there_is_refused() -> None:
    run = run_of_venue("bybit", "live")
    run.plan.secrets["OKX"] = "mine"
    assert "`secrets` names a client OKX that the plan does not have" in refusal(run)


@pytest.mark.parametrize(
    ("name", "config", "told"),
    [
        ("binance", {"oops": 1}, "`data_clients.BINANCE`: Object contains unknown field `oops`"),
        ("binance", {"environment": "MOON"}, "`$.environment`"),
        ("bybit", {"environment": "MOON"}, "must be one of DEMO, MAINNET, TESTNET, not 'MOON'"),
        ("okx", {"instrument_types": ["MOON"]}, "ANY, EVENTS, FUTURES"),
        (
            "interactive_brokers",
            {"oops": 1},
            "`data_clients.INTERACTIVE_BROKERS`: Object contains unknown field",
        ),
        ("interactive_brokers", {"ibg_port": "x"}, "`ibg_port`"),
        ("interactive_brokers", {"ibg_client_id": 5}, "`ibg_client_id` 5 is given to data and execution"),
        ("interactive_brokers", {"dockerized_gateway": {}}, "an engine starts no containers"),
    ],
)
def test_what_a_venue_does_not_take_is_refused_by_name(name: str, config: dict[str, Any], told: str) -> None:
    assert told in refusal(run_of_venue(name, "live", **config))


def test_a_secret_never_shows_in_a_refusal() -> None:
    for field, value in (
        ("oops", "very-secret-value"),
        ("environment", "very-secret-value"),
        ("api_key", {"inner": "very-secret-value"}),
        ("recv_window_ms", "very-secret-value"),
    ):
        run = run_of_venue("bybit", "live")
        run.secrets["mine"][field] = value
        text = refusal(run)
        assert field in text
        assert "very-secret-value" not in text


def test_a_secret_that_the_host_does_not_have_is_named() -> None:
    run = run_of_venue("bybit", "live")
    run.secrets.clear()
    assert "the secret 'mine' of client BYBIT is not in the secret store" in refusal(run)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data_clients": {}}, "`data_clients` is empty"),
        ({"exec_clients": None}, "`exec_clients` is empty"),
        ({"oops": 1}, "unknown field `oops`"),
        ({"logging": {"log_level": "LOUD"}}, "`logging.log_level` must be one of"),
        ({"logging": {"log_component_levels": {"Cache": "LOUD"}}}, "`logging.log_component_levels.Cache`"),
        ({"trader_id": "OTHER-001"}, "`trader_id` must be 'ENGINE-001'"),
        ({"strategies": [{}]}, "`strategies` stand beside `node`"),
        ({"cache": {"database": {"host": "elsewhere"}}}, "`cache.database` is the host's to give"),
    ],
)
def test_a_node_that_could_not_run_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert told in refusal(run_of(tmp_path, sandbox_node() | change))


@pytest.mark.parametrize(
    "path",
    [
        "engine_sidecar.replay.sandbox:SandboxClientConfig",
        "nautilus_trader.adapters.sandbox.config:SandboxExecutionClientConfig",
    ],
)
def test_a_word_that_would_end_the_process_is_refused_for_every_execution_client(
    tmp_path: Path, path: str
) -> None:
    node = sandbox_node()
    node["exec_clients"]["SIM"] |= {"path": path}
    node["exec_clients"]["SIM"]["config"]["oms_type"] = "NETTTING"
    assert "`oms_type` must be one of NETTING, HEDGING, not 'NETTTING'" in refusal(run_of(tmp_path, node))


def test_only_a_replay_needs_its_instruments_in_the_catalog(tmp_path: Path) -> None:
    replayed = run_of(tmp_path, sandbox_node())
    plan = msgspec.structs.replace(replayed.plan, instruments=("SPX.SIM",))
    assert "the catalog has no SPX.SIM" in refusal(msgspec.structs.replace(replayed, plan=plan))
    live = run_of_venue("binance", "live")
    plan = msgspec.structs.replace(live.plan, instruments=("BTCUSDT.BINANCE",))
    assert node_plan(msgspec.structs.replace(live, plan=plan)).config.data_clients.keys() == {"BINANCE"}


def test_a_secret_goes_to_the_clients_that_know_its_fields() -> None:
    plan = node_plan(run_of_venue("hyperliquid", "live"))
    assert plan.config.exec_clients["HYPERLIQUID"].private_key.startswith("0x11")
    assert not hasattr(plan.config.data_clients["HYPERLIQUID"], "private_key")
    both = node_plan(run_of_venue("binance", "live")).config
    assert both.data_clients["BINANCE"].api_key == both.exec_clients["BINANCE"].api_key == "made-up-key"


def with_secret_of(name: str, more: dict[str, Any]) -> Run:
    run = run_of_venue(name, "paper")
    return msgspec.structs.replace(run, secrets={"mine": run.secrets["mine"] | more})


def test_a_field_of_a_secret_may_be_for_one_client_only() -> None:
    addresses = {
        "base_url_ws": "ws://v/both",
        "data": {"base_url_ws": "ws://v/public"},
        "execution": {"margin_mode": "CROSS"},
    }
    config = node_plan(with_secret_of("okx", addresses)).config
    data, execution = config.data_clients["OKX"], config.exec_clients["OKX"]
    assert (data.base_url_ws, execution.base_url_ws) == ("ws://v/public", "ws://v/both")
    assert str(execution.margin_mode) == "Cross"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"oops": 1}, "oops"),
        ({"data": {"margin_mode": "CROSS"}}, "margin_mode"),
        ({"execution": {"vip_level": 1}}, "vip_level"),
        ({"data": "ws://v/public"}, "data"),
    ],
)
def test_a_field_of_a_secret_that_its_client_does_not_know_is_refused(
    more: dict[str, Any], field: str
) -> None:
    assert f"no config of client OKX has a field `{field}`" in refusal(with_secret_of("okx", more))


def test_the_hosts_redis_is_put_into_the_node_and_state_is_kept(tmp_path: Path) -> None:
    access = CacheAccess(host="redis", port=6379, username="engine-1", password="very-secret-value")
    run = run_of(tmp_path, sandbox_node(), cache=access)
    config = node_plan(run).config
    assert (config.cache.database.host, config.cache.database.username) == ("redis", "engine-1")
    assert (config.load_state, config.save_state, config.cache.flush_on_start) == (True, True, False)
    wrong = run_of(tmp_path, sandbox_node() | {"oops": "very-secret-value"}, cache=access)
    assert "very-secret-value" not in refusal(wrong)


def test_an_engines_client_ids_at_a_gateway_are_its_own_and_apart() -> None:
    config = node_plan(run_of_venue("interactive_brokers", "paper")).config
    data, execution = config.data_clients["INTERACTIVE_BROKERS"], config.exec_clients["INTERACTIVE_BROKERS"]
    first = first_client_id("engine-1")
    assert (data.ibg_client_id, execution.ibg_client_id) == (first, first + BAND // 2)
    assert (data.ibg_port, execution.ibg_port, execution.account_id) == (4002, 4002, "U1234567")
    assert abs(first_client_id("engine-2") - first) >= BAND
    live = node_plan(run_of_venue("interactive_brokers", "live")).config
    assert live.exec_clients["INTERACTIVE_BROKERS"].ibg_port == 4001
