"""The end of the demo: what the engine traded, once more as a backtest, and whether the same came of it."""

import os
import tempfile
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final

import msgspec

from flotilla.client.backtest_config import whole_config
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestView, ResultPart
from flotilla.schemas.telemetry import Fill
from flotilla.show.figure_tables import Told
from flotilla.show.progress import Narrator
from flotilla.show.reports import save_report
from flotilla.show.result_lines import told

BACKTEST: Final = "demo"
_TIMEOUT_S: Final = 120.0


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """The backtest; `report` is the file of its tear sheet, None when there is none, and `no_report` says why then.

    `equal_fills` counts those that are the engine's, from the first up to the first that is not.
    """

    backtest: BacktestView
    told: Told
    report: Path | None
    fills: int
    equal_fills: int
    no_report: str = ""

    @property
    def is_equal(self) -> bool:
        """True when every fill is the engine's."""
        return self.fills == self.equal_fills

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it should be."""
        fills = () if self.is_equal else ("the backtest's fills are not those of the engine",)
        return (*fills, *([self.no_report] if self.no_report else []))


async def run_again(
    fleet: Flotilla, narrator: Narrator, traded: Sequence[Fill], report: Path | None
) -> Again:
    """Runs the demo's strategy over all of its data and compares; writes the tear sheet to `report`, None for the usual file.

    Raises BacktestFailedError or FaultError.
    """
    narrator.say("the same strategy on the same data, as a backtest")
    config = await whole_config(fleet, {"strategy": "ema_cross"})
    await fleet.run_backtest(BACKTEST, config)
    view = await fleet.wait_for_backtest(BACKTEST, timeout_s=_TIMEOUT_S)
    narrator.say(f"backtest done, {view.events or 0:,} events; its tear sheet is made")
    shown = await told(fleet, view)
    saved, no_report = await _saved(fleet, report or _usual_report())
    fills: list[Fill] = await fleet.backtest_result(BACKTEST, ResultPart.FILLS)
    return Again(
        backtest=view,
        told=shown,
        report=saved,
        no_report=no_report,
        fills=len(fills),
        equal_fills=count_equal(fills, traded),
    )


def _usual_report() -> Path:
    """In this folder, or with the temporary files where nothing can be written here, as in another's checkout."""
    if os.access(Path.cwd(), os.W_OK | os.X_OK):
        return Path.cwd() / "flotilla-demo.html"
    return Path(tempfile.mkdtemp(prefix="flotilla-demo-report-")) / "flotilla-demo.html"


async def _saved(fleet: Flotilla, report: Path) -> tuple[Path | None, str]:
    """The file, or why there is none."""
    try:
        await save_report(fleet, BACKTEST, report)
    except OSError as error:
        return None, f"the tear sheet could not be written to {report}: {error.strerror}"
    return report, ""


def count_equal(fills: Sequence[Fill], traded: Sequence[Fill]) -> int:
    """How many are the same from the first on: time, instrument, side, quantity and price. Ids are of each run alone."""
    pairs = zip(fills, traded, strict=False)
    return sum(1 for _ in takewhile(lambda pair: _deal(pair[0]) == _deal(pair[1]), pairs))


def _deal(fill: Fill) -> tuple[int, str, str, str, str]:
    return fill.ts_event, fill.instrument_id, fill.side, fill.last_qty, fill.last_px
