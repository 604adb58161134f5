"""The live data client of the replay venue: answers subscriptions and requests from a Parquet catalog."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.model.identifiers import ClientId, Venue

from flotilla.engine_sidecar.replay.config import ReplayDataClientConfig
from flotilla.engine_sidecar.replay.feed import ReplayFeed, Wiring
from flotilla.engine_sidecar.replay.instruments import instruments_of
from flotilla.engine_sidecar.replay.messages import ALERTS, REPLAY_ENDED, ReplayEnded, ReplayRefusedError
from flotilla.engine_sidecar.replay.streams import DataSet
from flotilla.engine_sidecar.replay.subscriptions import Subscriptions
from flotilla.schemas.alerts import NO_DATA
from flotilla.schemas.catalog import FOREVER
from flotilla.schemas.telemetry import FeedProgress


class ReplayDataClient(Subscriptions):
    """Replays what strategies subscribed to. `wire` must be called between the node's build and its start.

    Requests are answered in the step that brings them, as subscriptions are.
    """

    def __init__(self, config: ReplayDataClientConfig, **parts: Any) -> None:
        super().__init__(instrument_provider=InstrumentProvider(), config=config, **parts)
        self._settings = config
        self._path = Path(config.catalog_path).resolve()
        self._feed = ReplayFeed(config, self._handle_data, self._loop.time)
        self._wiring: Wiring | None = None

    def wire(self, wiring: Wiring) -> None:
        """Joins the replay with the rest of its node."""
        self._wiring = wiring

    def pause(self) -> None:
        """Lets simulated time stand still from the next event on."""
        self._feed.pause()

    def resume(self) -> None:
        """Goes on after `pause`, without catching up."""
        self._feed.resume()

    def progress(self) -> FeedProgress:
        """Where the replay is."""
        feed = self._feed
        return FeedProgress(
            venue=self.id.value,
            events=feed.done,
            age_s=None if feed.last_shown is None else self._loop.time() - feed.last_shown,
            last_ts_event=feed.position,
            total=feed.total,
            is_finished=feed.is_finished,
            is_connected=self.is_connected,
            not_there=tuple(data_set.label for data_set in feed.not_there),
        )

    async def _connect(self) -> None:
        if self._wiring is None:
            raise RuntimeError("the replay is not wired: call wire_replay(node) after node.build()")
        for instrument in sorted(instruments_of(self._path), key=lambda found: found.id.value):
            if self.venue is None or instrument.venue == self.venue:
                self._handle_data(instrument)
        await self._wiring.barrier.wait()
        self.create_task(self._play(self._wiring), log_msg="replay")

    async def _disconnect(self) -> None:
        """The base class cancels the replay's task."""

    async def _play(self, wiring: Wiring) -> None:
        try:
            await self._feed.play(wiring, self._ended)
        except ReplayRefusedError as error:
            self._publish(ReplayEnded(self.id.value, must_stop=True, error=str(error), is_refused=True))
            raise
        except Exception as error:
            self._publish(
                ReplayEnded(self.id.value, must_stop=True, error=f"{type(error).__name__}: {error}")
            )
            raise

    def _ended(self) -> None:
        must_stop = self._settings.on_end == "stop"
        if must_stop and self._feed.done == 0:
            named = ", ".join(data_set.label for data_set in self._feed.not_there)
            error = f"there is nothing to replay: the catalog has no {named}"
            self._publish(ReplayEnded(self.id.value, must_stop=True, error=error, is_refused=True))
            return
        self._log.info(f"Replay finished: {self._feed.done} events")
        self._publish(ReplayEnded(self.id.value, must_stop=must_stop))

    def _publish(self, ended: ReplayEnded) -> None:
        self._msgbus.publish(topic=REPLAY_ENDED, msg=ended)

    def open(self, data_set: DataSet) -> None:
        """Plays a data set from now on; says so where the catalog has nothing of it."""
        if not self._feed.open(data_set):
            message = f"the catalog has no {data_set.label} to replay"
            self._log.warning(message)
            self._msgbus.publish(topic=ALERTS, msg=NO_DATA.alert(message))

    def close(self, data_set: DataSet) -> None:
        """Plays a data set no longer."""
        self._feed.close(data_set)

    async def _subscribe_instrument(self, command: Any) -> None:
        """Instruments are there from the start and do not change."""

    async def _subscribe_instruments(self, command: Any) -> None:
        """Instruments are there from the start and do not change."""

    async def _unsubscribe_instrument(self, command: Any) -> None:
        """Nothing was subscribed."""

    async def _unsubscribe_instruments(self, command: Any) -> None:
        """Nothing was subscribed."""

    def request_instrument(self, request: Any) -> None:
        """Answers with the instrument as the catalog has it; an unknown one is not answered, as by any venue."""
        instrument = self._cache.instrument(request.instrument_id)
        if instrument is None:
            self._log.error(f"Cannot find instrument {request.instrument_id}")
            return
        self._handle_instrument(instrument, request.id, request.start, request.end, request.params)

    def request_instruments(self, request: Any) -> None:
        """Answers with the instruments of a venue."""
        venue = request.venue or self.venue
        found = self._cache.instruments(venue=venue)
        self._handle_instruments(venue, found, request.id, request.start, request.end, request.params)

    def request_bars(self, request: Any) -> None:
        """Answers with bars that lie before the replay's present position, never with later ones."""
        bars = self._history(Bar, request.bar_type, request)
        self._handle_bars(request.bar_type, bars, request.id, request.start, request.end, request.params)

    def request_quote_ticks(self, request: Any) -> None:
        """Answers with quotes that lie before the replay's present position."""
        ticks = self._history(QuoteTick, request.instrument_id, request)
        self._handle_quote_ticks(
            request.instrument_id, ticks, request.id, request.start, request.end, request.params
        )

    def request_trade_ticks(self, request: Any) -> None:
        """Answers with trades that lie before the replay's present position."""
        ticks = self._history(TradeTick, request.instrument_id, request)
        self._handle_trade_ticks(
            request.instrument_id, ticks, request.id, request.start, request.end, request.params
        )

    def _history(self, kind: type, identifier: Any, request: Any) -> list[Any]:
        first = 0 if request.start is None else _ns(request.start)
        last = FOREVER if request.end is None else _ns(request.end)
        now = self._clock.timestamp_ns()
        return self._feed.history(DataSet(kind, str(identifier)), first, last, request.limit, now)


class ReplayDataClientFactory(LiveDataClientFactory):  # type: ignore[misc]
    """Makes replay clients."""

    @staticmethod
    def create(name: str, config: ReplayDataClientConfig, **parts: Any) -> ReplayDataClient:
        """Called by the node's builder. With `routing.default` the client serves every venue, else the one of its name."""
        venue = None if config.routing.default or config.routing.venues else Venue(name)
        return ReplayDataClient(config, client_id=ClientId(name), venue=venue, **parts)


def _ns(moment: datetime) -> int:
    return (
        int(moment.replace(microsecond=0).astimezone(UTC).timestamp()) * 1_000_000_000
        + moment.microsecond * 1000
    )
