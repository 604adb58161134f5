"""Mean reversion: bets that a close far from its average comes back, and takes the loss when it goes further instead."""

from collections import deque
from collections.abc import Iterator
from statistics import fmean, pstdev
from typing import Any

from nautilus_trader.config import NonNegativeFloat, NonNegativeInt, PositiveFloat
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide

from flotilla.engine_sidecar.strategies.one_position import Entry, OnePosition, OnePositionConfig


class BollingerReversionConfig(OnePositionConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """`entry_z`, `exit_z` and `stop_multiple` are in standard deviations from the mean; 0 for `max_bars_held` is no limit."""

    period: NonNegativeInt = 20
    entry_z: PositiveFloat = 2.0
    exit_z: NonNegativeFloat = 0.0
    stop_multiple: PositiveFloat = 4.0
    max_bars_held: NonNegativeInt = 0

    def faults(self) -> Iterator[str]:
        """What is wrong with the fields together."""
        yield from super().faults()
        if self.period < 2:
            yield "`period` must be at least 2"
        if not self.exit_z < self.entry_z < self.stop_multiple:
            yield "`exit_z` must be less than `entry_z`, and that less than `stop_multiple`"


class BollingerReversion(OnePosition):
    """Long at a close `entry_z` deviations or more below the mean, short as far above; out at a close within `exit_z` of it.

    Entries are measured by the closes before, exits by the closes so far; deviations are of the population. The stop stays where it
    was put at the entry, `stop_multiple` deviations from the mean: a close that is further out is no entry.
    """

    def _begin(self) -> None:
        super()._begin()
        self._closes: deque[float] = deque(maxlen=self.config.period)
        self._bars_held = 0

    @property
    def bars_needed(self) -> int:
        """Bars to observe before there can be an entry."""
        return int(self.config.period)

    def observe(self, bar: Bar) -> None:
        """Takes the close into the mean."""
        self._closes.append(float(bar.close))

    def find_entry(self, bar: Bar) -> Entry | None:
        """A close between the entry band and the stop."""
        if not (deviation := pstdev(self._closes)):
            return None
        z = (float(bar.close) - fmean(self._closes)) / deviation
        if not self.config.entry_z <= abs(z) < self.config.stop_multiple:
            return None
        side = OrderSide.BUY if z < 0 else OrderSide.SELL
        return Entry(side, (self.config.stop_multiple - abs(z)) * deviation)

    def stop_price(self, bar: Bar, direction: int) -> float | None:
        """Where it rests already, until the close has come back or the time is over."""
        self._bars_held += 1
        mean, deviation = fmean(self._closes), pstdev(self._closes)
        is_back = (float(bar.close) - mean) * direction >= -self.config.exit_z * deviation
        if is_back or self._bars_held == self.config.max_bars_held:
            return None
        resting = self.resting_stop
        return mean - direction * float(self.config.stop_multiple) * deviation if resting is None else resting

    def on_position_opened(self, event: Any) -> None:
        """Places the stop, and begins to count bars."""
        super().on_position_opened(event)
        self._bars_held = 0
