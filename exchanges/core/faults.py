"""What can go wrong between a venue and whoever trades on it: with requests, with the private stream, and when."""

from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Annotated

import msgspec


class Kind(StrEnum):
    """What happens to a request."""

    REFUSE = "refuse"  # the connection is closed, nothing is done
    REJECT = "reject"  # answered with `status`, `code` and `msg`, nothing is done
    HANG = "hang"  # nothing is done, and nothing answered for `seconds`; then the connection is closed
    LATE = "late"  # done and answered after `seconds`
    SLOW = "slow"  # done at once, answered after `seconds`
    LOST = "lost"  # done, and the connection is closed in place of an answer
    SILENT = "silent"  # done, and not answered for `seconds`; then the connection is closed
    UNKNOWN = "unknown"  # done, and answered with `status`, `code` and `msg`


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One fault of requests. `on` is `METHOD /path`, `/path`, or `*`; `times` None is until it is cleared."""

    on: str
    kind: Kind
    times: int | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503
    code: int = -1000
    msg: str = "Unknown error, please check your request or try again later."
    headers: dict[str, str] = {}


class Faults:
    """The faults that wait for requests."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Adds a fault; one of the same `on` is replaced.

        Raises:
            ValueError: if it would never happen.
        """
        if fault.times is not None and fault.times < 1:
            raise ValueError(f"times: {fault.times} is not 1 or more")
        self._waiting = [other for other in self._waiting if other.on != fault.on] + [fault]

    def clear(self) -> None:
        """Forgets all faults."""
        self._waiting = []

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, counted as used: the most exact one first."""
        for name in (f"{method} {path}", path, "*"):
            for fault in self._waiting:
                if fault.on == name:
                    self._use(fault)
                    return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times == 0:
            self._waiting.remove(fault)


class Delivery(msgspec.Struct, forbid_unknown_fields=True):
    """What happens to events of the private stream: lost, sent twice, or each pair the wrong way round."""

    mute: bool = False
    duplicate: bool = False
    swap: bool = False


class Sender:
    """Events on their way to one private stream, as `Delivery` says."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._held: list[str] = []

    def offer(self, event: str) -> list[str]:
        """What is to be sent now that `event` happened."""
        if self.delivery.mute:
            return []
        if self.delivery.swap and not self._held:
            self._held = [event]
            return []
        events = [event, *self.flush()]
        return [again for one in events for again in (one, one)] if self.delivery.duplicate else events

    def flush(self) -> list[str]:
        """What was held back for an event that did not come."""
        held, self._held = self._held, []
        return held


class Planned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a schedule: `at` seconds after the start, the control verb `do` with its `body`."""

    at: float
    do: str
    body: dict[str, object] = {}


def seeded_schedule(seed: int, every_s: float, until_s: float, menu: Sequence[Planned]) -> list[Planned]:
    """A line of `menu` every `every_s` seconds on average until `until_s`, as `seed` decides. The menu's `at` is not used.

    Raises:
        ValueError: if `every_s` is not positive or the menu is empty.
    """
    if every_s <= 0 or not menu:
        raise ValueError("a schedule needs something to do, and a positive number of seconds between")
    chosen = Random(seed)  # noqa: S311 -- repeatable, not secret
    lines, at = [], 0.0
    while (at := at + every_s * (0.5 + chosen.random())) < until_s:
        line = chosen.choice(menu)
        lines.append(Planned(at=round(at, 3), do=line.do, body=line.body))
    return lines
