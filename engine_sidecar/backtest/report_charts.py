"""Equity and drawdown of a run as a picture: SVG, from the same points and with the same digits as its figures."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from flotilla.schemas.backtest import EquityPoint
from flotilla.schemas.figures import money, share

_WIDTH, _LEFT, _RIGHT = 1000, 130, 10
_EQUITY: Final = (20, 280)
_DRAWDOWN: Final = (310, 410)
_HEIGHT: Final = 440


def curve_chart(curve: Sequence[EquityPoint], currency: str) -> str:
    """The equity over time, and below it the share lost since the highest. Empty without two points."""
    if len(curve) < 2 or curve[0].at_ns == curve[-1].at_ns:
        return ""
    first, last = curve[0].at_ns, curve[-1].at_ns
    x = [_LEFT + (one.at_ns - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT) for one in curve]
    equities = [one.equity for one in curve]
    low, high = min(equities), max(equities)
    deepest = max(one.drawdown for one in curve)
    lost = _heights((one.drawdown for one in curve), (deepest or 1.0, 0.0), _DRAWDOWN)
    parts = [
        _label(_EQUITY[0], money(high, currency)),
        _label(_EQUITY[1], money(low, currency)) if high > low else "",
        _label(_DRAWDOWN[0], share(0.0)),
        _label(_DRAWDOWN[1], share(-deepest)) if deepest > 0 else "",
        _line(x, _heights(equities, (low, high if high > low else low + 1.0), _EQUITY), "#1f6fb4"),
        _line(x, lost, "#b43a2f"),
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{_day(first)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{_day(last)}</text>',
    ]
    style = 'font-family="system-ui, sans-serif" font-size="12" fill="#444"'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {style} role="img">{"".join(parts)}</svg>'


def _heights(values: Iterable[float], scale: tuple[float, float], box: tuple[int, int]) -> list[float]:
    """From values to pixels: the first of `scale` is at the bottom of `box`, the second at its top."""
    bottom, top = scale
    return [box[1] - (value - bottom) / (top - bottom) * (box[1] - box[0]) for value in values]


def _line(x: Sequence[float], y: Sequence[float], colour: str) -> str:
    points = " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(x, y, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _label(y: int, text: str) -> str:
    return f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>'


def _day(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d}"
