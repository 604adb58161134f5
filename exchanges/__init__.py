"""Exchanges to trade on without money: processes that speak the protocols of real venues, and can be told to behave badly.

They import nothing of the product, and the product trades on them by NautilusTrader's own adapters.
"""
