"""Repairs of NautilusTrader 1.231.0, each with the test that fails on the stock package and says when it is no longer needed."""

from typing import Any

from flotilla.engine_sidecar.engine.repairs.binance_closings import repair_binance_closings
from flotilla.engine_sidecar.engine.repairs.binance_symbols import repair_binance_symbols
from flotilla.engine_sidecar.engine.repairs.binance_trades import repair_binance_trades
from flotilla.engine_sidecar.engine.repairs.fills_in_order import (
    repair_order_of_fills,
    repair_reports_of_kept_instruments,
)
from flotilla.engine_sidecar.engine.repairs.ib_made_up_orders import repair_ib_made_up_orders
from flotilla.engine_sidecar.engine.repairs.ib_unknown_contracts import repair_ib_unknown_contracts
from flotilla.engine_sidecar.engine.repairs.late_fills import repair_late_fills
from flotilla.engine_sidecar.engine.repairs.okx_algo_orders import repair_okx_algo_orders
from flotilla.engine_sidecar.engine.repairs.okx_fees import repair_okx_fees
from flotilla.engine_sidecar.engine.repairs.okx_orders_once import repair_okx_orders_once
from flotilla.engine_sidecar.engine.repairs.okx_reduce_only import repair_okx_reduce_only
from flotilla.engine_sidecar.engine.repairs.reports_while_trading import repair_reports_while_trading
from flotilla.engine_sidecar.engine.repairs.torn_positions import repair_torn_positions


def repair(kernel: Any) -> None:
    """Mends the clients and the execution engine of a node that was built."""
    repair_torn_positions(kernel.cache)
    repair_reports_of_kept_instruments(kernel.exec_engine)
    repair_order_of_fills(kernel.exec_engine)
    repair_late_fills(kernel.exec_engine)
    for client in (*kernel.data_engine._clients.values(), *kernel.exec_engine._clients.values()):
        repair_ib_unknown_contracts(client)
    for client in kernel.exec_engine._clients.values():
        repair_binance_closings(client)
        repair_reports_while_trading(client, kernel.cache, kernel.msgbus)
        repair_binance_symbols(client)
        repair_binance_trades(client)
        repair_ib_made_up_orders(client)
        repair_okx_algo_orders(client)
        repair_okx_fees(client)
        repair_okx_reduce_only(client)
        repair_okx_orders_once(client)
