"""Venues that show how an engine deals with one that does not do as it is told."""

import asyncio
from pathlib import Path
from typing import Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.config import LiveDataClientConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.model.data import Bar
from nautilus_trader.model.identifiers import ClientId, Venue
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.replay.sandbox import SandboxClient
from flotilla.engine_sidecar.replay.streams import DataSet, read


class NeverConnects(LiveMarketDataClient):
    async def _connect(self) -> None:
        await asyncio.Event().wait()

    async def _disconnect(self) -> None:
        pass


class NeverConnectsFactory(LiveDataClientFactory):
    @staticmethod
    def create(name: str, config: Any, **parts: Any) -> NeverConnects:
        return NeverConnects(
            client_id=ClientId(name),
            venue=Venue(name),
            instrument_provider=InstrumentProvider(),
            config=config,
            **parts,
        )


class PlaysBarsConfig(LiveDataClientConfig, frozen=True, kw_only=True):
    catalog_path: str


class PlaysBars(LiveMarketDataClient):
    """A live venue as far as an engine can tell: bars come when they come, and no replay is at work."""

    def __init__(self, config: PlaysBarsConfig, **parts: Any) -> None:
        super().__init__(instrument_provider=InstrumentProvider(), config=config, **parts)
        self.catalog = Path(config.catalog_path)

    async def _connect(self) -> None:
        for instrument in ParquetDataCatalog(str(self.catalog)).instruments():
            self._handle_data(instrument)

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_bars(self, command: Any) -> None:
        for bar in read(self.catalog, DataSet(Bar, str(command.bar_type))):
            self._handle_data(bar)
            await asyncio.sleep(0.01)


class PlaysBarsFactory(LiveDataClientFactory):
    @staticmethod
    def create(name: str, config: PlaysBarsConfig, **parts: Any) -> PlaysBars:
        return PlaysBars(config, client_id=ClientId(name), venue=Venue(name), **parts)


class Deaf(SandboxClient):
    """A venue that takes two orders, and from then on hears everything and does nothing."""

    orders = 0

    def _pass_on(self, command: Any) -> None:
        self.orders += hasattr(command, "order")
        if self.orders <= 2 and hasattr(command, "order"):
            super()._pass_on(command)


class SandboxLiveExecClientFactory(LiveExecClientFactory):
    @staticmethod
    def create(name: str, **parts: Any) -> Deaf:
        return Deaf(**parts)
