"""The labels of engines as the fleet tells of them: what a stream needs to know of an event that only names its engine."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from flotilla.schemas.engine import EngineView
from flotilla.schemas.labels import Labels, matches

MOST: Final = 100_000
"""Engines with labels that are kept in mind; with more, the one that was told of longest ago is out of sight of streams."""


class KnownLabels:
    """By engine. One without labels is in no scope, and needs no place here."""

    def __init__(self) -> None:
        self._labels: dict[str, Labels] = {}
        self._newer: list[set[str]] = []

    def saw(self, engine: EngineView) -> None:
        """The fleet tells of an engine."""
        self._put(engine)
        for told in self._newer:
            told.add(engine.instance_id)

    @contextmanager
    def asking(self) -> Iterator[Callable[[Iterable[EngineView]], None]]:
        """While a list is asked for: takes the list. What the fleet tells of meanwhile is newer than what the list says."""
        newer: set[str] = set()
        self._newer.append(newer)

        def learn(engines: Iterable[EngineView]) -> None:
            for engine in engines:
                if engine.instance_id not in newer:
                    self._put(engine)

        try:
            yield learn
        finally:
            self._newer = [one for one in self._newer if one is not newer]

    def forget(self) -> None:
        """Nothing is known any more: some of what was told may not have reached us."""
        self._labels.clear()

    def has(self, instance_id: str, scope: Mapping[str, str]) -> bool:
        """True for an engine that is known to carry all of these labels, of which there is at least one."""
        return bool(scope) and matches(self._labels.get(instance_id, {}), scope)

    def _put(self, engine: EngineView) -> None:
        self._labels.pop(engine.instance_id, None)
        if engine.config.labels:
            if len(self._labels) >= MOST:
                del self._labels[next(iter(self._labels))]
            self._labels[engine.instance_id] = engine.config.labels
