"""One client that is connected: what it follows. It ends with its connection."""

from decimal import Decimal

import msgspec

from exchanges.interactive_brokers.core.venue import Touch


class BarsAsked(msgspec.Struct, kw_only=True):
    """Bars that a client follows. `told_ms` is the start of the last one that was told."""

    con_id: int
    show: str
    size_ms: int
    epoch: bool = True
    told_ms: int = 0
    told: tuple[Decimal, ...] = ()


class Session(msgspec.Struct, eq=False):
    """A client. `id` is None until it has said it; all is by request id."""

    id: int | None = None
    tops: dict[int, int] = {}
    top_told: dict[int, Touch] = {}
    ticks: dict[int, tuple[int, str]] = {}
    tick_told: dict[int, Touch] = {}
    real_time: dict[int, BarsAsked] = {}
    history: dict[int, BarsAsked] = {}
    summaries: dict[int, tuple[str, ...]] = {}
    positions: bool = False

    def forget_data(self) -> None:
        """Ends all market data, as when it is lost with the connection of the gateway."""
        for followed in (self.tops, self.top_told, self.ticks, self.tick_told, self.real_time, self.history):
            followed.clear()
