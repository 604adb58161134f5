"""Where the parts of a backtest's result stand in the API."""

from typing import Final

from flotilla.schemas.backtest import ResultPart

API: Final = "/api/v1/nautilus"


def report_link(backtest_id: str) -> str:
    """Its tear sheet."""
    return f"{API}/backtests/{backtest_id}/report"


def part_link(backtest_id: str, part: ResultPart, offset: int = 0) -> str:
    """A part of its result, from the `offset`th entry on."""
    query = f"?offset={offset}" if offset else ""
    return f"{API}/backtests/{backtest_id}/results/{part}{query}"


def part_links(backtest_id: str) -> dict[str, str]:
    """Every part of its result that is read in pages, by name."""
    return {str(part): part_link(backtest_id, part) for part in ResultPart if part is not ResultPart.REPORT}
