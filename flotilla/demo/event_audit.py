"""What was heard of one session, and whether that is a real and complete account of trading. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from flotilla.client.watch import EVENTS, Update
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import (
    AccountUpdate,
    EngineEvent,
    EngineMetrics,
    Fill,
    OrderUpdate,
    PositionUpdate,
    StateChange,
)


class Tally:
    """Counts and keeps what comes in. `counts` is per kind; events of a kind are kept in their order.

    `at_end` are the first metrics of an engine whose data is through.
    """

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.counts: Counter[str] = Counter()
        self.log_lines = 0
        self.sequence: list[int] = []
        self.fills: list[Fill] = []
        self.orders: dict[str, OrderUpdate] = {}
        self.positions: dict[str, PositionUpdate] = {}
        self.states: list[StateChange] = []
        self.told_seq = 0
        self._last_seq: int | None = None
        self.account: AccountUpdate | None = None
        self.metrics: EngineMetrics | None = None
        self.at_end: EngineMetrics | None = None

    def take(self, update: Update) -> None:
        """Counts one update."""
        self.counts[update.kind] += 1
        if update.kind in EVENTS:
            self._event(update.payload)
        elif update.kind == "metrics":
            self.metrics = update.payload
            if self.at_end is None and _is_through(self.metrics):
                self.at_end = self.metrics
        elif update.kind == "heartbeat":
            self.told_seq = max(self.told_seq, update.payload.last_seq)
        elif update.kind == "log":
            self.log_lines += len(update.payload.lines)

    @property
    def events(self) -> int:
        """How many durable events came in."""
        return len(self.sequence)

    @property
    def last_seq(self) -> int:
        """The number of the last event that the session made, heard or not, as far as its heartbeats tell."""
        return max(self.told_seq, max(self.sequence, default=0))

    @property
    def is_over(self) -> bool:
        """True when the session ended and every event before its last one was heard; feeds overtake one another."""
        return self._last_seq is not None and self.events >= self._last_seq

    @property
    def is_complete(self) -> bool:
        """True when the session ended and each of its events was heard: what it held last is known then."""
        return self.is_over and self._has_all

    @property
    def is_replayed(self) -> bool:
        """True when every feed has given all it has, and what came of it was counted."""
        metrics = self.metrics
        return metrics is not None and metrics.fills_total <= len(self.fills) and _is_through(metrics)

    def problems(
        self, recorded: Iterable[int], missing: Iterable[tuple[int, int]], *, is_replay: bool = True
    ) -> list[str]:
        """Everything that is not as it should be; `recorded` are the sequence numbers in the database."""
        last = self.last_seq
        stored = list(recorded)
        found = {
            "nothing was traded: there are no fills": not self.fills,
            f"{last - self.events} of {last} events were not heard": not self._has_all,
            f"the database has gaps in the sequence: {list(missing)}": any(True for _ in missing),
            f"the database has {len(stored)} of {last} events": stored != list(range(1, last + 1)),
            "there were no heartbeats": not self.counts["heartbeat"],
            "there were no metrics": not self.counts["metrics"],
            "the market data was not replayed to its end": is_replay and not self.is_replayed,
            f"the engine did not stop: {self._end()}": not self._has_stopped(),
        }
        return [problem for problem, is_so in found.items() if is_so]

    @property
    def _has_all(self) -> bool:
        return sorted(self.sequence) == list(range(1, self.last_seq + 1))

    def _event(self, event: EngineEvent[Any]) -> None:
        self.sequence.append(event.seq)
        match event.data:
            case Fill() as fill:
                self.fills.append(fill)
            case OrderUpdate() as order:
                self.orders[order.client_order_id] = order
            case PositionUpdate() as position:
                self.positions[position.position_id] = position
            case AccountUpdate() as account:
                self.account = account
            case StateChange() as change:
                self.states.append(change)
                if change.state.is_terminal:
                    self._last_seq = event.seq

    def _has_stopped(self) -> bool:
        return bool(self.states) and self.states[-1].state in (RunState.COMPLETED, RunState.STOPPED)

    def _end(self) -> str:
        if not self.states:
            return "nothing was heard of it"
        last = self.states[-1]
        return f"{last.state} {last.reason or ''} {last.detail}".strip()


def _is_through(metrics: EngineMetrics) -> bool:
    return bool(metrics.feeds) and all(feed.is_finished for feed in metrics.feeds)
