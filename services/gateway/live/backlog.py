"""What one stream client has yet to be sent: events in order up to a bound, and of telemetry only the latest per engine or backtest."""

from collections import deque


class Backlog:
    """Frames waiting for one client. `missed` counts events that were pushed out since the client was last told."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[bytes] = deque()
        self._latest: dict[tuple[str, str], bytes] = {}
        self.missed = 0

    def __len__(self) -> int:
        return len(self._events) + len(self._latest)

    def add_event(self, frame: bytes) -> bool:
        """Queues an event behind the others; False when the oldest had to go for it."""
        self._events.append(frame)
        if len(self._events) <= self._limit:
            return True
        self._events.popleft()
        self.missed += 1
        return False

    def add_latest(self, kind: str, name: str, frame: bytes) -> None:
        """Replaces what was waiting of this kind and engine or backtest."""
        self._latest[kind, name] = frame

    def drop_latest(self, kind: str, name: str) -> None:
        """Forgets what was waiting of this kind: an event said something newer."""
        self._latest.pop((kind, name), None)

    def take(self) -> tuple[int, list[bytes]]:
        """Empties it: how many events are missing before the first of these frames, then the frames in order."""
        missed, self.missed = self.missed, 0
        frames = [*self._events, *self._latest.values()]
        self._events.clear()
        self._latest.clear()
        return missed, frames
