"""What waits for one client of the stream of events: the frames that it has not taken, and where it is in the record of events."""

from collections import deque


class Backlog:
    """Frames waiting for one client. `after` is the number of the last event that it took, or was shown not to want.

    A client that is `behind` is not queued for: it reads what it has not had from the stream of events, until it is up with it.
    """

    def __init__(self, limit: int, *, after: int, is_behind: bool) -> None:
        self._limit = limit
        self._events: deque[tuple[int, bytes]] = deque()
        self._latest: dict[tuple[str, str], bytes] = {}
        self._notices: list[bytes] = []
        self.after = after
        self.is_behind = is_behind

    def __len__(self) -> int:
        return len(self._events) + len(self._latest) + len(self._notices)

    def add_event(self, seq: int, frame: bytes) -> None:
        """Queues an event behind the others; with more than it may hold the client falls behind, and none is queued.

        One that it read from the stream before we did is not for it.
        """
        if self.is_behind or seq <= self.after:
            return
        self._events.append((seq, frame))
        if len(self._events) > self._limit:
            self.fall_behind()

    def fall_behind(self) -> None:
        """What waits is read from the stream of events instead, with what follows."""
        self._events.clear()
        self.is_behind = True

    def add_notice(self, frame: bytes) -> None:
        """Queues what is no event, such as the end of the stream, before them."""
        self._notices.append(frame)

    def add_latest(self, kind: str, name: str, frame: bytes) -> None:
        """Replaces what was waiting of this kind and engine or backtest."""
        self._latest[kind, name] = frame

    def drop_latest(self, kind: str, name: str) -> None:
        """Forgets what was waiting of this kind: an event said something newer."""
        self._latest.pop((kind, name), None)

    def take(self) -> list[bytes]:
        """Empties it: notices, the events in order, then the latest of each kind."""
        if self._events:
            self.after = self._events[-1][0]
        frames = [*self._notices, *(frame for _, frame in self._events), *self._latest.values()]
        self._notices.clear()
        self._events.clear()
        self._latest.clear()
        return frames

    def forget(self) -> None:
        """Drops what waits: it is not to be sent any more."""
        self._notices.clear()
        self._events.clear()
        self._latest.clear()
