"""Binance USDT-M futures: signed REST, market streams and the private stream, over one small exchange."""
