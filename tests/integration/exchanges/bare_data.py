"""A data client that connects to nothing and has no instruments, as one of somebody's own may be."""

from typing import Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.config import LiveDataClientConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.model.identifiers import ClientId, Venue


class BareDataClientConfig(LiveDataClientConfig, frozen=True):
    """Has nothing to say."""


class BareDataClient(LiveMarketDataClient):
    """Takes subscriptions to quotes, and gives none."""

    async def _connect(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_quote_ticks(self, command: Any) -> None:
        pass

    async def _unsubscribe_quote_ticks(self, command: Any) -> None:
        pass


class BareDataClientFactory(LiveDataClientFactory):
    """Makes them."""

    @staticmethod
    def create(loop: Any, name: str, config: Any, msgbus: Any, cache: Any, clock: Any) -> BareDataClient:
        """Called by the node's builder."""
        return BareDataClient(
            loop=loop,
            client_id=ClientId(name),
            venue=Venue("BINANCE"),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=InstrumentProvider(),
            config=config,
        )
