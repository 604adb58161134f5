"""A venue that needs no exchange: replays a Parquet catalog into a real TradingNode, with fills like those of a backtest."""
