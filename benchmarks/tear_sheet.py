"""The tear sheet of 5,000 bars and 500 trades, record → HTML, against NautilusTrader's own of as many returns; at most 1 s."""

import sys
import time
from typing import Any, Final

from benchmarks.records import long_record
from benchmarks.rounds import report
from flotilla.show.tear_sheet.sheet import tear_sheet

BARS: Final = 5_000
TRADES: Final = 500
ROUNDS: Final = 5
LIMIT: Final = 1.0
"""NautilusTrader's own sheet has no trades and no prices in it here, and is not to be quicker for that."""
LIMIT_S: Final = 1.0
LIMIT_BYTES: Final = 1_000_000


def returns_of(equities: list[float]) -> Any:
    """The same run as NautilusTrader's sheet takes it: returns by day."""
    import pandas as pd  # noqa: PLC0415

    return pd.Series(equities, index=pd.date_range("2000-01-02", periods=len(equities))).pct_change().dropna()


def main() -> int:
    """1 when it is slower than NautilusTrader's, takes over a second, or is larger than a megabyte."""
    # Theirs needs a second to import, which is not counted.
    from nautilus_trader.analysis.tearsheet import create_tearsheet_from_stats  # noqa: PLC0415

    record = long_record(BARS, TRADES)
    returns = returns_of([point.equity for point in record.curve[1:]])
    ours, theirs = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        create_tearsheet_from_stats({"USD": {}}, {}, {}, returns, output_path=None)
        between = time.perf_counter()
        html = tear_sheet(record)
        theirs.append(between - began)
        ours.append(time.perf_counter() - between)
    code = report("tear sheet", min(ours), min(theirs), "s", LIMIT)
    size = len(html.encode())
    sys.stdout.write(
        f"tear sheet: {size:,} bytes, slowest {max(ours):.3f} s (limits {LIMIT_BYTES:,}, {LIMIT_S:g} s)\n"
    )
    return int(code or size > LIMIT_BYTES or max(ours) > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
