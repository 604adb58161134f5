"""What engines measure is put together in memory and written in batches; while the record is away it waits, then it is lost and said to be."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.history import Measure
from flotilla.schemas.telemetry import EngineMetrics, MarkedEquity, Resources
from flotilla.services.orchestrator.engines.ports import Unstorable
from flotilla.services.orchestrator.history import measures
from flotilla.services.orchestrator.history.core.buckets import NOT_MARKED, STEP, Bucket, is_sound, step_of
from flotilla.services.orchestrator.history.core.curves import Cut, Row, Step, cut, gaps, lists, with_breaks
from flotilla.services.orchestrator.history.measures import Measures
from flotilla.services.orchestrator.history.ports import Lost
from tests.unit.orchestrator.makers import NOW, after

START = step_of(NOW)


def measured(equity: str | None = "100", **facts: Any) -> EngineMetrics:
    marked = MarkedEquity(currency="USDT", amount=Decimal(equity)) if equity else None
    return EngineMetrics(**{"instance_id": "e1", "session_id": "s1", "at_ns": 1, "equity": marked, **facts})


class FakeRecord:
    """A MeasureRecord that is away while `is_away`, and refuses what an engine of the name `odd` measured."""

    def __init__(self) -> None:
        self.is_away = False
        self.rows: list[Bucket] = []
        self.noted: list[Lost] = []
        self.days: list[datetime] = []

    async def prepare(self, moment: datetime) -> None:
        self._reach()
        self.days.append(moment)

    async def add(self, buckets: list[Bucket]) -> None:
        self._reach()
        if any(one.instance_id == "odd" for one in buckets):
            raise Unstorable("odd")
        self.rows += buckets

    async def add_lost(self, lost: Lost) -> None:
        self._reach()
        self.noted.append(lost)

    def _reach(self) -> None:
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "away")


class Stage:
    def __init__(self) -> None:
        self.now = START
        self.record = FakeRecord()
        record: Any = self.record
        self.measures = Measures(record, lambda: self.now)

    def hear(self, seconds: float, equity: str | None = "100", instance_id: str = "e1") -> None:
        self.now = START + timedelta(seconds=seconds)
        self.measures.heard(measured(equity, instance_id=instance_id), None)


async def test_five_seconds_are_one_row_and_only_what_is_over_is_written() -> None:
    stage = Stage()
    for second, equity in enumerate(("100", "90", "120", "110", "105", "7")):
        stage.hear(second, equity)
    await stage.measures.flush()
    (row,) = stage.record.rows
    assert (row.at, row.samples, row.equity_first, row.equity_min, row.equity_max, row.equity_last) == (
        *(START, 5, 100, 90, 120, 105),
    )
    stage.now += STEP
    await stage.measures.flush()
    assert [one.samples for one in stage.record.rows] == [5, 1]
    assert stage.measures.rows_written == 2


async def test_what_could_not_be_written_waits_and_is_written_once() -> None:
    stage = Stage()
    stage.record.is_away = True
    for second in range(0, 50, 5):
        stage.hear(second)
        stage.now += STEP
        with pytest.raises(FaultError):
            await stage.measures.flush()
    stage.record.is_away = False
    await stage.measures.flush()
    assert [one.at for one in stage.record.rows] == [after_start(second) for second in range(0, 50, 5)]
    assert stage.record.noted == []


async def test_what_waits_is_bounded_and_what_is_lost_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MOST_WAITING", 3)
    stage = Stage()
    for second in range(0, 35, 5):
        stage.hear(second)
    stage.now += STEP
    await stage.measures.flush()
    assert [one.at for one in stage.record.rows] == [after_start(second) for second in (20, 25, 30)]
    assert stage.record.noted == [Lost(START, after_start(20), 4)]
    assert stage.measures.rows_lost == 4


async def test_what_the_record_refuses_keeps_nothing_else_from_it() -> None:
    stage = Stage()
    for name in ("e1", "odd", "e2"):
        stage.hear(0, instance_id=name)
    stage.now += STEP
    await stage.measures.flush()
    assert {one.instance_id for one in stage.record.rows} == {"e1", "e2"}
    assert stage.measures.rows_lost == 1


async def test_there_is_room_for_the_next_day_before_it_begins() -> None:
    stage = Stage()
    stage.hear(0)
    stage.now += STEP
    await stage.measures.flush()
    assert [one.date() for one in stage.record.days] == [NOW.date(), NOW.date() + timedelta(days=1)]


def after_start(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_an_equity_that_is_not_known_says_why_and_hides_nothing_of_before() -> None:
    bucket = Bucket(instance_id="e1", at=START, session_id="s1")
    bucket.take(measured("100"), Resources(cpu_fraction=0.2, memory_bytes=10, memory_limit_bytes=1, pids=1))
    unknown = MarkedEquity(currency="USDT", amount=None, unknown=("no price of X",))
    bucket.take(
        msgspec.structs.replace(measured(), equity=unknown),
        Resources(cpu_fraction=0.4, memory_bytes=5, memory_limit_bytes=1, pids=1),
    )
    assert (bucket.equity_last, bucket.equity_unknown) == (100, ("no price of X",))
    assert (bucket.memory_bytes, round(bucket.cpu_fraction or 0, 3)) == (10, 0.3)


def test_an_engine_that_marks_no_equity_is_said_to_mark_none() -> None:
    bucket = Bucket(instance_id="e1", at=START, session_id="s1")
    bucket.take(measured(None), None)
    assert (bucket.equity_last, bucket.equity_unknown) == (None, (NOT_MARKED,))


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "1e15", "-1e400", "1e-31"])
def test_a_figure_that_no_account_has_is_not_kept(figure: str) -> None:
    assert not is_sound(Decimal(figure))
    bucket = Bucket(instance_id="e1", at=START, session_id="s1")
    bucket.take(measured(figure), None)
    assert bucket.equity_last is None
    assert bucket.equity_unknown


@pytest.mark.parametrize(
    ("ago", "span", "points", "expected"),
    [
        (timedelta(hours=1), timedelta(hours=1), 2000, Cut(Step.SECONDS, STEP)),
        (timedelta(hours=1), timedelta(hours=1), 300, Cut(Step.SECONDS, timedelta(seconds=15))),
        (timedelta(days=1), timedelta(days=1), 300, Cut(Step.MINUTES, timedelta(minutes=5))),
        (timedelta(days=10), timedelta(hours=1), 2000, Cut(Step.MINUTES, timedelta(minutes=1))),
        (timedelta(days=30), timedelta(days=30), 300, Cut(Step.HOURS, timedelta(hours=3))),
        (timedelta(days=400), timedelta(hours=3), 300, Cut(Step.HOURS, timedelta(hours=1))),
    ],
)
def test_points_are_as_fine_as_is_kept_and_as_many_as_asked_for(
    ago: timedelta, span: timedelta, points: int, expected: Cut
) -> None:
    chosen = cut(NOW - ago, NOW - ago + span, points, NOW)
    assert chosen == expected
    assert span / chosen.width <= points


def test_a_gap_breaks_the_line_and_what_was_lost_is_said_to_be() -> None:
    rows = [Row(at=after(second), samples=5, realized_pnl={"USDT": "1"}) for second in (0, 5, 30, 35, 60)]
    shown = with_breaks(rows, STEP)
    assert [row.at for row in shown] == [after(second) for second in (0, 5, 10, 30, 35, 40, 60)]
    found = gaps(rows, STEP, [(after(12), after(20))])
    assert [(gap.since, gap.until, gap.is_lost) for gap in found] == [
        (after(10), after(30), True),
        (after(40), after(60), False),
    ]
    made = lists(shown, [Measure.PNL])
    assert made["pnl"].realized == {"USDT": ("1", "1", None, "1", "1", None, "1")}
