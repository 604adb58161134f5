"""A catalog that NautilusTrader wrote, with every kind of data, attached and used: a trial gives what a BacktestEngine gives by hand."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.catalog.attaching import attach
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.engine_sidecar.replay.streams import DataSet, read
from flotilla.schemas.backtest import BacktestConfig, DataKind
from flotilla.schemas.decoding import convert
from flotilla.services.orchestrator.backtests.core.plans import Sources, plan_of
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from tests import book_catalog
from tests.book_catalog import ACME, BTC, ETH, MINUTES
from tests.integration.test_trials_equal_direct_runs import Pairs, assert_same

EVERY = [kind.value for kind in DataKind]
MODULES = ("nautilus_trader.examples.strategies", "tests.book_strategies")
BY_ORDER = {"instrument_id": ETH, "book_type": "L3_MBO", "large": "20", "every": 40}
OF_BTC = [(kind, BTC if kind != "bars" else MINUTES) for kind in EVERY]


@pytest.fixture(scope="module")
def attached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own catalog, which the other one is attached to."""
    theirs = tmp_path_factory.mktemp("theirs")
    book_catalog.write(theirs)
    ours = tmp_path_factory.mktemp("ours") / "catalog"
    done = attach(ours, theirs, "books")
    assert (done.instruments, done.data_sets, done.unusable) == (3, 12, ())
    return ours


@pytest.fixture(scope="module")
def pairs(attached: Path) -> Iterator[Pairs]:
    with closing(Pairs(attached)) as found:
        yield found


def strategy(name: str, **config: Any) -> dict[str, Any]:
    path = f"tests.book_strategies:{name}"
    whole = {"instrument_id": BTC, **config}
    return {"strategy_path": path, "config_path": f"{path}Config", "config": whole}


def acts_on(*kinds: str) -> dict[str, Any]:
    return strategy("ActsOn", kinds=list(kinds), bar_type=MINUTES if "bars" in kinds else None)


@pytest.fixture
def planned(attached: Path) -> Any:
    """The plan of a backtest of a configuration, as a request has it, on what the catalog says that it holds."""
    entries = catalog_view(attached).entries
    sources = Sources(template_set=TemplateSet(modules=MODULES), entries=entries)

    def made(
        book_type: str = "L2_MBP", settings: dict[str, Any] | None = None, **chosen: Any
    ) -> dict[str, Any]:
        currency = chosen.pop("currency", "USDT")
        whole = {
            "start_date": "2020-09-14",
            "end_date": "2020-09-14",
            "instruments": [BTC],
            "venues": ["SIM"],
            "venue_settings": {"SIM": {"book_type": book_type, **(settings or {})}},
            **chosen,
        }
        plan, errors = plan_of(convert(whole, BacktestConfig, "config"), sources)
        assert errors == []
        told: dict[str, Any] = json.loads(msgspec.json.encode(plan))
        told["engine"]["logging"]["log_level"] = "ERROR"
        for venue in told["venues"]:
            venue |= {"base_currency": currency, "starting_balances": [f"1000000 {currency}"]}
        return told | {"currency": currency, "chunk": 300}

    return made


def test_everything_is_listed_and_read_as_it_was_written(attached: Path) -> None:
    entries = catalog_view(attached).entries
    assert [(one.data_type, one.identifier) for one in entries if one.instrument_id == BTC] == OF_BTC
    assert {one.attached for one in entries} == {"books"}
    for kind, made in book_catalog.KINDS.items():
        identifier = MINUTES if kind == "bars" else BTC
        found = list(read(attached, DataSet(KINDS[DataKind(kind)], identifier)))
        written = made()
        if kind == "order_book_deltas":  # a CLEAR has a null order, and files give it decimals
            found, written = found[1:], written[1:]
        assert [str(one) for one in found] == [str(one) for one in written]
    rates = list(read(attached, DataSet(KINDS[DataKind.FUNDING_RATES], BTC)))
    assert [one.rate for one in rates] == [one.rate for one in book_catalog.funding_rates()]
    orders = list(read(attached, DataSet(KINDS[DataKind.ORDER_BOOK_DELTAS], ETH)))
    assert list(map(str, orders[1:])) == list(map(str, book_catalog.single_orders()[1:]))


@pytest.mark.parametrize("book_type", ["L1_MBP", "L2_MBP", "L3_MBO"])
def test_a_run_on_all_kinds_at_once_is_the_one_by_hand(pairs: Pairs, planned: Any, book_type: str) -> None:
    """The order of its expiry has a random id in NautilusTrader, and no state."""
    ours, theirs = pairs.run(planned(book_type, strategies=[acts_on(*EVERY)], data_types=EVERY))
    (drawn,) = (name for name in theirs["orders"] if name.startswith("EXPIRATION-LEG-"))
    theirs = json.loads(json.dumps(theirs).replace(drawn, "EXPIRATION-LEG-1"))
    (leg,) = (order for order in ours["orders"] if order["client_order_id"] == "EXPIRATION-LEG-1")
    theirs["orders"]["EXPIRATION-LEG-1"] = [leg["status"], leg["filled_qty"]]
    assert_same(ours, theirs)
    assert {fill["client_order_id"] for fill in ours["fills"]} >= {"EXPIRATION-LEG-1"}
    assert len(ours["fills"]) > 600
    # Every kind has reached the strategy: its tenths are in the size of an order.
    assert {int(float(order["quantity"]) * 10) for order in ours["orders"]} >= set(range(1, len(EVERY) + 1))


def test_market_orders_walk_the_book_and_limit_orders_wait_for_their_turn(pairs: Pairs, planned: Any) -> None:
    kinds = ["order_book_deltas", "trades"]
    found = {}
    for name, settings in {
        "plain": {},
        "queue": {"queue_position": True, "liquidity_consumption": True},
    }.items():
        run = planned(settings=settings, strategies=[strategy("MakesTheMarket")], data_types=kinds)
        ours, theirs = pairs.run(run)
        assert_same(ours, theirs)
        found[name] = ours
    assert found["plain"]["fills"] != found["queue"]["fills"]
    sizes = Counter(fill["client_order_id"] for fill in found["plain"]["fills"])
    assert max(sizes.values()) >= 4, "a market order of 12 takes several levels"


def test_an_order_book_order_by_order(pairs: Pairs, planned: Any) -> None:
    one = strategy("MakesTheMarket", **BY_ORDER)
    run = planned("L3_MBO", strategies=[one], instruments=[ETH], data_types=["order_book_deltas"])
    ours, theirs = pairs.run(run)
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 30
    # Without quotes, trades or bars what is open is valued by the order book.
    assert (
        ours["equity_curve"][-1]["equity"] != ours["equity_curve"][-1]["balance"]
        or not ours["open_positions"]
    )


def test_changes_of_a_book_come_together_where_that_is_asked_for(pairs: Pairs, planned: Any) -> None:
    run = {"strategies": [acts_on("order_book_deltas")], "data_types": ["order_book_deltas"]}
    together, theirs = pairs.run(planned(**run, buffer_deltas=True))
    assert_same(together, theirs)
    single, theirs = pairs.run(planned(**run))
    assert_same(single, theirs)
    assert len(together["orders"]) == 12 < len(single["orders"]) / 10


def test_nautilustraders_own_imbalance_strategy_trades_on_a_book(pairs: Pairs, planned: Any) -> None:
    path = "nautilus_trader.examples.strategies.orderbook_imbalance:OrderBookImbalance"
    config = {"instrument_id": BTC, "max_trade_size": "1", "trigger_min_size": 0.2, "book_type": "L2_MBP"}
    one = {"strategy_path": path, "config_path": f"{path}Config", "config": config}
    ours, theirs = pairs.run(planned(strategies=[one], data_types=["order_book_deltas"]))
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 20


def test_positions_are_valued_at_mark_prices_where_that_is_asked_for(pairs: Pairs, planned: Any) -> None:
    run = {"strategies": [acts_on("index_prices")], "data_types": ["index_prices", "mark_prices", "quotes"]}
    by_quote, theirs = pairs.run(planned("L1_MBP", **run))
    assert_same(by_quote, theirs)
    by_mark, theirs = pairs.run(planned("L1_MBP", **run, use_mark_prices=True))
    assert_same(by_mark, theirs)
    assert by_mark["fills"] == by_quote["fills"]
    assert by_mark["equity_curve"] != by_quote["equity_curve"]


@pytest.mark.parametrize("kind", ["funding_rates", "instrument_status", "mark_prices", "index_prices"])
def test_what_a_strategy_only_hears_of_moves_no_market_and_no_money(
    pairs: Pairs, planned: Any, kind: str
) -> None:
    run = {"strategies": [acts_on("quotes")]}
    without, _ = pairs.run(planned("L1_MBP", **run, data_types=["quotes"]))
    with_it, theirs = pairs.run(planned("L1_MBP", **run, data_types=["quotes", kind]))
    assert_same(with_it, theirs)
    assert (with_it["fills"], with_it["balances"]) == (without["fills"], without["balances"])
    assert with_it["events"] > without["events"]


def test_a_book_of_one_level_ignores_deltas_and_takes_depths(pairs: Pairs, planned: Any) -> None:
    for kind, has_market in (("order_book_deltas", False), ("order_book_depths", True)):
        ours, theirs = pairs.run(planned("L1_MBP", strategies=[acts_on(kind)], data_types=[kind]))
        assert_same(ours, theirs)
        assert bool(ours["fills"]) == has_market
        assert {order["status"] for order in ours["orders"]} == {"FILLED" if has_market else "REJECTED"}


@pytest.mark.parametrize("account_type", ["CASH", "MARGIN"])
def test_what_is_held_is_worth_what_the_order_book_says(
    pairs: Pairs, planned: Any, account_type: str
) -> None:
    run = planned(
        settings={"account_type": account_type},
        strategies=[strategy("BuysOnce", instrument_id=ACME, size="2")],
        instruments=[ACME],
        data_types=["order_book_deltas"],
        currency="USD",
    )
    ours, theirs = pairs.run(run)
    assert_same(ours, theirs)
    (position,) = ours["open_positions"]
    assert (position["entry_price"], position["unrealized_pnl"]) == (100.02, "1.96")
    last, bought = ours["equity_curve"][-1], 200.04 if account_type == "CASH" else 0.0
    assert last["equity"] == pytest.approx(last["balance"] + bought + 1.96)
    assert [point["price"] for point in ours["prices"]][-1] == pytest.approx(101.01)
