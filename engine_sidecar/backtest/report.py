"""NautilusTrader's own tear sheet of a run, as one HTML document that needs nothing else."""

from typing import Final

from nautilus_trader.backtest.engine import BacktestEngine

HEIGHT: Final = 2_300
"""Pixels: in NautilusTrader's own 1,500 the table of statistics is cut off, and twenty years of months lie on each other."""


def tear_sheet(engine: BacktestEngine, title: str) -> str:
    """The document of a run that has ended. Its plots are drawn by the script that it carries."""
    # Takes a second to import, and a study wants none.
    from nautilus_trader.analysis.config import TearsheetConfig  # noqa: PLC0415
    from nautilus_trader.analysis.tearsheet import create_tearsheet  # noqa: PLC0415

    config = TearsheetConfig(title=title, height=HEIGHT)
    html: str = create_tearsheet(engine, output_path=None, config=config)
    return html
