"""One trial from its plan to its result: builds the engine, feeds it chunk by chunk, and tells how far it is."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.component import set_backtest_force_stop

from flotilla.engine_sidecar.backtest.building import TrialRefusedError, build_engine
from flotilla.engine_sidecar.backtest.currencies import RateWatch, result_currency, with_currency
from flotilla.engine_sidecar.backtest.equity import EquitySampler, looks_of
from flotilla.engine_sidecar.backtest.feeding import Span, data_sets, extent_of, feed
from flotilla.engine_sidecar.backtest.history import History, Read
from flotilla.engine_sidecar.backtest.marks import Marks
from flotilla.engine_sidecar.backtest.prices import PriceSampler
from flotilla.engine_sidecar.backtest.results import result_of
from flotilla.engine_sidecar.engine.quick_analyzer import quicken
from flotilla.engine_sidecar.replay.streams import Extent
from flotilla.schemas.backtest import TrialPlan, TrialProgress, TrialResult
from flotilla.schemas.catalog import FOREVER

TELL_S: Final = 0.5

type Tell = Callable[[TrialProgress], None]


class Ran(NamedTuple):
    """A trial that has ended: its result, and the engine that a tear sheet is made from."""

    result: TrialResult
    engine: BacktestEngine


def run_trial(
    plan: TrialPlan, catalog: Path, tell: Tell, read: Read = lambda _: None, seed: int | None = None
) -> Ran:
    """Runs the trial in this process, which cannot run anything else afterwards; `tell` is called from another thread.

    `read` is told of the files that strategies' requests for the past are answered from, before they are read. `seed` is that of `random`.

    Raises TrialRefusedError for a plan that cannot be run, WrongDataError for data that cannot, and whatever a strategy raises.
    """
    quicken()
    zone = _zone(plan.timezone)
    data = data_sets(plan)
    extent = extent_of(catalog, data, plan.start_ns, plan.end_ns)
    plan = with_currency(plan, catalog)
    engine = build_engine(plan, catalog)
    if seed is not None:
        # Only now: NautilusTrader's fill model seeds it as well, by chance where nobody chose one.
        random.seed(seed)
    history = History(engine, catalog, is_open=plan.warm_up, read=read)
    currency = result_currency(plan)
    marks = Marks(engine, plan)
    sampler = EquitySampler(
        engine, [str(venue["name"]) for venue in plan.venues], currency, extent.first, marks
    )
    # The benchmark comes first: of many instruments only the first ones are noted.
    noted = sorted(plan.instruments, key=lambda name: name != plan.benchmark)
    prices = PriceSampler(engine.cache, noted, plan.data, marks)

    def look(at_ns: int | None = None) -> None:
        prices.sample(sampler.sample(at_ns))

    rates = RateWatch(engine, plan, lambda: set_backtest_force_stop(True))
    fills: list[Any] = []
    for take in (fills.append, rates.saw):
        engine.kernel.msgbus.subscribe("events.fills.*", take)
    began = time.monotonic()
    with _Progress(engine, extent, tell):
        feed(engine, catalog, data, span_of(plan, extent), looks_of(extent, zone, look))
    # With all that came of the last event, timers after it included.
    look(extent.last)
    rates.refuse(sampler.unpriced)
    took = time.monotonic() - began
    result = result_of(
        engine,
        currency,
        fills,
        sampler.points,
        zone=zone,
        marks=marks,
        benchmark=prices.of(plan.benchmark),
        elapsed_s=took,
        requests=(history.answered, history.unanswered),
    )
    kept = msgspec.structs.replace(result, prices=prices.points, exposure=tuple(sampler.exposure))
    return Ran(kept, engine)


def span_of(plan: TrialPlan, extent: Extent) -> Span:
    """The time of the run: that of the plan, as BacktestEngine takes it; an end that is open (0 or FOREVER) is that of the data."""
    return Span(plan.start_ns or extent.first, plan.end_ns if plan.end_ns < FOREVER else extent.last)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TrialRefusedError(f"timezone {name} is not known here") from None


class _Progress:
    """Tells twice a second, from a thread: a chunk of a slow strategy may take long, and at the end once more."""

    def __init__(self, engine: BacktestEngine, extent: Extent, tell: Tell) -> None:
        self._engine, self._extent, self._tell = engine, extent, tell
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._tell(self._now())

    def _run(self) -> None:
        while not self._is_over.wait(TELL_S):
            self._tell(self._now())

    def _now(self) -> TrialProgress:
        total = self._extent.events
        done = min(int(self._engine.iteration), total)
        spent = max(time.monotonic() - self._began, 1e-9)
        rate = done / spent
        return TrialProgress(
            events=done,
            total=total,
            simulated_ns=max(self._extent.first, int(self._engine.kernel.clock.timestamp_ns())),
            events_per_s=rate,
            remaining_s=(total - done) / rate if done else None,
        )
