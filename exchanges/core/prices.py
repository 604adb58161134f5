"""A price path that a seed decides: the price at any moment, past or to come, without a state that could be lost."""

import math
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from exchanges.core.book import NOTHING, Level

_MASK = (1 << 64) - 1
# Waves from two seconds to twelve days, each four times as long as the one before and, as in a random walk, twice as high.
_PERIODS_MS = tuple(2_000 * 4**octave for octave in range(10))


def chance(*parts: int) -> float:
    """A number in [-1, 1) that `parts` decide: the mixing function of splitmix64 over each in turn."""
    value = 0
    for part in parts:
        value = (value ^ (part & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
        value ^= value >> 31
    return value / (1 << 63) - 1.0


def to_step(value: Decimal, step: Decimal) -> Decimal:
    """`value` at the next multiple of `step`, with its decimals."""
    return (value / step).to_integral_value(ROUND_HALF_EVEN) * step


def parts(qty: Decimal, count: int, step: Decimal) -> list[Decimal]:
    """`qty` in up to `count` pieces, each a multiple of `step`."""
    piece = to_step(qty / max(1, count), step)
    if piece <= 0 or piece >= qty:
        return [qty]
    pieces = [piece] * (count - 1)
    while pieces and sum(pieces, NOTHING) >= qty:
        pieces.pop()
    return [*pieces, qty - sum(pieces, NOTHING)]


class PricePath(msgspec.Struct, frozen=True):
    """Prices about `level`. `roughness` is the height of the two-second wave, as a share of the price."""

    seed: int
    level: Decimal
    roughness: float = 0.00004

    def price(self, at_ms: int, tick: Decimal) -> Decimal:
        """The middle price at a moment of Unix time in milliseconds, at a multiple of `tick`."""
        height, total = self.roughness, 0.0
        for octave, period in enumerate(_PERIODS_MS):
            index, part = divmod(at_ms, period)
            share = part / period
            smooth = share * share * (3 - 2 * share)
            left, right = chance(self.seed, octave, index), chance(self.seed, octave, index + 1)
            total += height * (left + (right - left) * smooth)
            height *= 2
        return to_step(self.level * Decimal(str(math.exp(total))), tick)

    def levels(
        self, at_ms: int, tick: Decimal, size: Decimal, step: Decimal, count: int
    ) -> tuple[list[Level], list[Level]]:
        """The bids and the asks about the price at a moment, `count` of each, a tick apart, `size` at the touch on average and more behind it."""
        middle = self.price(at_ms, tick)
        bids = [(middle - tick * n, self._size(at_ms, -n, size, step)) for n in range(1, count + 1)]
        asks = [(middle + tick * n, self._size(at_ms, n, size, step)) for n in range(count)]
        return [level for level in bids if level[0] > 0], asks

    def _size(self, at_ms: int, place: int, size: Decimal, step: Decimal) -> Decimal:
        share = (1 + abs(place) / 4) * (1 + chance(self.seed, at_ms, place) / 2)
        return max(to_step(size * Decimal(str(share)), step), step)
