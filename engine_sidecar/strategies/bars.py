"""What our strategies on bars have in common: the instrument, the bars and those before them, and the loss of a day.

Days and pauses are counted by the times of the bars, never by the clock: in a replay that is not the time of the market.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.strategies.daily_loss import DailyLoss

# Markets are shut at nights and on weekends, so that many bars may take this many times as long, and a few days more.
_SHUT: Final = 4
_WEEKEND: Final = timedelta(days=4)


class BarsConfig(StrategyConfig, frozen=True, kw_only=True):  # type: ignore[call-arg, misc]
    """`max_daily_loss` is in the instrument's quote currency; without it there is no limit. Raises ValueError naming all faults."""

    instrument_id: InstrumentId
    bar_type: BarType
    request_bars: bool = True
    max_daily_loss: Decimal | None = None

    def __post_init__(self) -> None:
        if faults := list(self.faults()):
            raise ValueError("; ".join(faults))

    def faults(self) -> Iterator[str]:
        """What is wrong with the fields together."""
        if self.bar_type.instrument_id != self.instrument_id:
            yield f"`bar_type` is of {self.bar_type.instrument_id}, and `instrument_id` is {self.instrument_id}"
        if self.max_daily_loss is not None and not self.max_daily_loss > 0:
            yield "`max_daily_loss` must be more than 0"


class BarsStrategy(Strategy):  # type: ignore[misc]
    """Sees each bar once, in order. A subclass says what to do with it in `seek`, `observe`, `manage` and `retreat`.

    It closes and cancels nothing when it is stopped: that is for the engine's stop policy to decide.
    """

    def __init__(self, config: BarsConfig) -> None:
        super().__init__(config)
        self.instrument: Any = None
        self._begin()

    def _begin(self) -> None:
        self._seen_ts = self._observed = 0
        self._booked = Decimal(0)
        self._loss = DailyLoss(self.config.max_daily_loss)

    def seek(self, bar: Bar) -> None:
        """Looks for an entry, with what was observed of the bars before this one."""

    def observe(self, bar: Bar) -> None:
        """Takes the bar into the indicators; bars before the first one to trade on come here too."""

    def manage(self, bar: Bar) -> None:
        """Looks after what is held, with this bar observed."""

    def retreat(self) -> None:
        """Gets out of the market, because the day's loss has reached its limit; called on every bar until the day is over."""

    @property
    def bars_needed(self) -> int:
        """Bars to observe before what was observed means something."""
        return 0

    @property
    def is_ready(self) -> bool:
        """True once it has observed the bars it needs."""
        return self._observed >= self.bars_needed

    @property
    def position(self) -> Any:
        """The open position, or None."""
        return next(iter(self._positions()), None)

    def on_start(self) -> None:
        """Subscribes to the bars, and asks for those before; without the instrument it stops itself."""
        self.instrument = self.cache.instrument(self.config.instrument_id)
        if self.instrument is None:
            self.log.error(f"Stopped: there is no instrument {self.config.instrument_id}")
            self.stop()
            return
        bar_type = self.config.bar_type
        if self.config.request_bars and self.bars_needed and not bar_type.is_internally_aggregated():
            self.request_bars(bar_type, start=self.clock.utc_now() - _time_for(bar_type, self.bars_needed))
        self.subscribe_bars(bar_type)

    def on_reset(self) -> None:
        """Forgets what it saw."""
        self._begin()

    def on_save(self) -> dict[str, bytes]:
        """What the day has cost so far."""
        return {"booked": str(self._booked).encode(), "daily_loss": self._loss.save()}

    def on_load(self, state: dict[str, bytes]) -> None:
        """Goes on with what was saved."""
        if "booked" in state and "daily_loss" in state:
            self._booked = Decimal(state["booked"].decode())
            self._loss.restore(state["daily_loss"])

    def on_historical_data(self, data: Any) -> None:
        """Observes bars from before the start."""
        for bar in data if isinstance(data, list) else [data]:
            if isinstance(bar, Bar) and self._is_new(bar):
                self._take(bar)

    def on_bar(self, bar: Bar) -> None:
        """Trades on a bar."""
        if not self._is_new(bar):
            return
        self._loss.update(bar.ts_event, self._profit(bar.close))
        if self._loss.is_reached:
            self.retreat()
            self._take(bar)
        else:
            self.seek(bar)
            self._take(bar)
            self.manage(bar)

    def on_position_closed(self, event: Any) -> None:
        """Books what the position has made."""
        self._booked += event.realized_pnl.as_decimal()

    def _take(self, bar: Bar) -> None:
        self.observe(bar)
        self._observed += 1

    def _positions(self) -> list[Any]:
        found: list[Any] = self.cache.positions_open(
            instrument_id=self.config.instrument_id, strategy_id=self.id
        )
        return found

    def _is_new(self, bar: Bar) -> bool:
        if bar.bar_type != self.config.bar_type or bar.ts_event <= self._seen_ts:
            return False
        self._seen_ts = bar.ts_event
        return True

    def _profit(self, price: Any) -> Decimal:
        """What this strategy has made since its start, in the quote currency, with what is open valued at `price`."""
        return self._booked + sum(
            (held.total_pnl(price).as_decimal() for held in self._positions()), Decimal(0)
        )


def _time_for(bar_type: BarType, bars: int) -> timedelta:
    """How far back to ask for that many bars."""
    spec = bar_type.spec
    each = spec.timedelta.to_pytimedelta() if spec.is_time_aggregated() else timedelta(minutes=1)
    return bars * _SHUT * each + _WEEKEND
