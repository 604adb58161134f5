"""Makes the BacktestEngine of a trial, by NautilusTrader's own BacktestNode, from configs that its own classes accept."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.analysis import CAGR, CalmarRatio, MaxDrawdown
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.node import BacktestNode

from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.schemas.backtest import ORDER_BOOKS, DataKind, TrialPlan

STATISTICS: Final = (CAGR, CalmarRatio, MaxDrawdown)
"""Beside those that NautilusTrader registers itself."""


class TrialRefusedError(Exception):
    """The plan cannot be run as it is; trying again would change nothing."""


def build_engine(plan: TrialPlan, catalog: Path) -> BacktestEngine:
    """An engine with venues, instruments and strategies, and no data. Raises TrialRefusedError."""
    try:
        node = BacktestNode([BacktestRunConfig.parse(msgspec.json.encode(_run_config(plan, catalog)))])
        node.build()
        engine = node.get_engines()[0]
    except Exception as error:
        raise TrialRefusedError(f"{type(error).__name__}: {error}") from error
    require_instruments(plan, engine.cache.instrument_ids())
    for statistic in STATISTICS:
        engine.portfolio.analyzer.register_statistic(statistic())
    return engine


def require_instruments(plan: TrialPlan, found: Iterable[Any]) -> None:
    """Raises TrialRefusedError with the instruments of the plan that are not among those `found`, by their InstrumentId."""
    if missing := sorted(set(plan.instruments) - {each.value for each in found}):
        raise TrialRefusedError(f"the catalog has no {', '.join(missing)}")


def _run_config(plan: TrialPlan, catalog: Path) -> dict[str, Any]:
    engine = {**plan.engine, "strategies": list(plan.strategies)}
    # Of any kind, so that all instruments are named.
    kinds = sorted({data.kind for data in plan.data} - ORDER_BOOKS) or [DataKind.QUOTES]
    return {
        "engine": engine,
        "venues": list(plan.venues),
        # It is the instruments that are taken from here; the events are fed by us.
        "data": [
            {
                "catalog_path": str(catalog),
                "data_cls": f"nautilus_trader.model.data:{KINDS[kind].__name__}",
                "instrument_ids": list(plan.instruments),
                **({"bar_spec": "1-DAY-LAST"} if KINDS[kind].__name__ == "Bar" else {}),
            }
            for kind in kinds
        ]
        # A venue with a book of several levels has to be shown that there is one.
        + [
            {
                "catalog_path": str(catalog),
                "data_cls": f"nautilus_trader.model.data:{KINDS[data.kind].__name__}",
                "instrument_id": data.identifier,
            }
            for data in plan.data
            if data.kind in ORDER_BOOKS
        ],
        "raise_exception": True,
        "dispose_on_completion": False,
    }
