"""The figures of an equity curve by a public library, empyrical-reloaded, from nothing but moments and equities.

What a day is and how long a run takes is worked out here by pandas, so that nothing of ours is the measure of itself.
"""

from collections.abc import Sequence
from typing import Any

import empyrical
import numpy as np
import pandas as pd

FIGURES = (
    "total_return",
    "annualized_return",
    "volatility",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
)


def library_figures(
    moments_ns: Sequence[int], equities: Sequence[float], zone: str = "UTC"
) -> dict[str, Any]:
    """Figures by our names. The first equity is that before the first event."""
    times = pd.to_datetime(pd.Series(moments_ns), unit="ns", utc=True)
    whole = pd.Series(list(equities), dtype="float64")
    dates = (times - pd.Timedelta(1, "ns")).dt.tz_convert(zone).dt.date
    daily = pd.concat([whole.iloc[:1], whole.iloc[1:].groupby(dates.iloc[1:]).last()])
    returns = daily.pct_change().iloc[1:].reset_index(drop=True)
    ends = times.iloc[1:].groupby(dates.iloc[1:]).max()
    count = len(returns)
    if times.iloc[0] < ends.iloc[0]:
        took = (ends.iloc[-1] - times.iloc[0]) / pd.Timedelta("365.25D")
    else:
        took = (ends.iloc[-1] - ends.iloc[0]) / pd.Timedelta("365.25D") * count / (count - 1)
    a_year = count / took
    with np.errstate(invalid="ignore"):  # of an account that was below nothing it makes NaN
        rate = empyrical.annual_return(returns, annualization=a_year)
    depth = empyrical.max_drawdown(whole.pct_change().iloc[1:].reset_index(drop=True))
    return {
        "total_return": empyrical.cum_returns_final(returns),
        "annualized_return": rate,
        "volatility": empyrical.annual_volatility(returns, annualization=a_year),
        "sharpe_ratio": empyrical.sharpe_ratio(returns, annualization=a_year),
        "sortino_ratio": empyrical.sortino_ratio(returns, annualization=a_year),
        "max_drawdown": depth,
        "calmar_ratio": rate / -depth if depth else None,
    }
