"""An engine's process imports no plotly until somebody draws, and then all of it is there."""

import subprocess
import sys

_RUN = """
import sys
import flotilla.engine_sidecar.engine.preload
from nautilus_trader import analysis
print("plotly" in sys.modules, hasattr(analysis, "nothing"), "PortfolioAnalyzer" in vars(analysis))
from nautilus_trader.analysis import create_tearsheet, get_chart
from nautilus_trader.analysis.tearsheet import PLOTLY_AVAILABLE, create_tearsheet as again
print("plotly" in sys.modules, PLOTLY_AVAILABLE, create_tearsheet is again)
"""


def test_plotly_comes_when_it_is_asked_for() -> None:
    argv = [sys.executable, "-W", "ignore", "-c", _RUN]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == ["False False True", "True True True"], done.stderr
