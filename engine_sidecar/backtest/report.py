"""NautilusTrader's own tear sheet of a run, as one HTML document that needs nothing else."""

from nautilus_trader.backtest.engine import BacktestEngine


def tear_sheet(engine: BacktestEngine, title: str) -> str:
    """The document of a run that has ended. Its plots are drawn by the script that it carries."""
    # Takes a second to import, and a study wants none.
    from nautilus_trader.analysis.tearsheet import create_tearsheet  # noqa: PLC0415

    html: str = create_tearsheet(engine, output_path=None, title=title)
    return html
