"""Counts what we answered, by route and never by path, so that the figures name no engine and cannot grow without bound."""

from collections.abc import Iterable, Mapping

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """One figure with its labels."""

    name: str
    value: float
    labels: Mapping[str, str] = {}


class Meter:
    """Requests by method, route and status, and the seconds they took by method and route."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        self._counts[method, route, status] = self._counts.get((method, route, status), 0) + 1
        self._seconds[method, route] = self._seconds.get((method, route), 0.0) + seconds

    @property
    def requests(self) -> int:
        """All answers so far."""
        return sum(self._counts.values())

    def samples(self) -> list[Sample]:
        """The figures in the form of Prometheus."""
        prefix = "flotilla_gateway_http"
        counts = [
            Sample(
                f"{prefix}_requests_total", count, {"method": method, "route": route, "status": str(status)}
            )
            for (method, route, status), count in self._counts.items()
        ]
        seconds = [
            Sample(f"{prefix}_request_seconds_total", total, {"method": method, "route": route})
            for (method, route), total in self._seconds.items()
        ]
        return [*counts, *seconds]


def exposition(samples: Iterable[Sample]) -> str:
    """The samples in the text format of Prometheus, version 0.0.4; a name that ends in `_total` is a counter."""
    lines: list[str] = []
    seen: set[str] = set()
    for sample in sorted(samples, key=lambda one: (one.name, sorted(one.labels.items()))):
        if sample.name not in seen:
            seen.add(sample.name)
            lines.append(f"# TYPE {sample.name} {'counter' if sample.name.endswith('_total') else 'gauge'}")
        labels = ",".join(f'{key}="{_escape(value)}"' for key, value in sample.labels.items())
        lines.append(f"{sample.name}{f'{{{labels}}}' if labels else ''} {sample.value!r}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
