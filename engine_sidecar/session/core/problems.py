"""Says why an engine that is up does not trade, from its own measure."""

from collections.abc import Collection, Iterator
from typing import Final

from flotilla.schemas.telemetry import EngineMetrics, QuietData

BAR_GRACE_S: Final = 30.0
"""How much later than its interval a bar may come where the market is known to be open and nobody gave a limit."""
NOTED_AFTER_S: Final = 30.0
_AT_WORK: Final = ("RUNNING", "STARTING", "RESUMING")


def problems(
    metrics: EngineMetrics, *, stale_feed_after_s: float | None, at_rest: Collection[str] = ()
) -> tuple[str, ...]:
    """Each problem in words that stay the same while it lasts. `at_rest` are strategies that somebody stopped on purpose.

    `stale_feed_after_s` is how long data may be silent, where the operator or the template says so.
    """
    found = [
        f"strategy {name} is {state}"
        for name, state in metrics.strategies.items()
        if state not in _AT_WORK and name not in at_rest
    ]
    found += metrics.not_loaded
    found += [f"{client} is not connected" for client in metrics.not_connected]
    for feed in metrics.feeds:
        found += [f"the replay of {feed.venue} has no {what}" for what in feed.not_there]
        if feed.is_finished:
            found.append(f"the replay of {feed.venue} is through: no more data comes")
    found += [
        f"no {quiet.what} for more than {limit_s:g} s"
        for quiet, limit_s in _judged(metrics, stale_feed_after_s)
        if limit_s is not None and quiet.age_s > limit_s
    ]
    return tuple(found)


def notes(metrics: EngineMetrics, *, stale_feed_after_s: float | None) -> tuple[str, ...]:
    """What is quiet while nobody knows whether it should be: how long, and nothing more."""
    return tuple(
        f"no {quiet.what} for {quiet.age_s:.0f} s"
        for quiet, limit_s in _judged(metrics, stale_feed_after_s)
        if limit_s is None and quiet.age_s > NOTED_AFTER_S + quiet.interval_s
    )


def _judged(
    metrics: EngineMetrics, stale_feed_after_s: float | None
) -> Iterator[tuple[QuietData, float | None]]:
    """What is quiet while its market is not known to be closed, and the limit of its silence if it has one."""
    for feed in metrics.feeds:
        for quiet in feed.quiet:
            if quiet.is_market_open is not False:
                yield quiet, _limit_s(quiet, stale_feed_after_s)


def _limit_s(quiet: QuietData, stale_feed_after_s: float | None) -> float | None:
    if stale_feed_after_s is not None:
        return quiet.interval_s + stale_feed_after_s
    if quiet.interval_s and quiet.is_market_open:
        return quiet.interval_s + BAR_GRACE_S
    return None
