"""Channel breakout, as the Turtles traded it: in when a close leaves the long channel, out when the price leaves the short one."""

from collections import deque
from collections.abc import Iterator

from nautilus_trader.config import PositiveFloat, PositiveInt
from nautilus_trader.indicators import AverageTrueRange
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide

from flotilla.engine_sidecar.strategies.one_position import Entry, OnePosition, OnePositionConfig


class DonchianBreakoutConfig(OnePositionConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """Periods are in bars; `stop_multiple` is of the ATR."""

    entry_period: PositiveInt = 20
    exit_period: PositiveInt = 10
    atr_period: PositiveInt = 20
    stop_multiple: PositiveFloat = 2.0

    def faults(self) -> Iterator[str]:
        """What is wrong with the fields together."""
        yield from super().faults()
        if self.exit_period >= self.entry_period:
            yield "`exit_period` must be less than `entry_period`"


class DonchianBreakout(OnePosition):
    """Long when a close is above the highs of `entry_period` bars, short when it is below their lows.

    The stop starts `stop_multiple` ATRs from the fill, and then follows one step outside the extreme of the last `exit_period` bars.
    """

    def _begin(self) -> None:
        super()._begin()
        self._atr = AverageTrueRange(self.config.atr_period)
        self._bars: deque[Bar] = deque(maxlen=self.config.entry_period)

    @property
    def bars_needed(self) -> int:
        """Bars to observe before there can be an entry."""
        return max(int(self.config.entry_period), int(self.config.atr_period))

    def observe(self, bar: Bar) -> None:
        """Takes the bar into the ATR and the channels."""
        self._atr.handle_bar(bar)
        self._bars.append(bar)

    def find_entry(self, bar: Bar) -> Entry | None:
        """A close outside the entry channel."""
        distance = self.config.stop_multiple * self._atr.value
        if bar.close > max(seen.high for seen in self._bars):
            return Entry(OrderSide.BUY, distance)
        if bar.close < min(seen.low for seen in self._bars):
            return Entry(OrderSide.SELL, distance)
        return None

    def stop_price(self, bar: Bar, direction: int) -> float | None:
        """One step outside the exit channel."""
        last = list(self._bars)[-self.config.exit_period :]
        step = float(self.instrument.price_increment)
        if direction > 0:
            return float(min(seen.low for seen in last)) - step
        return float(max(seen.high for seen in last)) + step
