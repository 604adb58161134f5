"""The orchestrator's clock: shows the record's time, carried on by the monotonic clock of this machine."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from flotilla.schemas.ids import new_request_id
from flotilla.services.orchestrator.core.record_time import KeptTime, RecordTime, resumed

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_JITTER: Final = timedelta(milliseconds=5)
"""Two clocks read one after the other differ by this much without either having been set."""


class RecordClock:
    """Called, it says the record's time. It never steps back, and forward only once, when it joins the record.

    Until then it counts from 1970, so that whatever was heard by then is old afterwards, and is heard again.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        boot_id: str | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._boot_id = boot_id or _boot_id()
        self._from, self._from_s = _BEGINNING, monotonic()
        self._scale = RecordTime(timedelta())

    def __call__(self) -> datetime:
        """The record's time, which knows the wall clock's."""
        at = self._from + timedelta(seconds=self._monotonic() - self._from_s)
        ahead = self._wall() - at
        if abs(ahead - self._scale.ahead) > _JITTER:
            self._scale = RecordTime(ahead)
        return at.replace(tzinfo=self._scale)

    def join(self, kept: KeptTime | None) -> None:
        """Goes on where the record's time is; a record that has none yet begins it with the wall clock's."""
        self._from_s = self._monotonic()
        self._from = resumed(kept, self._boot_id, self._from_s) if kept else self._wall()

    def keep(self) -> KeptTime:
        """The present, to be put on record."""
        monotonic_s = self._monotonic()
        at = self._from + timedelta(seconds=monotonic_s - self._from_s)
        return KeptTime(at=at, boot_id=self._boot_id, monotonic_s=monotonic_s)


def _boot_id() -> str:
    """Of this boot of the machine; one that nobody else has where the kernel tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return new_request_id()
