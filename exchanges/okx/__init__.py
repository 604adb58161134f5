"""An exchange that speaks OKX: USDT swaps in net mode."""
