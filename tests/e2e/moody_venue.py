"""A venue and a strategy that do what files say: bars come, or not, or the market closes, or the connection is lost; it stops, or faults."""

import asyncio
from pathlib import Path
from typing import Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.config import LiveDataClientConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.model.data import Bar, InstrumentStatus
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.identifiers import ClientId, Venue
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from tests.strategies_for_tests import OnBars

INSTRUMENT = "X.MOODY"
BAR_TYPE = f"{INSTRUMENT}-1-SECOND-LAST-EXTERNAL"
_STATUS = {"closed": MarketStatusAction.CLOSE, "plays": MarketStatusAction.TRADING}


def _said(file: Path, otherwise: str) -> str:
    """What the file says; `otherwise` while there is none, or it is just being written."""
    return (file.read_text() if file.exists() else "") or otherwise


class MoodyConfig(LiveDataClientConfig, frozen=True, kw_only=True):
    """`mood` is the file: plays (as without it), silent, closed or away. It connects after so many seconds."""

    mood: str
    connects_after_s: float = 0.0


class Moody(LiveMarketDataClient):
    def __init__(self, config: MoodyConfig, **parts: Any) -> None:
        super().__init__(
            client_id=ClientId("MOODY"),
            venue=Venue("MOODY"),
            instrument_provider=InstrumentProvider(),
            config=config,
            **parts,
        )
        self._file = Path(config.mood)
        self._connects_after_s = config.connects_after_s
        self._bars: set[Any] = set()
        self._instrument = TestInstrumentProvider.equity(symbol="X", venue="MOODY")

    async def _connect(self) -> None:
        await asyncio.sleep(self._connects_after_s)
        self._handle_data(self._instrument)
        self.create_task(self._live())

    async def _disconnect(self) -> None:
        """The base class cancels what runs."""

    async def _live(self) -> None:
        was = ""
        while True:
            mood = _said(self._file, "plays")
            if mood != was:
                was = mood
                self._set_connected(mood != "away")
                self._tell(mood)
            # While away too: or silence would soon be a second reason.
            if mood in ("plays", "away"):
                for bar_type in self._bars:
                    self._handle_data(self._bar(bar_type))
            await asyncio.sleep(0.25)

    def _tell(self, mood: str) -> None:
        if (action := _STATUS.get(mood)) is not None:
            now = self._clock.timestamp_ns()
            self._handle_data(InstrumentStatus(self._instrument.id, action, now, now))

    def _bar(self, bar_type: Any) -> Bar:
        now, price = self._clock.timestamp_ns(), self._instrument.make_price(100)
        return Bar(bar_type, price, price, price, price, self._instrument.make_qty(10), now, now)

    async def _subscribe_bars(self, command: Any) -> None:
        self._bars.add(command.bar_type)

    async def _unsubscribe_bars(self, command: Any) -> None:
        self._bars.discard(command.bar_type)


class MoodyFactory(LiveDataClientFactory):
    @staticmethod
    def create(name: str, config: MoodyConfig, **parts: Any) -> Moody:
        return Moody(config, **parts)


class DoesAsTold(OnBars):
    """Stops itself, or faults, once the file `how` says so."""

    def act(self, bar: Bar) -> None:
        match _said(Path(self.config.how), ""):
            case "stop":
                self.stop()
            case "fault":
                self.fault()
