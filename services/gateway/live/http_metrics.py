"""Counts what we answered, by route and never by path, so that the figures cannot grow without bound; and writes figures for Prometheus."""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MEDIA: Final = "text/plain; version=0.0.4; charset=utf-8"
TOTAL: Final = "_total"
"""A figure whose name ends so is a counter."""
_REQUEST_S: Final = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)
_LAG_S: Final = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0)


class Meter(Collector):
    """Requests by method, route and status, the seconds they took by method and route, and how late clients of the fleet read."""

    def __init__(self) -> None:
        prefix, by = "flotilla_gateway_http", ("method", "route")
        self._counts = Counter(
            f"{prefix}_requests{TOTAL}", "Requests answered.", (*by, "status"), registry=None
        )
        self._seconds = Histogram(
            f"{prefix}_request_seconds",
            "How long answers took; of a stream, how long it was open.",
            by,
            registry=None,
            buckets=_REQUEST_S,
        )
        self._lag = Histogram(
            "flotilla_gateway_fleet_lag_seconds",
            "From a change of the fleet to when a stream's client took it.",
            registry=None,
            buckets=_LAG_S,
        )
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = 0

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        self.requests += 1
        key = (method, route, status)
        if (series := self._series.get(key)) is None:
            series = self._series[key] = (
                self._counts.labels(method, route, str(status)),
                self._seconds.labels(method, route),
            )
        series[0].inc()
        series[1].observe(seconds)

    def lagged(self, seconds: float) -> None:
        """A client of the fleet took what had changed so long ago."""
        self._lag.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """The figures as Prometheus has them."""
        for each in (self._counts, self._seconds, self._lag):
            for found in each.collect():
                # When each series began would be one more for each, and Prometheus sees it by itself.
                found.samples = [one for one in found.samples if not one.name.endswith("_created")]
                yield found


class Named(Collector):
    """Figures without labels, as a service tells them: by name. Those that `meanings` does not have stand for themselves."""

    def __init__(self, prefix: str, figures: Mapping[str, float], meanings: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._figures = figures
        self._meanings = meanings

    def collect(self) -> Iterable[Metric]:
        """One family each."""
        for name, value in sorted(self._figures.items()):
            meaning = self._meanings.get(name, "As the service tells it.")
            yield family(f"{self._prefix}_{name}", meaning, (((), value),))


def family(
    name: str, meaning: str, readings: Iterable[tuple[tuple[str, ...], float]], labels: tuple[str, ...] = ()
) -> Metric:
    """All series of one name, each a reading with the values of its labels."""
    found = (CounterMetricFamily if name.endswith(TOTAL) else GaugeMetricFamily)(name, meaning)
    for values, value in readings:
        found.add_sample(name, dict(zip(labels, values, strict=True)), value)
    return found


def exposition(collectors: Iterable[Collector]) -> bytes:
    """What a scrape is answered, in the text format of Prometheus 0.0.4. Takes its time; may run in a thread."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)
