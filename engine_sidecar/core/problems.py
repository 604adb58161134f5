"""Says why an engine that calls itself trading does not trade, from its own measure."""

from collections.abc import Collection
from typing import Final

from schemas.telemetry import EngineMetrics

_AT_WORK: Final = ("RUNNING", "STARTING", "RESUMING")


def problems(
    metrics: EngineMetrics, *, stale_feed_after_s: float | None, at_rest: Collection[str] = ()
) -> tuple[str, ...]:
    """Each problem in words that stay the same while it lasts. `at_rest` are strategies that somebody stopped on purpose."""
    found = [
        f"strategy {name} is {state}"
        for name, state in metrics.strategies.items()
        if state not in _AT_WORK and name not in at_rest
    ]
    found += [f"{client} is not connected" for client in metrics.not_connected]
    if stale_feed_after_s is not None:
        found += [
            f"feed {feed.venue} has been silent for more than {stale_feed_after_s:g} s"
            for feed in metrics.feeds
            if not feed.is_finished and (feed.age_s or 0.0) > stale_feed_after_s
        ]
    return tuple(found)
