"""OKX: an order that goes by REST is sent again after an error, though the venue may have done it: then there are two.

The REST client asks again, a second later, whatever it was asked and failed with a code such as 50001 or without an answer. OKX refuses an id
only while an order that has it is open, so that a market order, or a stop that was triggered meanwhile, is done twice. Conditional orders go by
REST, and those that are to reduce a position do (`okx_reduce_only`). So orders go by a client that asks once; one that failed is taken for
rejected by NautilusTrader, which is a claim until the venue bears it out. https://github.com/nautechsystems/nautilus_trader/issues/4215 has
it for Binance, which refuses the second.
"""

from typing import Any


class _OrdersOnce:
    """The client's REST client, but for orders: those are sent by one that never asks again."""

    def __init__(self, usual: Any, once: Any) -> None:
        self._usual = usual
        self._once = once
        self.place_order = once.place_order
        self.place_algo_order = once.place_algo_order

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)

    def cache_instrument(self, instrument: Any) -> None:
        """Both write prices and quantities as the instrument says."""
        self._usual.cache_instrument(instrument)
        self._once.cache_instrument(instrument)

    def cancel_all_requests(self) -> None:
        self._usual.cancel_all_requests()
        self._once.cancel_all_requests()


def repair_okx_orders_once(client: Any) -> None:
    """Has the execution client send each order once; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.okx."):
        return
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415 - other engines do not need it

    config, usual = client._config, client._http_client
    client._http_client = _OrdersOnce(
        usual,
        nautilus_pyo3.OKXHttpClient(
            api_key=config.api_key,
            api_secret=config.api_secret,
            api_passphrase=config.api_passphrase,
            base_url=usual.base_url,
            timeout_secs=config.http_timeout_secs or 60,
            max_retries=0,
            environment=config.environment or nautilus_pyo3.OKXEnvironment.LIVE,
            proxy_url=config.proxy_url,
        ),
    )
