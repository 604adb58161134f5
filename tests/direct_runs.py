"""`python -m tests.direct_runs CATALOG`: runs plans as trials, and by NautilusTrader's BacktestEngine with all data loaded at once.

A TrialPlan per line on stdin, with `chunk`, the events that the trial reads ahead; a pair of results per line on stdout, the second null with `alone`. Every run is a fork of this process, which has imported everything and does nothing else.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from nautilus_trader.analysis import CAGR, CalmarRatio, MaxDrawdown
from nautilus_trader.backtest import models
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import StandardMarginModel
from nautilus_trader.config import (
    DataCatalogConfig,
    DataEngineConfig,
    LoggingConfig,
    PortfolioConfig,
    RiskEngineConfig,
)
from nautilus_trader.model.data import (
    Bar,
    InstrumentClose,
    InstrumentStatus,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OtoTriggerMode
from nautilus_trader.model.identifiers import ClientId, InstrumentId, Venue
from nautilus_trader.model.objects import Currency, Money
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.funcs import class_to_filename

from flotilla.engine_sidecar.backtest import feeding
from flotilla.engine_sidecar.backtest.running import run_trial
from flotilla.engine_sidecar.engine import translate
from flotilla.engine_sidecar.replay import streams
from flotilla.schemas.backtest import TrialPlan
from flotilla.schemas.catalog import FOREVER
from tests import book_catalog

FLAGS = (
    *("routing", "reject_stop_orders", "support_gtd_orders", "support_contingent_orders", "use_position_ids"),
    *("use_reduce_only", "use_market_order_acks", "bar_execution", "bar_adaptive_high_low_ordering"),
    *("trade_execution", "liquidity_consumption", "queue_position", "allow_cash_borrowing", "frozen_account"),
    "price_protection_points",
)
KINDS = {
    "bars": Bar,
    "instrument_closes": InstrumentClose,
    "instrument_status": InstrumentStatus,
    "mark_prices": MarkPriceUpdate,
    "order_book_deltas": OrderBookDelta,
    "order_book_depths": OrderBookDepth10,
    "quotes": QuoteTick,
    "trades": TradeTick,
}
UNREADABLE = {"funding_rates": book_catalog.funding_rates, "index_prices": book_catalog.index_prices}
"""NautilusTrader does not read these back as they were written: they are made again."""


def trial(plan: dict[str, Any], catalog: str) -> Any:
    size, seed = plan.pop("chunk"), plan.pop("seed", None)
    feeding.chunks = partial(feeding.chunks, size=size)
    streams.BATCH_ROWS = max(1, size // 2)
    return run_trial(msgspec.convert(plan, TrialPlan), Path(catalog), lambda _: None, seed=seed).result


def direct(plan: dict[str, Any], folder: str) -> Any:
    """What a quant writes by hand for the plan."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(log_level="ERROR"),
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
            data_engine=DataEngineConfig(**plan["engine"].get("data_engine", {})),
            portfolio=PortfolioConfig(**plan["engine"].get("portfolio", {})),
            catalogs=[DataCatalogConfig(path=folder)] if plan.get("warm_up") else [],
        )
    )
    for venue in plan["venues"]:
        add_venue(engine, venue)
    catalog = ParquetDataCatalog(folder)
    for instrument in catalog.instruments(instrument_ids=plan["instruments"]):
        engine.add_instrument(instrument)
    bounds = {"start": plan["start_ns"] or None, "end": plan["end_ns"] if plan["end_ns"] < FOREVER else None}
    for _, _, found, client_id in sorted(loaded(catalog, plan), key=lambda one: one[:2]):
        if found:
            engine.add_data(found, client_id=client_id, sort=False)
    engine.sort_data()
    for one in plan["engine"].get("actors", ()):
        engine.add_actor(made(one, "actor_path"))
    for one in plan["engine"].get("exec_algorithms", ()):
        engine.add_exec_algorithm(made(one, "exec_algorithm_path"))
    for one in plan["strategies"]:
        engine.add_strategy(made(one, "strategy_path"))
    for statistic in (CAGR, CalmarRatio, MaxDrawdown):
        engine.portfolio.analyzer.register_statistic(statistic())
    fills: list[Any] = []
    engine.kernel.msgbus.subscribe("events.fills.*", fills.append)
    engine.run(**bounds)
    return told(engine, fills)


def loaded(catalog: ParquetDataCatalog, plan: dict[str, Any]) -> Iterator[tuple[str, str, list[Any], Any]]:
    """Data sets by kind and identifier, in which order events of one moment come."""
    for data in plan["data"]:
        yield data["kind"], data["identifier"], events(catalog, data, plan), None
    for data in plan.get("custom", ()):
        kind, identifier = named(data["path"]), data["identifier"]
        found = catalog.query(kind, [identifier] if identifier else None)
        yield class_to_filename(kind), identifier, found, ClientId(data["client_id"])


def events(catalog: ParquetDataCatalog, data: dict[str, Any], plan: dict[str, Any]) -> list[Any]:
    first, last = plan["start_ns"], plan["end_ns"]
    if made := UNREADABLE.get(data["kind"]):
        return [each for each in made() if first <= each.ts_init <= last]
    found: list[Any] = catalog.query(
        KINDS[data["kind"]], [data["identifier"]], start=first or None, end=last if last < FOREVER else None
    )
    return found


def add_venue(engine: BacktestEngine, venue: dict[str, Any]) -> None:
    models = {key: model(venue[key]) for key in ("fill_model", "latency_model", "fee_model") if key in venue}
    plain = {key: venue[key] for key in FLAGS if key in venue}
    if "book_type" in venue:
        plain["book_type"] = BookType[venue["book_type"]]
    if "oto_trigger_mode" in venue:
        plain["oto_trigger_mode"] = OtoTriggerMode[venue["oto_trigger_mode"]]
    engine.add_venue(
        Venue(venue["name"]),
        OmsType[venue["oms_type"]],
        AccountType[venue["account_type"]],
        [Money.from_str(text) for text in venue["starting_balances"]],
        Currency.from_str(venue["base_currency"]) if venue["base_currency"] else None,
        Decimal(str(venue.get("default_leverage", 1))),
        by_instrument(venue.get("leverages", {}), Decimal),
        margin_model=margin_model(venue.get("margin_model")),
        modules=[made(one, "actor_path") for one in venue.get("modules", ())],
        settlement_prices=by_instrument(venue.get("settlement_prices", {}), float),
        **models,
        **plain,
    )


def by_instrument(given: dict[str, Any], kind: Callable[[Any], Any]) -> dict[InstrumentId, Any]:
    return {InstrumentId.from_str(name): kind(value) for name, value in given.items()}


def model(told: dict[str, Any]) -> Any:
    """By the arguments that its class takes."""
    path = next(value for key, value in told.items() if key.endswith("_model_path"))
    if not path.startswith("nautilus_trader."):
        return made(told, next(key for key in told if key.endswith("_model_path")))
    name = path.partition(":")[2]
    config = dict(told["config"])
    if "commission" in config:
        config["commission"] = Money.from_str(config["commission"])
    return getattr(models, name)(**config)


def margin_model(told: dict[str, Any] | None) -> Any:
    if told is None:
        return None
    if told["model_type"] == "standard":
        return StandardMarginModel()
    return named(told["model_type"])(SimpleNamespace(config=told["config"]))


def made(importable: dict[str, Any], key: str) -> Any:
    """A strategy, or what runs beside it."""
    config = named(importable["config_path"]).parse(json.dumps(importable["config"]))
    return named(importable[key])(config)


def told(engine: BacktestEngine, fills: list[Any]) -> Any:
    cache, result = engine.cache, engine.get_result()
    balances: dict[Any, Decimal] = {}
    for account in cache.accounts():
        for currency, money in account.balances_total().items():
            balances[currency] = balances.get(currency, Decimal(0)) + money.as_decimal()
    return {
        "fills": [translate.fill(event) for event in fills],
        "orders": {
            order.client_order_id.value: [order.status_string(), str(order.filled_qty)]
            for order in cache.orders()
        },
        "trades": sorted(
            [str(position.ts_closed), translate.amount(position.realized_pnl)]
            for position in (*cache.position_snapshots(), *cache.positions_closed())
        ),
        "accounts": len(cache.accounts()),
        "events": result.iterations,
        "balances": translate.amounts(balances),
        "statistics": {**result.stats_pnls, "returns": result.stats_returns},
    }


def named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def forked(run: Callable[..., Any], *arguments: Any) -> Any:
    """What `run` gives in a process of its own: NautilusTrader's logger and clocks are one per process."""
    read_fd, write_fd = os.pipe()
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.close(read_fd)
            with os.fdopen(write_fd, "wb") as pipe:
                pipe.write(msgspec.json.encode(run(*arguments)))
            code = 0
        except BaseException as error:  # noqa: BLE001 - told, and nothing of the parent may run on
            print(f"{run.__name__}: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return msgspec.json.decode(said) if said else None


def main() -> None:
    # NautilusTrader logs to stdout.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            plan = json.loads(line)
            wanted = {key: value for key, value in plan.items() if key not in ("chunk", "seed")}
            is_alone = plan.pop("alone", False)
            theirs = None if is_alone else forked(direct, wanted, sys.argv[1])
            pair = [forked(trial, plan, sys.argv[1]), theirs]
            print(json.dumps(pair), file=answers, flush=True)


if __name__ == "__main__":
    main()
