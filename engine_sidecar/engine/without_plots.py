"""NautilusTrader is imported without plotly, which takes a sixth of that time, until somebody draws."""

import importlib
import sys
from typing import Any, Final

_ANALYSIS: Final = "nautilus_trader.analysis"
_PLOTS: Final = "nautilus_trader.analysis.tearsheet"


def import_without_plots() -> None:
    """Imports what has the plots; its names that draw are there, and come with plotly when one is asked for. Call it first of all."""
    if _ANALYSIS in sys.modules or "plotly" in sys.modules:
        return
    # As if it were not installed.
    sys.modules["plotly"] = None  # type: ignore[assignment]
    try:
        analysis = importlib.import_module(_ANALYSIS)
    finally:
        del sys.modules["plotly"]
    plots = sys.modules.pop(_PLOTS)
    drawn = {name for name, value in vars(analysis).items() if getattr(value, "__module__", "") == _PLOTS}
    for name in drawn | {plots.__name__.rpartition(".")[2]}:
        delattr(analysis, name)

    def found(name: str) -> Any:
        if name not in drawn:
            raise AttributeError(f"module {_ANALYSIS!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_PLOTS), name)

    analysis.__getattr__ = found  # type: ignore[method-assign]
