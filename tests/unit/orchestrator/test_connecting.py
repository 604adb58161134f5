"""From the venues that an operator chose to the clients of a node."""

from typing import Any

import pytest

from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from tests.unit.orchestrator.template_sets import live, paper, refused, rendered


def bazaar(name: str = "BAZAAR", **more: Any) -> VenueChoice:
    return VenueChoice(**{"name": name, "adapter": "bazaar", "secret": "keys", **more})


def broker(**more: Any) -> VenueChoice:
    return VenueChoice(**{"name": "BROKER", "adapter": "broker", "account": "U1", **more})


def holds(instrument: str) -> StrategyChoice:
    return StrategyChoice(template="holds", parameters={"instrument_id": instrument})


TICKER = VenueChoice(name="TICKER", adapter="ticker", secret="tape")
TAPE = VenueChoice(name="TAPE", adapter="tape")
AT = "config.venues[0]"


def test_a_live_engine_trades_at_the_venues_themselves() -> None:
    choice = bazaar(config={"depth": 5, "data": {"deep": {"b": 3}}, "execution": {"retries": 9}})
    spec = rendered(live(choice))
    assert spec.plan.node["data_clients"] == {
        "BAZAAR": {
            "path": "bazaar:DataConfig",
            "factory": {"path": "bazaar:DataFactory"},
            "config": {"retries": 3, "deep": {"a": 1, "b": 3}, "net": "MAIN", "depth": 5},
        }
    }
    assert spec.plan.node["exec_clients"] == {
        "BAZAAR": {"path": "bazaar:ExecConfig", "config": {"retries": 9, "net": "MAIN", "depth": 5}}
    }
    assert spec.plan.exec_factories == {"BAZAAR": "bazaar:ExecFactory"}
    assert spec.plan.secrets == {"BAZAAR": "keys"}
    assert (spec.has_egress, spec.uses_cache, spec.plan.instruments, spec.plan.strategies) == (
        True,
        True,
        (),
        (),
    )


def test_a_paper_engine_takes_the_venues_data_and_simulates_their_execution() -> None:
    choice = bazaar(config={"depth": 5, "execution": {"starting_balances": ["7 EUR"]}})
    spec = rendered(paper(choice, TAPE, parameters={"balance": "9", "patience": 33}))
    node = spec.plan.node
    assert node["data_clients"]["BAZAAR"]["config"]["net"] == "TEST"
    assert node["exec_clients"] == {
        "SIMULATED-BAZAAR": {
            "path": "sim.config:Config",
            "config": {"venue": "BAZAAR", "starting_balances": ["7 EUR"]},
        },
        "SIMULATED-TAPE": {
            "path": "sim.config:Config",
            "config": {"venue": "TAPE", "starting_balances": ["9 USD"]},
        },
    }
    assert spec.plan.exec_factories == {"SIMULATED": "sim.factory:SandboxLiveExecClientFactory"}
    assert (node["timeout_connection"], node["risk_engine"]) == (33, {"bypass": False, "debug": True})


def test_a_simulated_account_at_a_venue_needs_its_currency_named() -> None:
    amount = bazaar(config={"execution": {"starting_balances": ["7"], "base_currency": None}})
    wrong = refused(paper(amount))
    assert wrong.keys() == {"config.parameters.base_currency"}
    assert "must be given with venues" in wrong["config.parameters.base_currency"]
    named = bazaar(config={"execution": {"starting_balances": ["7"], "base_currency": "EUR"}})
    (client,) = rendered(paper(named)).plan.node["exec_clients"].values()
    assert client["config"]["base_currency"] == "EUR"


def test_a_paper_engine_without_venues_replays_the_catalog() -> None:
    spec = rendered(paper(parameters={"speed": 2}))
    assert list(spec.plan.node["data_clients"]) == ["SIM"]
    assert spec.plan.instruments == ("SPX.SIM",)
    assert (spec.has_egress, spec.uses_cache, spec.plan.secrets) == (False, False, {})


def test_several_venues_trade_in_one_engine() -> None:
    spec = rendered(live(bazaar(), bazaar("SECOND", secret="other"), broker(), TICKER))
    assert list(spec.plan.node["data_clients"]) == ["BAZAAR", "SECOND", "BROKER", "TICKER"]
    assert list(spec.plan.node["exec_clients"]) == ["BAZAAR", "SECOND", "BROKER"]
    assert spec.plan.node["exec_clients"]["BROKER"]["config"] == {"account_id": "U1"}
    assert spec.plan.secrets == {"BAZAAR": "keys", "SECOND": "other", "TICKER": "tape"}


def test_a_client_can_be_switched_off() -> None:
    choices = (bazaar(config={"data": None}), broker(config={"execution": None}, account=None))
    spec = rendered(live(*choices))
    assert list(spec.plan.node["data_clients"]) == ["BROKER"]
    assert list(spec.plan.node["exec_clients"]) == ["BAZAAR"]


def test_an_engine_that_needs_nothing_outside_gets_no_way_out() -> None:
    assert not rendered(paper(TAPE)).has_egress
    assert rendered(paper(TAPE, broker())).has_egress


def test_instruments_at_a_venue_need_not_be_in_the_catalog() -> None:
    chosen = {"strategies": (holds("BTCUSDT.BAZAAR"),)}
    assert rendered(live(bazaar(), **chosen)).plan.instruments == ()
    at = "config.strategies[0].parameters.instrument_id"
    assert refused(paper(**chosen)) == {at: "BTCUSDT.BAZAAR is not in the data catalog"}
    assert list(refused(live(bazaar(), strategies=(holds("no"),)))) == [at]


def test_limits_reach_the_risk_engine_of_a_live_engine() -> None:
    spec = rendered(live(bazaar(), max_order_rate=7, max_position_size=50.5))
    assert spec.plan.node["risk_engine"] == {
        "bypass": False,
        "max_order_submit_rate": "7/00:01:00",
        "max_notional_per_order": {"*": 50.5},
    }
    assert rendered(live(bazaar())).plan.node["risk_engine"]["max_order_submit_rate"] == "100/00:01:00"


@pytest.mark.parametrize(
    ("config", "errors"),
    [
        (live(), {"config.venues": "needs at least one venue"}),
        (EngineConfig(engine_type="sandbox", venues=(TAPE,)), {"config.venues": "takes no venues"}),
        (
            live(bazaar(adapter="souk")),
            {f"{AT}.adapter": "there is no adapter souk; there are bazaar, broker"},
        ),
        (live(bazaar(), bazaar()), {"config.venues[1].name": "BAZAAR is named twice"}),
        (live(TICKER), {"config.venues": "none of them has a client for execution"}),
        (live(bazaar(config={"data": None})), {"config.venues": "none of them has a client for data"}),
        (live(bazaar(secret=None)), {f"{AT}.secret": "needs credentials"}),
        (paper(bazaar(secret=None), bazaar("B", secret=None)), {}),
        (paper(VenueChoice(name="T", adapter="ticker")), {f"{AT}.secret": "needs credentials"}),
        (live(broker(account=None)), {f"{AT}.account": "needs the account"}),
        (live(broker(config={"account_id": "U2"})), {f"{AT}.config.account_id": "as `account`"}),
        (live(bazaar(config={"api_key": "x"})), {f"{AT}.config": "api_key is a credential"}),
        (
            live(bazaar(config={"execution": {"gateway": [{"api_secret": "x"}]}})),
            {f"{AT}.config": "api_secret is a credential"},
        ),
        (paper(bazaar(config={"api_key": "x"})), {f"{AT}.config": "api_key is a credential"}),
        (
            live(bazaar(config={"proxy_url": "http://me:word@proxy:3128"})),
            {f"{AT}.config": "proxy_url holds a password: it may only come from a secret"},
        ),
        (
            paper(bazaar(config={"data": {"proxy_urls": ["http://proxy:3128", "socks5://me:word@proxy"]}})),
            {f"{AT}.config": "proxy_urls holds a password"},
        ),
        (paper(bazaar(config={"proxy_url": "http://me@proxy:3128/a:b@c"})), {}),
        (live(bazaar(config={"data": 5})), {f"{AT}.config.data": "must be an object"}),
        (
            live(
                bazaar(), VenueChoice(name="T", adapter="ticker", secret="s", config={"execution": {"a": 1}})
            ),
            {"config.venues[1].config.execution": "ticker has no client for execution"},
        ),
        (
            live(bazaar(config={"data": None, "execution": None})),
            {f"{AT}.config": "leaves the venue without a client"},
        ),
        (paper(TAPE, parameters={"speed": 5}), {"config.parameters.speed": "changes nothing with venues"}),
        (paper(parameters={"patience": 5}), {"config.parameters.patience": "changes nothing without venues"}),
        (
            paper(broker(), bazaar(), strategies=(holds("AAPL.NASDAQ"),)),
            {
                "config.venues": "orders are simulated at BAZAAR, BROKER, and strategies name AAPL.NASDAQ: "
                "give the venue the name that they have there, such as NASDAQ"
            },
        ),
        (paper(broker(name="NASDAQ"), strategies=(holds("AAPL.NASDAQ"),)), {}),
        (paper(broker(config={"execution": {"venue": "NASDAQ"}}), strategies=(holds("AAPL.NASDAQ"),)), {}),
    ],
)
def test_what_a_venue_cannot_be_is_refused_by_field(config: EngineConfig, errors: dict[str, str]) -> None:
    if not errors:
        rendered(config)
        return
    found = refused(config)
    assert list(found) == list(errors)
    assert all(text in found[field] for field, text in errors.items())


def test_everything_that_is_wrong_with_venues_is_told_at_once() -> None:
    found = refused(
        live(bazaar(secret=None, config={"api_key": "x"}), broker(account=None), bazaar(adapter="souk"))
    )
    assert set(found) == {
        f"{AT}.secret",
        f"{AT}.config",
        "config.venues[1].account",
        "config.venues[2].adapter",
        "config.venues[2].name",
    }


def on_paper(*venues: VenueChoice) -> EngineConfig:
    """Orders at the venues themselves, but where they trade no money."""
    return live(*venues, trading_mode="paper", template="live_engine")


def test_orders_can_go_to_a_venues_own_paper_trading() -> None:
    spec = rendered(on_paper(bazaar()))
    assert spec.plan.node["exec_clients"]["BAZAAR"]["config"]["net"] == "TEST"
    assert (spec.trading_mode, spec.confirm_live_trading) == ("paper", False)
    chosen = rendered(on_paper(bazaar(config={"net": "DEMO"})))
    assert chosen.plan.node["exec_clients"]["BAZAAR"]["config"]["net"] == "DEMO"


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (bazaar(config={"net": "MAIN"}), "config.net"),
        (bazaar(config={"execution": {"net": "MAIN"}}), "config.net"),
        (bazaar(config={"execution": {"net": None}}), "config.net"),
        (bazaar(config={"base_url_http": "https://elsewhere"}), "config.base_url_http"),
        (broker(), "adapter"),
    ],
)
def test_paper_trading_cannot_be_turned_into_trading_with_money(choice: VenueChoice, field: str) -> None:
    assert list(refused(on_paper(choice))) == [f"{AT}.{field}"]


@pytest.mark.parametrize(
    "config", [{"net": "TEST"}, {"net": "DEMO"}, {"execution": {"net": "TEST"}}, {"data": {"net": "TEST"}}]
)
def test_live_trading_cannot_be_turned_to_a_venues_paper_side(config: dict[str, Any]) -> None:
    found = refused(live(bazaar(config=config)))
    assert set(found) == {f"{AT}.config.net"}
    assert "paper" in found[f"{AT}.config.net"]


def test_nothing_in_a_venues_config_is_ever_evaluated() -> None:
    odd = {"a": "{trader_id}", "b": "{0.__class__}", "c": ["{venue}"], "{speed}": "%s"}
    spec = rendered(paper(bazaar(config={**odd, "execution": dict(odd)})))
    assert spec.plan.node["data_clients"]["BAZAAR"]["config"].items() >= odd.items()
    assert spec.plan.node["exec_clients"]["SIMULATED-BAZAAR"]["config"].items() >= odd.items()


def test_a_strategys_parameter_given_to_the_engine_is_told_where_it_belongs() -> None:
    config = paper(
        bazaar(), strategies=(holds("X.BAZAAR"),), parameters={"instrument_id": "X.BAZAAR", "odd": 1}
    )
    found = refused(config)
    place = "config.strategies[0].parameters.instrument_id (--set)"
    assert found["config.parameters.instrument_id"] == f"is a parameter of holds: give it as {place}"
    assert found["config.parameters.odd"].startswith("unknown parameter; there are speed")
