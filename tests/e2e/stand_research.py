"""What the orchestrator of a stand answers about logs, market data, studies and the record."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import cos, sin
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import (
    BacktestList,
    BacktestStatus,
    BacktestView,
    ListBacktests,
    StudyConfig,
    StudyList,
)
from flotilla.schemas.catalog import CatalogEntry, CatalogView
from flotilla.schemas.data import (
    Chart,
    ChartPoint,
    DataGap,
    DataGaps,
    DataRows,
    ImportData,
    ImportList,
    ImportOptions,
    ImportProgress,
    ImportState,
    ImportView,
    ReadChart,
)
from flotilla.schemas.logs import FoundLogs, LogLevel, LogLine, SearchLogs
from flotilla.schemas.record import RecordKept
from flotilla.schemas.walk_forward import StitchedFigures, StitchedPoint, StudyWindow, WalkForward
from tests.integration.gateway_backtests import CONFIG, backtest, study

BEGAN: Final = datetime(2015, 1, 2, tzinfo=UTC)
DAY_NS: Final = 86_400_000_000_000
BARS: Final = "SPX.SIM-1-DAY-LAST-EXTERNAL"
PRINTED: Final = 900
"""Lines that are kept of all engines, the newest last."""


def line_of(number: int) -> LogLine:
    level: LogLevel = "error" if number % 97 == 0 else "warning" if number % 13 == 0 else "info"
    said = {"error": "Exec: Order rejected: insufficient margin", "warning": "Data: quotes are late"}
    word = {"warning": "WARN"}.get(level, level.upper())
    index = number % 7
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2 * (PRINTED - number))
    return LogLine(
        instance_id=("mm-eth-perp-001", "ema-cross-006", "basis-002")[index % 3],
        session_id=f"s{index % 3}",
        number=number,
        at=at,
        level=level,
        text=f"{at:%Y-%m-%dT%H:%M:%S}.000000000Z [{word}] TRADER-{index:03}.{said.get(level, 'Strategy: <b>signal</b> ' + str(number))}",
    )


class Printed:
    """The logs. An answer looks through half of them; `more` is what came since."""

    def __init__(self) -> None:
        self.lines = [line_of(number) for number in range(1, PRINTED + 1)]

    def more(self, text: str) -> None:
        number = len(self.lines) + 1
        self.lines.append(
            msgspec.structs.replace(line_of(number), text=text, level="info", at=datetime.now(UTC))
        )

    def search(self, asked: SearchLogs) -> FoundLogs:
        begin = int(asked.after.split("-")[1]) if asked.after else 0
        end = int(asked.cursor.split("-")[1]) if asked.cursor else len(self.lines)
        first = max(begin, end - PRINTED // 2)
        ranks = ("debug", "info", "warning", "error")
        fits = [
            (place, one)
            for place, one in enumerate(self.lines[first:end], first)
            if asked.text.casefold() in one.text.casefold()
            and asked.instance_id in (None, one.instance_id)
            and ranks.index(one.level) >= ranks.index(asked.level or "debug")
        ]
        shown = fits[-asked.limit :]
        if len(shown) < len(fits):
            first = shown[0][0]
        return FoundLogs(
            lines=tuple(one for _, one in reversed(shown)),
            next=f"9-{first}-0" if first > begin else None,
            end=f"9-{len(self.lines)}-0",
            looked_back_to=self.lines[first].at if first < end else None,
            looked_bytes=(end - first) * 120,
        )


def entry(data_type: str, identifier: str, first: int, days: int) -> CatalogEntry:
    start = BEGAN + timedelta(days=first)
    return CatalogEntry(
        data_type=data_type, identifier=identifier, instrument_id=identifier.split("-", maxsplit=1)[0], start=start, end=start + timedelta(days=days),
        files=1 + days // 400, size_bytes=days * 20_000,
    )  # fmt: skip


CATALOG: Final = CatalogView(
    path="/catalog",
    entries=(
        entry("bars", BARS, 0, 3650),
        entry("bars", "EUR/USD.SIM-1-MINUTE-BID-EXTERNAL", 1400, 900),
        entry("quotes", "EUR/USD.SIM", 1400, 400),
        entry("trades", "BTCUSDT.BYBIT", 3000, 600),
        entry("order_book_deltas", "BTCUSDT.BYBIT", 3500, 30),
    ),
)


def chart_of(asked: ReadChart) -> Chart:
    count = 60 if asked.first else 400
    points = []
    for number in range(count):
        at = BEGAN + timedelta(days=9 * number)
        close = 2000 + 6 * number + 120 * sin(number / 11)
        points.append(
            ChartPoint(first=at, last=at, open=close - 5, high=close + 40, low=close - 35, close=round(close, 2), volume=9.0, events=6)
        )  # fmt: skip
    return Chart(
        identifier=asked.identifier, data_type=asked.type or "bars", made_of="bars", events=6 * count, is_down_sampled=True,
        bucket_s=9 * 86_400.0, points=tuple(points),
    )  # fmt: skip


GAPS: Final = DataGaps(
    identifier=BARS, data_type="bars", events=2516, usual_s=86_400.0, factor=5.0, gap_count=2,
    gaps=(DataGap(first=BEGAN + timedelta(days=300), last=BEGAN + timedelta(days=309)), DataGap(first=BEGAN + timedelta(days=900), last=BEGAN + timedelta(days=906))),
)  # fmt: skip
ROWS: Final = DataRows(
    identifier=BARS,
    data_type="bars",
    rows=tuple({"ts_event": f"2015-01-{day:02}T21:00:00.000000000Z", "open": "2058.90", "close": "2062.14", "volume": "1"} for day in (2, 5, 6)),
)  # fmt: skip


class Imports:
    """Those that were asked for; what is asked for runs until the test says that it is done."""

    def __init__(self) -> None:
        refused = ImportView(
            import_id="i0", host="ldn-1", file="ticks.csv", state=ImportState.REFUSED, asked_at=datetime.now(UTC) - timedelta(hours=3),
            options=ImportOptions(type="trades", instrument="BTCUSDT.BYBIT"), error="ticks.csv line 17, column price: 'n/a' is no number",
        )  # fmt: skip
        self.views = [refused]

    def take(self, asked: ImportData) -> ImportView:
        view = ImportView(
            import_id=asked.import_id, host="ldn-1", file=asked.file, state=ImportState.RUNNING, asked_at=datetime.now(UTC),
            options=ImportOptions(type=asked.type, instrument=asked.instrument, dry_run=asked.dry_run),
            progress=ImportProgress(step="checked", rows=1_200),
        )  # fmt: skip
        self.views.insert(0, view)
        return view

    def list(self, asked: Any) -> ImportList:
        return ImportList(
            imports=tuple(one for one in self.views if asked.import_id in (None, one.import_id))
        )

    def complete(self) -> None:
        """Those that run are done."""
        done = {"state": ImportState.COMPLETED, "progress": None, "reports": ({"rows": 2_400},)}
        self.views = [
            msgspec.structs.replace(one, **done) if one.state == ImportState.RUNNING else one
            for one in self.views
        ]


FAST: Final = (5, 10, 15, 20, 25, 30)
SLOW: Final = (40, 60, 80, 100, 120)
GRID: Final = {
    "base": CONFIG,
    "axes": {"fast_ema_period": {"values": list(FAST)}, "slow_ema_period": {"values": list(SLOW)}},
}
WALKED: Final = {**GRID, "kind": "walk_forward", "folds": 5}


def trial(number: int, fast: int, slow: int) -> BacktestView:
    one = backtest(f"grid-{number:04}", study_id="grid")
    assert one.metrics is not None
    sharpe = round(1.1 * cos((fast - 15) / 14) * cos((slow - 80) / 45) - 0.2, 4)
    metrics = msgspec.structs.replace(one.metrics, sharpe_ratio=sharpe, total_return=sharpe / 4)
    config = msgspec.structs.replace(
        one.config, strategy_config={"fast_ema_period": fast, "slow_ema_period": slow}
    )
    return msgspec.structs.replace(one, metrics=metrics, config=config)


TRIALS: Final = tuple(
    trial(1 + index, *pair) for index, pair in enumerate((fast, slow) for fast in FAST for slow in SLOW)
)
BEST: Final = max(TRIALS, key=lambda one: one.metrics.sharpe_ratio or 0 if one.metrics else 0)
STUDIES: Final = (
    study(
        "grid", config=msgspec.convert(GRID, StudyConfig), total=40, best=BEST,
        counts={"pending": 10, "running": 0, "completed": 30, "failed": 0, "cancelled": 0},
    ),
    study(
        "walk", config=msgspec.convert(WALKED, StudyConfig), total=155, folds=5, status=BacktestStatus.COMPLETED, best=BEST,
        counts={"pending": 0, "running": 0, "completed": 155, "failed": 0, "cancelled": 0}, completed_at=datetime.now(UTC),
    ),
)  # fmt: skip


def window(number: int) -> StudyWindow:
    begin = int(BEGAN.timestamp()) * 1_000_000_000 + (number - 1) * 365 * DAY_NS
    return StudyWindow(
        number=number, in_sample_start_ns=begin, in_sample_end_ns=begin + 255 * DAY_NS, out_of_sample_start_ns=begin + 256 * DAY_NS,
        out_of_sample_end_ns=begin + 364 * DAY_NS, chosen=f"walk-00{number:02}", tried=f"walk-01{number:02}", status=BacktestStatus.COMPLETED,
        parameters={"fast_ema_period": 5 + 5 * (number % 3), "slow_ema_period": 80}, changed=("fast_ema_period",), in_sample=1.4 - number / 10,
        out_of_sample=0.9 - number / 4, total_return=0.11 - number / 30, is_stitched=True,
    )  # fmt: skip


def stitched(number: int) -> StitchedPoint:
    equity = 1_000_000 + 900 * number + 40_000 * sin(number / 17)
    return StitchedPoint(
        at_ns=window(1).out_of_sample_start_ns + number * 5 * DAY_NS, equity=round(equity, 2), drawdown=round(0.04 * (1 - cos(number / 17)), 4)
    )  # fmt: skip


WALK: Final = WalkForward(
    study_id="walk",
    windows=tuple(window(number) for number in range(1, 6)),
    currency="USD",
    curve=tuple(stitched(number) for number in range(300)),
    figures=StitchedFigures(
        total_return=0.271, annualized_return=0.061, volatility=0.11, sharpe_ratio=0.58, sortino_ratio=0.8, calmar_ratio=0.7,
        max_drawdown=-0.08, max_drawdown_days=211.0, final_equity=1_271_000.0, returns=540, years=4.1,
    ),
    unanswered_requests=5,
)  # fmt: skip


def answers(printed: Printed, imports: Imports, desk: Mapping[str, Any]) -> dict[str, Any]:
    """By subject; of what the desk answers too, what is its own is left to it."""
    catalog: CatalogView = desk["fleet.catalog.list"]
    its_own = {entry.identifier for entry in catalog.entries}

    def chart(asked: ReadChart) -> Any:
        return desk["fleet.catalog.chart"](asked) if asked.identifier in its_own else chart_of(asked)

    def backtests(asked: ListBacktests) -> Any:
        if asked.study_id is None:
            return desk["fleet.backtest.list"](asked)
        return BacktestList(backtests=TRIALS if asked.study_id == "grid" else (), total_count=30)

    return {
        "fleet.log.search": printed.search,
        "fleet.catalog.list": msgspec.structs.replace(CATALOG, entries=(*CATALOG.entries, *catalog.entries)),
        "fleet.catalog.chart": chart,
        "fleet.catalog.gaps": GAPS,
        "fleet.catalog.rows": ROWS,
        "fleet.catalog.import": imports.take,
        "fleet.catalog.imports": imports.list,
        "fleet.study.list": StudyList(studies=STUDIES),
        "fleet.backtest.list": backtests,
        "fleet.study.walk_forward": WALK,
        "fleet.record.kept": RecordKept(bytes=3 << 30, budget_bytes=20 << 30, kinds=(), deletions=()),
    }
