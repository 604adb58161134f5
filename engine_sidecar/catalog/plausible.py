"""What makes prices doubtful that a market could have made: a split that nobody took out, fixed-point numbers taken for prices."""

from decimal import Decimal
from typing import Final

GAP_FACTOR: Final = 5.0
"""A pause is a gap when it is this many times longer than is usual between two events of the data set."""
FIXED_LEAST: Final = 10**8
FIXED_ZEROS: Final = 4
_SPLIT_LEAST: Final = 1.9
_NEAR: Final = 0.05
_ANY_JUMP: Final = 4.0
_FEW_TICKS: Final = 10


def looks_fixed_point(price: Decimal) -> bool:
    """True for a large round number, as a price in units of a billionth is; doubtful when all prices of a file are so.

    10 cents is 100,000,000, and five decimals leave four zeros at the end. The largest prices of markets, Bitcoin in won
    or rupiah, are as large but not all of them are that round.
    """
    return price >= FIXED_LEAST and price % 10**FIXED_ZEROS == 0


def split_like(before: float, after: float, tick: float) -> str | None:
    """What a jump from one price to the next looks like, or None for one that markets make.

    Within 5 % of a whole ratio of 2 or more it is like a split or a reverse split; from 4 on any ratio is doubtful. A jump
    of a few `tick`s is none, whatever its ratio: the smallest prices double by one.
    """
    if min(before, after) <= 0 or abs(after - before) <= _FEW_TICKS * tick:
        return None
    ratio = max(before, after) / min(before, after)
    whole = round(ratio)
    jump = f"{'divided' if after < before else 'multiplied'} by {ratio:.2f}"
    if ratio >= _SPLIT_LEAST and abs(ratio - whole) <= _NEAR * whole:
        return f"{jump}, like a {f'split of {whole}:1' if after < before else f'reverse split of 1:{whole}'}"
    return jump if ratio >= _ANY_JUMP else None
