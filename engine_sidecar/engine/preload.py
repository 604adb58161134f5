"""Everything that an engine process of the sandbox template uses: imported by the zygote, so that a fork has it at once."""

from flotilla.engine_sidecar.engine.without_plots import import_without_plots

import_without_plots()

# ruff: noqa: E402
import nautilus_trader.examples.strategies.ema_cross
import nautilus_trader.live.node
import nautilus_trader.persistence.catalog.parquet
import nautilus_trader.trading.controller

import flotilla.engine_sidecar.engine.nautilus_live
import flotilla.engine_sidecar.replay.client
import flotilla.engine_sidecar.replay.sandbox

__all__ = ["flotilla", "nautilus_trader"]
