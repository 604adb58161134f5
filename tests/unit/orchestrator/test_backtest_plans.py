"""From what is chosen for a backtest to its plan; everything that is wrong is told at once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flotilla.schemas.backtest import BacktestConfig, DataKind, FillModelChoice, TrialData, TrialPlan
from flotilla.schemas.catalog import CatalogEntry, Parameter
from flotilla.schemas.simulation import VenueSettings
from flotilla.services.orchestrator.backtests.core.plans import Sources, plan_of
from flotilla.services.orchestrator.templates.core.parameters import Rule
from flotilla.services.orchestrator.templates.core.templates import StrategyTemplate, TemplateSet

DELTAS = "order_book_deltas"
SPX, IXIC = "SPX.SIM-1-DAY-LAST-EXTERNAL", "IXIC.SIM-1-DAY-LAST-EXTERNAL"


def entry(data_type: str, identifier: str, first: int = 1999, last: int = 2018) -> CatalogEntry:
    return CatalogEntry(
        data_type=data_type,
        identifier=identifier,
        instrument_id=identifier.split("-", maxsplit=1)[0],
        start=datetime(first, 1, 4, tzinfo=UTC),
        end=datetime(last, 12, 31, tzinfo=UTC),
        files=1,
        size_bytes=1,
    )


CROSS = StrategyTemplate(
    name="ema_cross",
    description="d",
    strategy_class="EMACross",
    strategy_path="some.module:EMACross",
    config_path="some.module:EMACrossConfig",
    config={"instrument_id": "{instrument_id}", "bar_type": "{bar_type}", "fast": "{fast}", "slow": "{slow}"},
    parameters={
        "instrument_id": Parameter(type="instrument", help="h", default="SPX.SIM"),
        "bar_type": Parameter(type="bar_type", help="h", default=SPX),
        "fast": Parameter(type="integer", help="h", default=10, min=1),
        "slow": Parameter(type="integer", help="h", default=20, min=2),
    },
    rules=(Rule(less=("fast", "slow"), message="must be less than slow"),),
)
SOURCES = Sources(
    template_set=TemplateSet(
        strategies={"ema_cross": CROSS}, modules=("nautilus_trader.examples.strategies",)
    ),
    entries=(
        entry("bars", SPX),
        entry("bars", IXIC),
        entry("quotes", "EURUSD.SIM"),
        entry("trades", "BTC.X"),
        entry("quotes", "BTCUSDT.X"),
        entry("quotes", "ETHEUR.X"),
        entry("quotes", "EURUSDT.X"),
        entry("order_book_deltas", "SOL.X"),
        entry("quotes", "SOL.X"),
        entry("bars", "SOL.X-1-MINUTE-LAST-EXTERNAL"),
        entry("instrument_status", "SOL.X", last=1999),
    ),
)


def config(**chosen: Any) -> BacktestConfig:
    values: dict[str, Any] = {
        "strategy": "ema_cross",
        "start_date": "2000-01-01",
        "end_date": "2001-12-31",
        "instruments": ("SPX.SIM",),
    }
    return BacktestConfig(**values | chosen)


def planned(**chosen: Any) -> TrialPlan:
    plan, errors = plan_of(config(**chosen), SOURCES)
    assert errors == []
    assert plan is not None
    return plan


def wrong(**chosen: Any) -> dict[str, str]:
    plan, errors = plan_of(config(**chosen), SOURCES)
    assert plan is None
    return {error.field: error.message for error in errors}


def of_class(path: str = "nautilus_trader.examples.strategies.x:Y", **chosen: Any) -> dict[str, Any]:
    return {"strategy": None, "strategy_class": path, **chosen}


def test_a_template_gives_a_plan_that_nautilus_reads() -> None:
    plan = planned(strategy_config={"fast": 5})
    assert plan.strategies[0]["config"] == {
        "instrument_id": "SPX.SIM",
        "bar_type": SPX,
        "fast": 5,
        "slow": 20,
    }
    assert plan.data == (TrialData(kind="bars", identifier=SPX),)  # type: ignore[arg-type]
    assert plan.venues == (
        {
            "name": "SIM",
            "oms_type": "NETTING",
            "account_type": "MARGIN",
            "base_currency": None,
            "starting_balances": ["1000000.0 <quote>"],
            "default_leverage": 1.0,
        },
    )


def test_the_bare_name_of_a_templates_class_means_the_template() -> None:
    assert planned(**of_class("EMACross")).strategies == planned().strategies


def test_a_template_trades_the_instrument_of_the_run_where_its_default_is_another() -> None:
    assert planned(instruments=("IXIC.SIM",)).strategies[0]["config"]["bar_type"] == IXIC


def test_a_class_brings_its_config_class_and_reads_all_bars_of_its_instruments() -> None:
    plan = planned(**of_class(instruments=("SPX.SIM", "IXIC.SIM"), strategy_config={"a": 1}))
    assert plan.strategies[0]["config_path"] == "nautilus_trader.examples.strategies.x:YConfig"
    assert [data.identifier for data in plan.data] == [IXIC, SPX]


def test_a_dotted_class_is_the_same_class() -> None:
    plan = planned(**of_class("nautilus_trader.examples.strategies.x.Y"))
    assert plan.strategies[0]["strategy_path"] == "nautilus_trader.examples.strategies.x:Y"


@pytest.mark.parametrize("path", ["os:system", "nautilus_trader.examples.strategies_of_mine:X", "os.system"])
def test_a_class_from_elsewhere_is_refused(path: str) -> None:
    assert "outside the modules" in wrong(**of_class(path))["config.strategy_class"]


def test_a_bare_class_that_no_template_has_is_refused() -> None:
    assert "EMACross" in wrong(**of_class("Nothing"))["config.strategy_class"]


def test_bars_that_the_engine_makes_itself_are_made_of_ticks() -> None:
    made = {"bar_type": "EURUSD.SIM-1-MINUTE-BID-INTERNAL"}
    plan = planned(**of_class(instruments=("EURUSD.SIM",), strategy_config=made))
    assert plan.data == (TrialData(kind="quotes", identifier="EURUSD.SIM"),)  # type: ignore[arg-type]


def test_a_slash_in_a_name_is_found_in_its_folder() -> None:
    plan = planned(**of_class(instruments=("EUR/USD.SIM",)))
    assert plan.data[0].identifier == "EUR/USD.SIM"


def test_ticks_are_read_when_they_are_asked_for() -> None:
    plan = planned(**of_class(instruments=("BTC.X",), venues=("X",), tick_data=True))
    assert [data.kind for data in plan.data] == ["trades"]
    assert "config.tick_data" in wrong(tick_data=True)


def of_sol(**chosen: Any) -> dict[str, Any]:
    return of_class(instruments=("SOL.X",), venues=("X",), **chosen)


@pytest.mark.parametrize(
    ("kinds", "read"),
    [
        ((DELTAS,), [DELTAS]),
        (("quotes", DELTAS), [DELTAS, "quotes"]),
        (("bars",), ["bars"]),
        # Years without a change of status are no reason to refuse a run.
        (("instrument_status", "quotes"), ["instrument_status", "quotes"]),
    ],
)
def test_kinds_that_are_asked_for_are_read(kinds: tuple[Any, ...], read: list[str]) -> None:
    plan = planned(**of_sol(data_types=tuple(map(DataKind, kinds))))
    assert [data.kind for data in plan.data] == read


def test_ticks_are_quotes_and_trades_and_nothing_else() -> None:
    assert [data.kind for data in planned(**of_sol(tick_data=True)).data] == ["quotes"]


def test_a_kind_that_the_catalog_has_not_is_told_with_what_it_has() -> None:
    told = wrong(**of_sol(data_types=(DataKind.QUOTES, DataKind.MARK_PRICES)))
    there = "bars, instrument_status, order_book_deltas, quotes"
    assert told == {
        "config.data_types[1]": f"the catalog has no mark_prices of these instruments; it has {there} of them"
    }


def test_a_book_of_several_levels_needs_its_data_in_the_run() -> None:
    deep = {"X": VenueSettings(book_type="L2_MBP")}
    told = wrong(**of_sol(data_types=(DataKind.QUOTES,), venue_settings=deep))
    assert "needs the order book of SOL.X" in told["config.venue_settings.X.book_type"]
    plan = planned(**of_sol(data_types=(DataKind(DELTAS),), venue_settings=deep))
    assert plan.venues[0]["book_type"] == "L2_MBP"


def test_switches_that_nothing_would_answer_are_refused() -> None:
    told = wrong(**of_sol(data_types=(DataKind.QUOTES,), use_mark_prices=True, buffer_deltas=True))
    assert set(told) == {"config.use_mark_prices", "config.buffer_deltas"}
    plan = planned(**of_sol(data_types=(DataKind(DELTAS),), buffer_deltas=True))
    assert plan.engine["data_engine"] == {"buffer_deltas": True}
    assert "portfolio" not in plan.engine


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("SOL.X-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL", ["bars"]),
        ("SOL.X-5-MINUTE-LAST-INTERNAL@1-MINUTE-INTERNAL", ["quotes"]),
        ("SOL.X-3-TICK_IMBALANCE-LAST-INTERNAL", ["quotes"]),
    ],
)
def test_bars_of_bars_are_made_of_those_that_they_name(name: str, read: list[str]) -> None:
    for chosen in ({"bar_types": (name,)}, {"strategy_config": {"bar_type": name}}):
        assert [data.kind for data in planned(**of_sol(**chosen)).data] == read


def test_bars_of_bars_that_are_not_there_are_told() -> None:
    told = wrong(**of_sol(bar_types=("SOL.X-9-MINUTE-LAST-INTERNAL@3-MINUTE-EXTERNAL",)))
    assert told["config.bar_types[0]"].startswith("SOL.X-3-MINUTE-LAST-EXTERNAL is not in the data catalog")


def test_fills_latency_and_fees_are_models_of_nautilus() -> None:
    chosen = {
        "fill_model": FillModelChoice(prob_slippage=0.5),
        "latency_ms": 2.5,
        "commission": 1.0,
        "seed": 7,
    }
    venue = planned(**chosen, account_type="CASH", initial_balance=0.5, base_currency="USD").venues[0]
    assert venue["fill_model"]["config"] == {
        "prob_fill_on_limit": 1.0,
        "prob_slippage": 0.5,
        "random_seed": 7,
    }
    assert venue["latency_model"]["config"] == {"base_latency_nanos": 2_500_000}
    assert venue["fee_model"]["config"] == {"commission": "1.0 USD"}
    assert venue["starting_balances"] == ["0.5 USD"]
    assert "default_leverage" not in venue


def test_without_a_commission_fees_are_those_of_the_instruments() -> None:
    # NautilusTrader's own fee model takes them from there.
    assert "fee_model" not in planned(base_currency="USD").venues[0]


def pairs(*names: str, **chosen: Any) -> dict[str, Any]:
    return of_class(instruments=tuple(f"{name}.X" for name in names), venues=("X",), **chosen)


@pytest.mark.parametrize(
    "chosen",
    [
        pairs("BTC/USDT"),
        pairs("BTC/USDT", base_currency="USDT"),
        pairs("ETH/EUR", "EUR/USDT", base_currency="USDT"),
        pairs("BTC/USDT", "EUR/USDT", base_currency="EUR"),
        {"base_currency": "EUR"},  # what SPX is settled in its name does not tell
    ],
)
def test_a_base_currency_that_pairs_lead_to_is_taken(chosen: dict[str, Any]) -> None:
    plan = planned(**chosen)
    assert plan.venues[0]["base_currency"] == chosen.get("base_currency")
    money = chosen.get("base_currency", "<quote>")
    assert plan.venues[0]["starting_balances"] == [f"1000000.0 {money}"]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (pairs("BTC/USDT", base_currency="USD"), "USD has no rate to USDT"),
        (pairs("ETH/EUR", "BTC/USDT", base_currency="EUR"), "EUR has no rate to USDT"),
        (pairs("ETH/EUR", "BTC/USDT"), "must be given: instruments are quoted in EUR, USDT"),
    ],
)
def test_a_base_currency_without_a_rate_is_refused_before_anything_is_queued(
    chosen: dict[str, Any], text: str
) -> None:
    assert text in wrong(**chosen)["config.base_currency"]


def test_days_end_in_the_time_zone_that_is_named() -> None:
    assert planned().timezone == "UTC"
    assert planned(timezone="America/New_York").timezone == "America/New_York"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "America", "/etc/localtime", "utc\0"])
def test_a_time_zone_that_there_is_not_is_refused(zone: str) -> None:
    assert "no time zone" in wrong(timezone=zone)["config.timezone"]


@pytest.mark.parametrize(
    ("chosen", "field", "text"),
    [
        ({"strategy": "nothing"}, "config.strategy", "ema_cross"),
        ({"strategy_config": {"fast": 30}}, "config.strategy_config.fast", "less than slow"),
        ({"strategy_config": {"fast": "x"}}, "config.strategy_config.fast", "an integer"),
        ({"strategy_config": {"bar_type": IXIC}}, "config.strategy_config", "IXIC.SIM"),
        ({"instruments": ("SPX.SIM", "NO.SIM")}, "config.instruments", "NO.SIM not in the data catalog"),
        ({"venues": ("XNAS",)}, "config.venues", "SIM is missing"),
        ({"venues": ("SIM", "SIM")}, "config.venues", "twice"),
        ({"bar_types": (IXIC,)}, "config.bar_types[0]", "not in this backtest"),
        ({"bar_types": ("SPX.SIM-1-HOUR-LAST-EXTERNAL",)}, "config.bar_types[0]", SPX),
        ({"leverage": 2.0, "account_type": "CASH"}, "config.leverage", "MARGIN"),
        ({"start_date": "1990-01-01"}, "config.start_date", "from 1999-01-04 to 2018-12-31"),
        ({"end_date": "2024-01-01"}, "config.end_date", "from 1999-01-04 to 2018-12-31"),
    ],
)
def test_what_is_wrong_is_named(chosen: dict[str, Any], field: str, text: str) -> None:
    assert text in wrong(**chosen)[field]


def test_everything_wrong_is_told_at_once() -> None:
    found = wrong(strategy="nothing", instruments=("NO.ELSEWHERE",), bar_types=(SPX,))
    assert set(found) == {"config.strategy", "config.instruments", "config.venues", "config.bar_types[0]"}


def test_the_first_trading_day_may_follow_the_first_day_of_the_year() -> None:
    assert planned(start_date="1999-01-01").start_ns < planned().start_ns


def test_an_instrument_that_nobody_holds_is_one_mistake_and_named_where_it_was_given() -> None:
    assert list(wrong(instruments=("NO.SIM",))) == ["config.instruments"]
    both = wrong(instruments=("NO.SIM",), strategy_config={"instrument_id": "NO.SIM"})
    assert set(both) == {"config.instruments", "config.strategy_config.instrument_id"}
