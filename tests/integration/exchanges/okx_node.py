"""The bare TradingNode with NautilusTrader's stock OKX adapters: `python -m tests.integration.exchanges.okx_node PORT`."""

import asyncio
import sys

from nautilus_trader.adapters.okx.config import OKXDataClientConfig, OKXExecClientConfig
from nautilus_trader.adapters.okx.factories import OKXLiveDataClientFactory, OKXLiveExecClientFactory
from nautilus_trader.common.config import InstrumentProviderConfig, LoggingConfig
from nautilus_trader.config import LiveExecEngineConfig, StrategyConfig, TradingNodeConfig
from nautilus_trader.core.nautilus_pyo3 import OKXInstrumentType, OKXMarginMode
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId

from tests.integration.exchanges.node import Told, run

INSTRUMENT = InstrumentId.from_str("BTC-USDT-SWAP.OKX")


class OkxTold(Told):
    """Hears of index prices and funding too."""

    def on_start(self) -> None:
        super().on_start()
        self.subscribe_index_prices(self.instrument)
        self.subscribe_funding_rates(self.instrument)

    def on_index_price(self, index: object) -> None:
        self.once("index", price=str(index.value))

    def on_funding_rate(self, funding: object) -> None:
        self.once("funding", rate=str(funding.rate))


def node_of(port: int, strategy: Told) -> TradingNode:
    """The node, as its users configure it."""
    common = {
        "instrument_types": (OKXInstrumentType.SWAP,),
        "base_url_http": f"http://127.0.0.1:{port}",
        "api_key": "test-key",
        "api_secret": "test-secret",
        "api_passphrase": "test-phrase",
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset([INSTRUMENT])),
    }
    data = OKXDataClientConfig(**common, base_url_ws=f"ws://127.0.0.1:{port}/ws/v5/public")
    execution = OKXExecClientConfig(
        **common, base_url_ws=f"ws://127.0.0.1:{port}/ws/v5/private", margin_mode=OKXMarginMode.CROSS
    )
    config = TradingNodeConfig(
        trader_id="BARE-001",
        logging=LoggingConfig(log_level="WARNING", log_colors=False),
        data_clients={"OKX": data},
        exec_clients={"OKX": execution},
        exec_engine=LiveExecEngineConfig(reconciliation=True, reconciliation_startup_delay_secs=0.1),
        timeout_connection=20,
        timeout_disconnection=2,
        timeout_post_stop=0.1,
    )
    node = TradingNode(config=config)
    node.add_data_client_factory("OKX", OKXLiveDataClientFactory)
    node.add_exec_client_factory("OKX", OKXLiveExecClientFactory)
    node.trader.add_strategy(strategy)
    node.build()
    return node


async def main(port: int) -> None:
    """Runs the node on the exchange of that port."""
    config = StrategyConfig(
        strategy_id="TOLD-1", external_order_claims=[INSTRUMENT], use_hyphens_in_client_order_ids=False
    )
    strategy = OkxTold(config, INSTRUMENT)
    await run(node_of(port, strategy), strategy)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
