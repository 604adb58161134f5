"""What may be chosen for a replay: which part of the catalog, how fast, and what follows its end."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Literal

from msgspec import Meta
from nautilus_trader.live.config import LiveDataClientConfig

from flotilla.schemas.catalog import FOREVER

_NS: Final = 1_000_000_000
_DAY: Final = timedelta(days=1)


class ReplayDataClientConfig(LiveDataClientConfig, frozen=True, kw_only=True):  # type: ignore[call-arg, misc]
    """`speed` is simulated seconds per second, 0 as fast as can be. Events keep the times the catalog has.

    `start` and `end` are ISO 8601 in UTC. A date means its day: a bar belongs to the day it closes, and one that closes at
    midnight to the day that ends then. `on_end` stops the node, or leaves it idle. `start_delay` (s) comes after strategies
    have subscribed. The engine process fills in `catalog_path`.
    """

    catalog_path: str = ""
    speed: Annotated[float, Meta(ge=0)] = 0.0
    start: str | None = None
    end: str | None = None
    start_delay: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    on_end: Literal["idle", "stop"] = "idle"

    def __post_init__(self) -> None:
        if self.first_ns > self.last_ns:
            raise ValueError(f"`start` {self.start} is after `end` {self.end}")

    @property
    def first_ns(self) -> int:
        """The earliest time of an event that is replayed."""
        if self.start is None:
            return 0
        day = _date(self.start)
        return _ns(datetime.fromisoformat(self.start)) if day is None else _midnight_ns(day) + 1

    @property
    def last_ns(self) -> int:
        """The latest time of an event that is replayed."""
        if self.end is None:
            return FOREVER
        day = _date(self.end)
        return _ns(datetime.fromisoformat(self.end)) if day is None else _midnight_ns(day + _DAY)


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if len(text) <= 10 else None


def _midnight_ns(day: date) -> int:
    return _ns(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _ns(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = aware.replace(microsecond=0)
    return int(whole.timestamp()) * _NS + aware.microsecond * 1000
