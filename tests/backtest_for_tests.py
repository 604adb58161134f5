"""`python -m tests.backtest_for_tests`: the reference. A plan on stdin, run by NautilusTrader's own BacktestEngine; JSON on stdout.

It is a process of its own, because NautilusTrader's logger and clocks are one per process.
"""

import json
import sys
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.analysis import CAGR, CalmarRatio, MaxDrawdown
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.trading.config import StrategyFactory

from flotilla.engine_sidecar.engine import translate

SIM = Venue("SIM")


def main() -> None:
    plan = json.load(sys.stdin)
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(log_level="ERROR"),
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        )
    )
    engine.add_venue(
        SIM, OmsType.NETTING, AccountType[plan["account_type"]], [Money(1_000_000, USD)], USD, Decimal(1)
    )
    catalog = ParquetDataCatalog(plan["catalog"])
    for instrument in sorted(catalog.instruments(), key=lambda found: found.id.value):
        if instrument.id.value in plan.get("instruments", [instrument.id.value]):
            engine.add_instrument(instrument)
    for bar_type in sorted(plan["bar_types"]):
        engine.add_data(catalog.query(Bar, [bar_type]))
    for kind in (QuoteTick, TradeTick):
        for instrument in plan.get(kind.__name__, ()):
            engine.add_data(catalog.query(kind, [instrument]))
    for strategy in plan["strategies"]:
        engine.add_strategy(StrategyFactory.create(ImportableStrategyConfig(**strategy)))
    for statistic in (CAGR, CalmarRatio, MaxDrawdown):
        engine.portfolio.analyzer.register_statistic(statistic())
    heard = listen(engine)
    engine.run(start=plan["start"], end=plan["end"])
    account = engine.cache.accounts()[0]
    pnls = engine.portfolio.realized_pnls(SIM).values()
    result = heard | {
        "balances": {"USD": translate.amount(account.balance_total(USD))},
        "realized_pnl": {"USD": translate.amount(next(iter(pnls), Money(0, USD)))},
        "events": engine.iteration,
        "statistics": {
            "USD": engine.portfolio.analyzer.get_performance_stats_pnls(USD),
            "returns": engine.portfolio.analyzer.get_performance_stats_returns(),
        },
    }
    sys.stdout.buffer.write(msgspec.json.encode(result))


def listen(engine: BacktestEngine) -> dict[str, list[Any]]:
    heard: dict[str, list[Any]] = {"orders": [], "fills": [], "positions": []}

    def on_order(event: Any) -> None:
        heard["orders"].append(translate.order_update(event, engine.cache))

    bus = engine.kernel.msgbus
    bus.subscribe("events.order.*", on_order, priority=10)
    bus.subscribe("events.fills.*", lambda event: heard["fills"].append(translate.fill(event)))
    bus.subscribe(
        "events.position.*", lambda event: heard["positions"].append(translate.position_update(event))
    )
    return heard


if __name__ == "__main__":
    main()
