"""NautilusTrader's BacktestEngine alone: a program for `python -c`, which runs each of the plans on stdin with all data loaded at once.

It gives a line of JSON for each: seconds from an engine that is not built yet to its statistics, imports not counted.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.backtest.currencies import with_currency
from flotilla.schemas.backtest import TrialPlan

KINDS = {"bars": Bar, "quotes": QuoteTick, "trades": TradeTick}


def run(plan: dict[str, Any], folder: str) -> dict[str, Any]:
    """One plan of ours (schemas.backtest.TrialPlan); `folder` is the catalog."""
    began = time.monotonic()
    kinds = {KINDS[data["kind"]] for data in plan["data"]}
    config = {
        "engine": {**plan["engine"], "strategies": plan["strategies"]},
        "venues": plan["venues"],
        "data": [
            {
                "catalog_path": folder,
                "data_cls": f"nautilus_trader.model.data:{kind.__name__}",
                "instrument_ids": plan["instruments"],
                **({"bar_spec": "1-DAY-LAST"} if kind is Bar else {}),
            }
            for kind in kinds
        ],
        "raise_exception": True,
        "dispose_on_completion": False,
    }
    node = BacktestNode([BacktestRunConfig.parse(msgspec.json.encode(config))])
    node.build()
    engine = node.get_engines()[0]
    catalog = ParquetDataCatalog(folder)
    for data in plan["data"]:
        found = catalog.query(
            KINDS[data["kind"]], [data["identifier"]], start=plan["start_ns"], end=plan["end_ns"]
        )
        engine.add_data(found)
    engine.run(start=plan["start_ns"], end=plan["end_ns"])
    result = engine.get_result()
    took = time.monotonic() - began
    told = {
        "seconds": took,
        "events": result.iterations,
        "positions": result.total_positions,
        "statistics": {**result.stats_pnls, "returns": result.stats_returns},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    node.dispose()
    return told


for line in sys.stdin:
    # An account in a currency that nobody named holds no money: every fill would be refused, and the run be another one.
    named = with_currency(msgspec.json.decode(line, type=TrialPlan), Path(sys.argv[1]))
    print(json.dumps(run(msgspec.to_builtins(named), sys.argv[1])), flush=True)
