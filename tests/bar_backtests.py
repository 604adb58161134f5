"""`python -m tests.bar_backtests`: runs bars made by hand through NautilusTrader's own BacktestEngine, one JSON line per run.

It is a process of its own, because NautilusTrader's logger and clocks are one per process; it stays, because starting it is slow.
"""

import json
import sys
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import InstrumentId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity

from flotilla.engine_sidecar.catalog.instruments import new_instrument
from flotilla.engine_sidecar.strategies.building import build_strategy
from tests.backtest_for_tests import listen

SIM = Venue("SIM")
BAR_TYPE = BarType.from_str("HAND.SIM-1-DAY-LAST-EXTERNAL")


def main() -> None:
    for line in sys.stdin:
        sys.stdout.buffer.write(msgspec.json.encode(run(json.loads(line))) + b"\n")
        sys.stdout.buffer.flush()


def run(case: dict[str, Any]) -> dict[str, Any]:
    """`case`: bars as [UNIX ns, open, high, low, close], strategy, account_type, balance, modify_rate, restart_after."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(
                max_order_submit_rate="1000000/00:00:01", max_order_modify_rate=case["modify_rate"]
            ),
        )
    )
    balance = Money(case["balance"], USD)
    engine.add_venue(SIM, OmsType.NETTING, AccountType[case["account_type"]], [balance], USD, Decimal(1))
    engine.add_instrument(new_instrument(InstrumentId.from_str("HAND.SIM"), 2, 0, "USD"))
    faults: list[str] = []
    strategy = build_strategy(case["strategy"], lambda *what: faults.append(repr(what)))
    engine.add_strategy(strategy)
    heard = listen(engine)
    bars, restart_after = [bar_of(*row) for row in case["bars"]], case["restart_after"]
    engine.add_data(bars[:restart_after])
    engine.run(streaming=True)
    if restart_after < len(bars):
        saved = strategy.save()
        strategy.stop()
        strategy.reset()
        strategy.load(saved)
        strategy.start()
        engine.clear_data()
        engine.add_data(bars[restart_after:])
        engine.run(streaming=True)
    engine.end()
    state = strategy.state.name
    engine.dispose()
    return heard | {"faults": faults, "state": state}


def bar_of(ts: int, *prices: str) -> Bar:
    return Bar(BAR_TYPE, *(Price(float(price), 2) for price in prices), Quantity.from_int(1_000_000), ts, ts)


if __name__ == "__main__":
    main()
