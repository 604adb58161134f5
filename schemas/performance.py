"""The headline figures of a run, from its marked equity: what an account is worth with everything open valued at the market.

Definitions, so that anybody can work them out again from a run's equity curve:

- E_0 is the equity before the first event, E_1 … E_n that at each day's end: the last sample of each day that has events. A day ends at
  midnight of the run's time zone; a sample at midnight itself belongs to the day that it ends, as a bar does that closes then.
- Returns are x_i = E_i / E_{i-1} - 1. Years of 365.25 days are counted from the first event to the last sample, T. Where the first event
  is itself the first day's sample (daily bars), the length of the first period is not known and counts as the mean of the others:
  T = (t_n - t_1) · n / (n - 1).
- There are A = n / T returns a year. Statistics of one period become those of a year by A and √A, which takes returns for uncorrelated
  (A. W. Lo, "The Statistics of Sharpe Ratios", Financial Analysts Journal 58(4), 2002). There is no 252 in it: markets that never
  close have 365 days, and what has gaps has what it has. The risk-free rate and the least acceptable return are 0.
- Drawdowns are sought in every sample that is kept, not only at the days' ends.
- Beside a benchmark, which is buying and holding one instrument, returns y_i are those of its price between two of the days' ends E_1 … E_n
  at which it has one, and x_i those of equity between the same two. Beta is the slope of the least squares, cov(x, y) / var(y); alpha
  is Jensen's, (mean(x) - beta · mean(y)) · A (M. C. Jensen 1968); the information ratio is mean(x - y) / s(x - y) · √A (T. H. Goodwin
  1998). The benchmark has no fees, dividends or funding, and stays in its own currency.

What is not defined is None: equity that was 0 or less, no volatility, no loss. So is what a run is too short for:

- A return a year, and Calmar which is made of it, before LEAST_YEARS: "Returns for periods of less than one year must not be
  annualized" (CFA Institute, Global Investment Performance Standards, 2010, 5.A.4). A per cent made in six hours would be two million
  times the account.
- Volatility, Sharpe, Sortino and what is beside a benchmark before LEAST_RETURNS. What Lo gives for the ratio holds for large samples; 30 is the usual rule of thumb
  for one. Of n normal returns the standard error of s is about s / √(2(n - 1)): half of it at 3, an eighth at 30.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final, NamedTuple

YEAR_NS: Final = 365.25 * 86_400e9
DAY_NS: Final = 86_400_000_000_000
LEAST_YEARS: Final = 350 / 365.25
"""A calendar year of sessions: between the first close and the last there are holidays and weekends at both ends."""
LEAST_RETURNS: Final = 30
_EPOCH: Final = 1_000_000_000
_NOISE: Final = 1e-12
"""A standard deviation below this part of the mean is rounding: the returns are all the same."""


class Sample(NamedTuple):
    """The marked equity at a moment (UNIX ns)."""

    at_ns: int
    equity: float


class Drawdown(NamedTuple):
    """The deepest one: the share lost since the high before it (0 or less), and its days from that high to the first sample as high, else the last one."""

    depth: float
    days: float


class Performance(NamedTuple):
    """The figures. Shares are plain numbers (0.12 is 12 %); those of a year say so in the module's text. `returns` is n, `years` T."""

    total_return: float | None
    annualized_return: float | None
    volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None
    max_drawdown_days: float | None
    returns: int
    years: float | None


class Relative(NamedTuple):
    """A run beside its benchmark: alpha a year as a plain number, beta, and the information ratio of a year. None where not defined."""

    information_ratio: float | None
    alpha: float | None
    beta: float | None


def performance(curve: Sequence[Sample], zone: tzinfo) -> Performance:
    """The figures of a run. `curve` begins with the equity before the first event, stamped with that event, and is in time order."""
    days = day_ends(curve[1:], zone)
    whole = [*curve[:1], *days]
    years = years_of(whole)
    growth = whole[-1].equity / whole[0].equity if whole and whole[0].equity > 0 else None
    is_sound = bool(days) and all(sample.equity > 0 for sample in curve)
    returns = returns_of(whole) if is_sound else []
    is_a_year = years is not None and years >= LEAST_YEARS
    rate = annualized_return(growth, years) if len(returns) > 1 and growth is not None and is_a_year else None
    deepest = deepest_drawdown(curve)
    a_year = len(returns) / years if years and len(returns) >= LEAST_RETURNS else None
    return Performance(
        total_return=None if growth is None else growth - 1.0,
        annualized_return=rate,
        volatility=volatility(returns, a_year) if a_year else None,
        sharpe_ratio=sharpe_ratio(returns, a_year) if a_year else None,
        sortino_ratio=sortino_ratio(returns, a_year) if a_year else None,
        calmar_ratio=calmar_ratio(rate, deepest),
        max_drawdown=deepest.depth if deepest else None,
        max_drawdown_days=deepest.days if deepest else None,
        returns=len(days),
        years=years,
    )


def relative(curve: Sequence[Sample], prices: Mapping[int, float], zone: tzinfo) -> Relative:
    """A run beside buying and holding what has these `prices`, by moment (UNIX ns) of the curve, which is as for `performance`."""
    ends = [end for end in day_ends(curve[1:], zone) if end.at_ns in prices]
    held = [Sample(end.at_ns, prices[end.at_ns]) for end in ends]
    years = years_of(ends)
    if not years or len(ends) <= LEAST_RETURNS or any(each.equity <= 0 for each in (*ends, *held)):
        return Relative(None, None, None)
    own, theirs = returns_of(ends), returns_of(held)
    a_year = len(own) / years
    ahead = [x - y for x, y in zip(own, theirs, strict=True)]
    # What follows the benchmark to the last digit is neither better nor worse than it.
    departs = (_deviation(ahead) or 0.0) > _NOISE
    beta = _slope(own, theirs)
    return Relative(
        information_ratio=sharpe_ratio(ahead, a_year) if departs else None,
        alpha=None if beta is None else (_mean(own) - beta * _mean(theirs)) * a_year,
        beta=beta,
    )


def day_end(at_ns: int, zone: tzinfo) -> int:
    """The midnight in `zone` that ends the day of a moment (UNIX ns both); a moment at midnight ends its day."""
    if zone is UTC or getattr(zone, "key", None) == "UTC":
        return -(-at_ns // DAY_NS) * DAY_NS
    before = datetime.fromtimestamp((at_ns - 1) // _EPOCH, zone)
    midnight = datetime(before.year, before.month, before.day, tzinfo=zone) + timedelta(days=1)
    return int(midnight.timestamp()) * _EPOCH


def day_ends(samples: Sequence[Sample], zone: tzinfo) -> list[Sample]:
    """The last sample of each day that has one."""
    ends: dict[int, Sample] = {}
    last = -1
    for sample in samples:
        if sample.at_ns > last:
            last = day_end(sample.at_ns, zone)
        ends[last] = sample
    return list(ends.values())


def years_of(samples: Sequence[Sample]) -> float | None:
    """T of E_0 … E_n, in years of 365.25 days; None where it is not known: without two different moments."""
    count = len(samples) - 1
    if count < 1:
        return None
    if samples[0].at_ns < samples[1].at_ns:
        return (samples[-1].at_ns - samples[0].at_ns) / YEAR_NS
    if count < 2:
        return None
    return (samples[-1].at_ns - samples[1].at_ns) * count / (count - 1) / YEAR_NS


def returns_of(samples: Sequence[Sample]) -> list[float]:
    """x_1 … x_n of E_0 … E_n, all of which are more than 0."""
    return [after.equity / before.equity - 1.0 for before, after in pairwise(samples)]


def annualized_return(growth: float, years: float | None) -> float | None:
    """CAGR: (E_n / E_0)^(1 / T) - 1; None without a time, or beyond what a float holds."""
    if not years:
        return None
    try:
        return math.pow(growth, 1.0 / years) - 1.0
    except OverflowError:
        return None


def volatility(returns: Sequence[float], a_year: float) -> float | None:
    """The sample standard deviation s of the returns, for a year: s · √A."""
    deviation = _deviation(returns)
    return None if deviation is None else deviation * math.sqrt(a_year)


def sharpe_ratio(returns: Sequence[float], a_year: float) -> float | None:
    """Mean by sample standard deviation, for a year: mean / s · √A (W. F. Sharpe 1994; annualized as Lo 2002 for uncorrelated returns)."""
    deviation = _deviation(returns)
    if not deviation or deviation <= _NOISE * abs(mean := _mean(returns)):
        return None
    return mean / deviation * math.sqrt(a_year)


def sortino_ratio(returns: Sequence[float], a_year: float) -> float | None:
    """Mean by downside deviation, for a year: mean / √(mean of min(x, 0)²) · √A (F. A. Sortino, L. N. Price 1994). None without a loss."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(math.fsum(min(x, 0.0) ** 2 for x in returns) / len(returns))
    return _mean(returns) / downside * math.sqrt(a_year) if downside > 0 else None


def calmar_ratio(rate: float | None, deepest: Drawdown | None) -> float | None:
    """CAGR by the depth of the deepest drawdown (T. W. Young 1991), here over the whole run. None without a drawdown."""
    if rate is None or deepest is None or deepest.depth >= 0:
        return None
    return rate / -deepest.depth


def deepest_drawdown(samples: Sequence[Sample]) -> Drawdown | None:
    """The least of E / (highest E so far) - 1, the first of equals; None without samples or a high above 0."""
    if not samples or samples[0].equity <= 0:
        return None
    high = peak = bottom = samples[0]
    depth = 0.0
    for sample in samples:
        if sample.equity >= high.equity:
            high = sample
        elif (lost := sample.equity / high.equity - 1.0) < depth:
            depth, peak, bottom = lost, high, sample
    over = (one for one in samples if one.at_ns > bottom.at_ns and one.equity >= peak.equity)
    end = next(over, samples[-1]) if depth < 0 else peak
    return Drawdown(depth, (end.at_ns - peak.at_ns) / DAY_NS)


def _slope(values: Sequence[float], over: Sequence[float]) -> float | None:
    """Of the line of least squares; None where `over` does not change."""
    deviation = _deviation(over)
    if not deviation or deviation <= _NOISE:
        return None
    mean, mean_over = _mean(values), _mean(over)
    product = math.fsum((x - mean) * (y - mean_over) for x, y in zip(values, over, strict=True))
    return product / math.fsum((y - mean_over) ** 2 for y in over)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float | None:
    """With n - 1 below the line; None of fewer than two."""
    if len(values) < 2:
        return None
    mean = _mean(values)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1))
