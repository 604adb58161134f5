"""Volatility breakout: enters when a close has left the closes before it by a multiple of the ATR, and trails a stop behind."""

from collections import deque

from nautilus_trader.config import PositiveFloat, PositiveInt
from nautilus_trader.indicators import AverageTrueRange
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide

from flotilla.engine_sidecar.strategies.one_position import Entry, OnePosition, OnePositionConfig


class SimpleMomentumConfig(OnePositionConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """`entry_multiple` and `stop_multiple` are of the ATR; `channel_period` is how many closes must be left behind."""

    atr_period: PositiveInt = 14
    entry_multiple: PositiveFloat = 1.0
    stop_multiple: PositiveFloat = 3.0
    channel_period: PositiveInt = 1


class SimpleMomentum(OnePosition):
    """Long above the highest of the last closes by `entry_multiple` ATRs, short as far below the lowest.

    Entries are measured by the ATR (a simple mean of true ranges) of the bars before. The stop starts `stop_multiple` of these
    ATRs from the fill, and then follows the closes at as many ATRs of the bars so far.
    """

    def _begin(self) -> None:
        super()._begin()
        self._atr = AverageTrueRange(self.config.atr_period)
        self._closes: deque[float] = deque(maxlen=self.config.channel_period)

    @property
    def bars_needed(self) -> int:
        """Bars to observe before there can be an entry."""
        return max(int(self.config.atr_period), int(self.config.channel_period))

    def observe(self, bar: Bar) -> None:
        """Takes the bar into the ATR and the last closes."""
        self._atr.handle_bar(bar)
        self._closes.append(float(bar.close))

    def find_entry(self, bar: Bar) -> Entry | None:
        """A breakout of the last closes."""
        far = self.config.entry_multiple * self._atr.value
        distance = self.config.stop_multiple * self._atr.value
        if float(bar.close) > max(self._closes) + far:
            return Entry(OrderSide.BUY, distance)
        if float(bar.close) < min(self._closes) - far:
            return Entry(OrderSide.SELL, distance)
        return None

    def stop_price(self, bar: Bar, direction: int) -> float | None:
        """Behind the close."""
        return float(bar.close) - direction * float(self.config.stop_multiple * self._atr.value)
