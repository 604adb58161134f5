"""What a venue has of one order, by the code of NautilusTrader's adapter. What the venue answers is scripted."""

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.adapters.binance.execution import BinanceCommonExecutionClient
from nautilus_trader.adapters.binance.http.error import BinanceServerError
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed, VenueReports

BTC = TestInstrumentProvider.btcusdt_binance()


class Client(SimpleNamespace):
    """One that can be a key, as NautilusTrader's can."""

    __hash__ = object.__hash__


async def test_a_venue_that_does_not_say_what_it_has_of_an_order_never_bears_out_its_end() -> None:
    order = TestExecStubs.make_submitted_order(instrument=BTC)
    order.apply(TestEventStubs.order_rejected(order))
    asked = 0

    async def send_request(method: Any, path: str) -> Any:
        nonlocal asked
        asked += 1
        raise BinanceServerError(503, {"code": 0, "msg": "Service Unavailable"}, {})

    http = SimpleNamespace(send_request=send_request)

    async def query_order(**_: Any) -> Any:
        return await http.send_request("GET", "/fapi/v1/order")

    cache = TestComponentStubs.cache()
    cache.add_order(order)
    client = Client(
        id="V",
        _instrument_provider=object(),
        _http_account=SimpleNamespace(client=http, query_order=query_order),
        _log=SimpleNamespace(info=print, warning=print, error=print),
        _log_report_error=print,
        _cache=cache,
        _max_retries=3,
        _generate_order_status_retries={},
    )
    client.generate_order_status_report = lambda command: (
        BinanceCommonExecutionClient.generate_order_status_report(client, command)
    )
    kernel = SimpleNamespace(
        exec_engine=SimpleNamespace(_clients={1: client}), clock=SimpleNamespace(timestamp_ns=lambda: 1)
    )
    reports = VenueReports(kernel, str)
    for _ in range(6):
        with pytest.raises(ReportsFailed, match="Service Unavailable"):
            await reports.of_order(client, order)
    assert asked == 6
