"""What people on a stand work with: the templates that we ship, checked as the orchestrator checks them, prices of one instrument, what an
engine did at them, and backtests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestList,
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    ClosedTrade,
    CompareBacktests,
    Comparison,
    EquityPoint,
    ResultPart,
    RunBacktest,
    VerifyBacktest,
    WhichBacktest,
)
from flotilla.schemas.catalog import CatalogEntry, CatalogView
from flotilla.schemas.data import Chart, ChartPoint, ReadChart
from flotilla.schemas.ledger import FillRow, LedgerPage, ReadFills
from flotilla.schemas.telemetry import Fill
from flotilla.services.orchestrator.adapters.template_files import TemplateFiles
from flotilla.services.orchestrator.templates.library import Library
from tests.integration import gateway_backtests as scripted

ROOT: Final = Path(__file__).parents[2]
INSTRUMENT: Final = "BTCUSDT.BYBIT"
BARS: Final = f"{INSTRUMENT}-1-DAY-LAST-EXTERNAL"
CANDLES: Final = 5_000
FILLS: Final = 10_000
_LAST: Final = datetime(2026, 1, 30, tzinfo=UTC)
_NS: Final = 1_000_000_000


def _bar(index: int) -> ChartPoint:
    at = _LAST - timedelta(days=CANDLES - 1 - index)
    opened, closed = (round(20_000 + 40 * sin(one / 9) * one**0.5 + one, 1) for one in (index, index + 1))
    low, high = min(opened, closed) - 60.5, max(opened, closed) + 75.0
    return ChartPoint(first=at, last=at, open=opened, high=high, low=low, close=closed, volume=7.0, events=1)


_ALL: Final = tuple(_bar(index) for index in range(CANDLES))


def chart_of(asked: ReadChart) -> Chart:
    """Bars of a time, or as many buckets as were asked for, each of as many bars."""
    first, last = (datetime.fromisoformat(one) if one else None for one in (asked.first, asked.last))
    bars = [one for one in _ALL if (not first or one.last >= first) and (not last or one.first <= last)]
    size = -(-len(bars) // asked.points)
    groups = [bars[index : index + size] for index in range(0, len(bars), max(size, 1))]
    return Chart(
        identifier=BARS,
        data_type="bars",
        made_of="bars",
        events=len(bars),
        is_down_sampled=size > 1,
        bucket_s=86_400.0 * size if size > 1 else None,
        points=tuple(_joined(group) for group in groups),
    )


def _joined(group: Sequence[ChartPoint]) -> ChartPoint:
    return msgspec.structs.replace(
        group[0],
        last=group[-1].last,
        close=group[-1].close,
        high=max(one.high for one in group),
        low=min(one.low for one in group),
        events=len(group),
    )


def _fill(number: int, instance_id: str, session_id: str) -> FillRow:
    bar = _ALL[-1 - number * (CANDLES - 1) // FILLS]
    return FillRow(
        instance_id=instance_id, session_id=session_id, at=_LAST, seq=FILLS - number, venue="BYBIT", account=None,
        trade_id=f"T-{number}", client_order_id=f"O-{number}", instrument_id=INSTRUMENT, strategy_id="EmaCross-000",
        side=("BUY", "SELL")[number // 7 % 2], last_qty="0.250", last_px=str(bar.close), currency="USDT", commission="0.40 USDT",
        liquidity_side="TAKER", ts_event=int(bar.last.timestamp()) * _NS,
    )  # fmt: skip


def _points(drift: float) -> tuple[EquityPoint, ...]:
    """A year of days; the steeper the drift, the higher the end."""
    equities = [1_000_000.0 + drift * day * 400 + 9_000 * sin(day / 17) for day in range(366)]
    highest = [max(equities[: day + 1]) for day in range(366)]
    began = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * _NS
    return tuple(
        EquityPoint(
            at_ns=began + day * 86_400 * _NS,
            equity=equity,
            balance=equity,
            unrealized_pnl=0.0,
            drawdown=1 - equity / top,
        )
        for day, (equity, top) in enumerate(zip(equities, highest, strict=True))
    )


def _trade(number: int) -> ClosedTrade:
    entry = int(datetime(2020, 1, 6, tzinfo=UTC).timestamp()) * _NS + number * 3 * 86_400 * _NS
    return msgspec.structs.replace(
        scripted.trade(number),
        instrument_id=INSTRUMENT,
        entry_time_ns=entry,
        exit_time_ns=entry + 2 * 86_400 * _NS,
        pnl=str(number % 5 * 91.5 - 120),
        currency="USDT",
    )


def _filled(number: int) -> Fill:
    trade = _trade(number)
    return msgspec.structs.replace(
        scripted.FILL, instrument_id=INSTRUMENT, ts_event=trade.entry_time_ns, last_px=str(trade.entry_price)
    )


class Desk:
    """Answers of the orchestrator, by subject. What becomes of a backtest is told to the fleet."""

    def __init__(self, bus: Bus, instance_id: str, session_id: str) -> None:
        self._bus = bus
        self._whose = instance_id, session_id
        self._library = Library(TemplateFiles((ROOT / "templates",)), _nobody_to_ask)
        unfinished = scripted.unfinished
        views = (
            _completed("bt-fast", 10, 0.146),
            _completed("bt-slow", 40, 0.058),
            unfinished("bt-running", config=_config(10), progress=37.5),
            unfinished("bt-waiting", config=_config(10), status=BacktestStatus.PENDING, progress=0.0, started_at=None),
            unfinished("bt-broken", config=_config(10), status=BacktestStatus.FAILED, completed_at=scripted.NOW,
                       error="EMACross raised ZeroDivisionError", log_tail=("one line", "and the last")),
        )  # fmt: skip
        self._views = {one.backtest_id: one for one in views}
        self._verified = 0

    def answers(self) -> dict[str, Any]:
        return {
            "fleet.template.list": self._library.templates,
            "fleet.strategy.validate": self._library.validate,
            "fleet.catalog.list": CatalogView(
                path="/catalog",
                entries=(
                    CatalogEntry(data_type="bars", identifier=BARS, instrument_id=INSTRUMENT, start=_ALL[0].first,
                                 end=_ALL[-1].last, files=1, size_bytes=4096),
                ),
            ),
            "fleet.catalog.chart": chart_of,
            "fleet.ledger.fills": self._fills,
            "fleet.backtest.list": lambda _: BacktestList(
                backtests=tuple(self._views.values()), total_count=len(self._views)
            ),
            "fleet.backtest.get": lambda asked: self._views[asked.backtest_id],
            "fleet.backtest.run": self._run,
            "fleet.backtest.cancel": self._cancel,
            "fleet.backtest.result": self._result,
            "fleet.backtest.compare": self._compare,
            "fleet.backtest.verify": self._verify,
        }  # fmt: skip

    async def tell(self, view: BacktestView) -> BacktestView:
        """What becomes of a backtest, also over the bus."""
        self._views[view.backtest_id] = view
        await self._bus.publish(contract.FLEET_BACKTEST, view, backtest_id=view.backtest_id)
        return view

    async def complete(self, backtest_id: str) -> None:
        view = self._views[backtest_id]
        await self.tell(
            scripted.backtest(backtest_id, config=view.config, metrics=scripted.METRICS, currency="USDT")
        )

    def _fills(self, asked: ReadFills) -> LedgerPage[FillRow]:
        if self._whose[0] not in asked.instance_ids:
            return LedgerPage(rows=())
        first = int(asked.cursor or 0)
        after = min(first + asked.limit, FILLS)
        rows = tuple(_fill(number, *self._whose) for number in range(first, after))
        return LedgerPage(rows=rows, next=str(after) if after < FILLS else None)

    async def _run(self, asked: RunBacktest) -> BacktestView:
        view = scripted.unfinished(
            asked.backtest_id, config=asked.config, status=BacktestStatus.PENDING, progress=0.0
        )
        return await self.tell(view)

    async def _cancel(self, asked: WhichBacktest) -> BacktestView:
        changes: dict[str, Any] = {"status": BacktestStatus.CANCELLED, "cancelled_at": datetime.now(UTC)}
        return await self.tell(msgspec.structs.replace(self._views[asked.backtest_id], **changes))

    def _result(self, asked: Any) -> Any:
        parts: dict[ResultPart, Sequence[Any]] = {
            **scripted.PARTS,
            ResultPart.EQUITY_CURVE: _points(1.0 if asked.backtest_id == "bt-fast" else 0.4),
            ResultPart.TRADES: tuple(_trade(number) for number in range(110)),
            ResultPart.FILLS: tuple(_filled(number) for number in range(110)),
        }
        return scripted.pages_of(parts, most=5_000)(asked)

    def _compare(self, asked: CompareBacktests) -> Comparison:
        views = tuple(self._views[one] for one in asked.backtest_ids)
        periods = tuple(one.config.strategy_config.get("fast_ema_period") for one in views)
        return Comparison(backtests=views, parameters={"strategy_config.fast_ema_period": periods})

    def _verify(self, asked: VerifyBacktest) -> BacktestVerdict:
        """Asked again, it has ended."""
        run_again = f"{asked.backtest_id}-verify-1"
        is_equal = None if asked.verify_id is None else True
        return BacktestVerdict(
            backtest_id=asked.backtest_id, verify_id=run_again, is_equal=is_equal, fills_compared=110
        )


def _config(period: int) -> BacktestConfig:
    return msgspec.convert(
        {
            "strategy": "ema_cross",
            "strategy_config": {
                "instrument_id": INSTRUMENT,
                "bar_type": BARS,
                "fast_ema_period": period,
                "slow_ema_period": 50,
            },
            "instruments": [INSTRUMENT],
            "venues": ["BYBIT"],
            "start_date": "2020-01-01",
            "end_date": "2020-12-31",
        },
        BacktestConfig,
    )


def _completed(backtest_id: str, period: int, total_return: float) -> BacktestView:
    metrics = msgspec.structs.replace(
        scripted.METRICS, total_return=total_return, total_trades=110, final_equity=1_146_000.5
    )
    return scripted.backtest(
        backtest_id, config=_config(period), metrics=metrics, currency="USDT", elapsed_s=2.4
    )


async def _nobody_to_ask(_: object) -> None:
    """No engine is there that could say more of a strategy."""
