"""Changes of a book that do not follow each other, as Binance's futures and spot tell them; the client is the adapter's in what it is asked."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.engine.venues import book_gaps
from flotilla.engine_sidecar.engine.venues.book_gaps import watch_books
from flotilla.schemas.telemetry import Alert

PERP = "BTCUSDT-PERP.BINANCE"


class Client:
    """Keeps what it applies, and takes snapshots as NautilusTrader's client does: what comes meanwhile waits."""

    def __init__(self) -> None:
        self.applied: list[Any] = []
        self.waiting: list[Any] | None = None
        self.snapshots: list[int | Exception] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._book_depths = {PERP: 1000}
        self._ws_handlers = {"@depth@": self._handle}
        self._http_market = SimpleNamespace(request_order_book_snapshot=self._request)
        self._log = SimpleNamespace(error=lambda text: None)
        self.during: list[bytes] = []
        self.alerts: list[Alert] = []
        watch_books([self, object()], self.alerts.append)

    def _get_cached_instrument_id(self, symbol: str) -> str:
        assert symbol == "BTCUSDT"
        return PERP

    def _handle(self, raw: bytes) -> None:
        into = self.applied if self.waiting is None else self.waiting
        into.append(msgspec.json.decode(raw)["data"]["u"])

    async def _request(self, *, instrument_id: str) -> Any:
        for raw in self.during:
            self.hear(raw)
        self.during = []
        found = self.snapshots.pop(0)
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(sequence=found)

    async def _order_book_snapshot_then_deltas(self, instrument_id: str) -> None:
        self.waiting = []
        snapshot = await self._http_market.request_order_book_snapshot(instrument_id=instrument_id)
        self.applied.append(f"book at {snapshot.sequence}")
        waiting, self.waiting = self.waiting, None
        self.applied += [update for update in waiting if update > snapshot.sequence]

    def create_task(self, work: Any, log_msg: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work, name=log_msg))

    def hear(self, raw: bytes) -> None:
        """From the venue."""
        self._ws_handlers["@depth@"](raw)

    async def begins(self, *snapshots: int | Exception, during: tuple[bytes, ...] = ()) -> None:
        """Somebody subscribes."""
        self.snapshots += snapshots
        self.during = [*during]
        await self._order_book_snapshot_then_deltas(PERP)

    async def ends(self) -> list[str]:
        """What it said, when all is done."""
        await asyncio.gather(*self.tasks)
        return [alert.message for alert in self.alerts]


def futures(first: int, last: int, before: int) -> bytes:
    return msgspec.json.encode({"data": {"s": "BTCUSDT", "U": first, "u": last, "pu": before}})


def spot(first: int, last: int) -> bytes:
    return msgspec.json.encode({"data": {"s": "BTCUSDT", "U": first, "u": last}})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_gaps, "_PAUSES_S", (0.0, 0.0))


async def test_changes_that_follow_each_other_are_applied() -> None:
    client = Client()
    await client.begins(10, during=(futures(5, 8, 4), futures(9, 12, 8)))
    client.hear(futures(15, 17, 12))
    client.hear(futures(18, 20, 17))
    assert await client.ends() == []
    assert client.applied == ["book at 10", 12, 17, 20]


async def test_so_are_those_of_spot_whose_ids_follow_each_other() -> None:
    client = Client()
    await client.begins(10)
    for raw in (spot(9, 12), spot(13, 13), spot(14, 20)):
        client.hear(raw)
    assert await client.ends() == []
    assert client.applied == ["book at 10", 12, 13, 20]


@pytest.mark.parametrize(("later", "before"), [(futures(30, 31, 25), 25), (spot(26, 31), 25)])
async def test_one_that_is_missing_is_told_and_the_book_taken_anew(later: bytes, before: int) -> None:
    client = Client()
    await client.begins(10, during=(spot(10, 20),))
    client.snapshots.append(40)
    client.hear(later)
    said = await client.ends()
    assert said == [f"the book of {PERP} lacks what came between 20 and {before}: it is taken anew"]
    client.hear(spot(35, 41))
    assert await client.ends() == said
    assert client.applied[-2:] == ["book at 40", 41]


async def test_one_that_is_missing_right_after_the_snapshot_is_too() -> None:
    client = Client()
    await client.begins(10)
    client.snapshots.append(40)
    client.hear(futures(12, 13, 11))
    assert await client.ends() == [f"the book of {PERP} lacks what came between 10 and 11: it is taken anew"]


async def test_one_that_the_snapshot_has_already_is_not_applied() -> None:
    client = Client()
    await client.begins(10)
    client.hear(futures(8, 10, 7))
    client.hear(futures(9, 12, 8))
    assert await client.ends() == []
    assert client.applied == ["book at 10", 12]


async def test_a_snapshot_that_fails_or_is_older_than_what_came_is_asked_for_again() -> None:
    client = Client()
    await client.begins(RuntimeError("503"), 3, 20, during=(futures(5, 8, 4),))
    assert (client.applied, client.snapshots) == (["book at 3"], [20])
    client = Client()
    await client.begins(3, 20, during=(futures(5, 8, 4),))
    assert (client.applied, client.snapshots) == (["book at 20"], [])


async def test_one_that_goes_on_failing_is_said_to_fail() -> None:
    client = Client()
    with pytest.raises(RuntimeError, match="third"):
        await client.begins(RuntimeError("first"), RuntimeError("second"), RuntimeError("third"))
    client.tasks.clear()


async def test_two_who_want_the_book_anew_do_so_one_after_the_other() -> None:
    client = Client()
    client.snapshots += [10, 20]
    await asyncio.gather(
        client._order_book_snapshot_then_deltas(PERP), client._order_book_snapshot_then_deltas(PERP)
    )
    client.hear(futures(19, 21, 18))
    assert (client.applied, await client.ends()) == (["book at 10", "book at 20", 21], [])
