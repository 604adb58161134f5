"""Binance futures: a position of the same size and the opposite sign, invented at a reconnect or a restart with a kept cache.

The adapter asks for the trades of each symbol that its cache or the venue has something open of. The cache gives NautilusTrader's
symbol (`BTCUSDT-PERP`), the venue its own (`BTCUSDT`), and Binance answers both: every trade comes twice, the sum of the fills no
longer fits the position, and the reconciliation explains that with an order that never was. With one name for each symbol every
trade comes once. https://github.com/nautechsystems/nautilus_trader/issues/3104 has what it looks like from outside.
"""

from typing import Any


def repair_binance_symbols(client: Any) -> None:
    """Has the execution client name symbols as the venue does; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.binance."):
        return
    from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol  # noqa: PLC0415 - other engines do not need it

    active = client._get_cache_active_symbols

    def as_the_venue_names_them() -> set[str]:
        return {str(BinanceSymbol(symbol)) for symbol in active()}

    client._get_cache_active_symbols = as_the_venue_names_them
