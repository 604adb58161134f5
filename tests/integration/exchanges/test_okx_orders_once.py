"""An order that goes to OKX by REST is sent once, whatever comes of it: repairs/okx_orders_once.py."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.core import nautilus_pyo3 as pyo3

from flotilla.engine_sidecar.engine.repairs.okx_orders_once import repair_okx_orders_once
from tests.integration.exchanges.okx_running import OkxVenue, exchange_here

KEYS = {"api_key": "test-key", "api_secret": "test-secret", "api_passphrase": "test-phrase"}
ORDER = "/api/v5/trade/order"


class Client:
    """As much of NautilusTrader's execution client as the repair looks at."""

    def __init__(self, http: Any) -> None:
        self._http_client = http
        self._config = SimpleNamespace(**KEYS, http_timeout_secs=5, environment=None, proxy_url=None)


Client.__module__ = "nautilus_trader.adapters.okx.execution"


@pytest.fixture
async def venue() -> AsyncIterator[OkxVenue]:
    async with exchange_here() as running:
        yield running


async def http_of(venue: OkxVenue) -> Any:
    """The adapter's REST client, which asks again after a tenth of a second."""
    url = f"http://127.0.0.1:{venue.port}"
    return pyo3.OKXHttpClient(**KEYS, base_url=url, retry_delay_ms=100, retry_delay_max_ms=100)


async def buys(client: Client, client_order_id: str) -> None:
    """A market order whose answer is an error though it was done."""
    http = client._http_client
    instruments, _ = await http.request_instruments(pyo3.OKXInstrumentType.SWAP)
    for each in instruments:
        http.cache_instrument(each)
    with pytest.raises(Exception, match="50001"):
        await http.place_order(
            trader_id=pyo3.TraderId("T-1"),
            strategy_id=pyo3.StrategyId("S-1"),
            instrument_id=pyo3.InstrumentId.from_str("BTC-USDT-SWAP.OKX"),
            td_mode=pyo3.OKXTradeMode.CROSS,
            client_order_id=pyo3.ClientOrderId(client_order_id),
            order_side=pyo3.OrderSide.BUY,
            order_type=pyo3.OrderType.MARKET,
            quantity=pyo3.Quantity.from_str("1"),
        )


async def placed(venue: OkxVenue) -> list[str]:
    return [each["clOrdId"] for each in (await venue.account())["orders"]]


async def test_the_stock_client_sends_it_again_and_ours_does_not(venue: OkxVenue) -> None:
    await venue.control("fault", on=ORDER, kind="unknown", times=4)
    stock = Client(await http_of(venue))
    await buys(stock, "S1")
    assert (await placed(venue)) == ["S1"] * 4
    await venue.control("fault", on=ORDER, kind="unknown", times=4)
    ours = Client(await http_of(venue))
    repair_okx_orders_once(ours)
    await buys(ours, "O1")
    assert (await placed(venue)) == [*["S1"] * 4, "O1"]
