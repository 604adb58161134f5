"""Takes the engine's measure once a second: a snapshot that costs the loop well under a millisecond."""

import time
from collections import defaultdict
from decimal import Decimal
from typing import Any

from flotilla.engine_sidecar.engine.feeds import Feeds
from flotilla.engine_sidecar.engine.tap import Tap
from flotilla.engine_sidecar.engine.translate import amount, amounts
from flotilla.engine_sidecar.engine.venues.gate import VenueGate
from flotilla.engine_sidecar.link.frames import Run
from flotilla.engine_sidecar.replay.named_instruments import not_loaded
from flotilla.schemas.telemetry import EngineMetrics


def measure(run: Run, kernel: Any, tap: Tap, feeds: Feeds, venues: VenueGate) -> EngineMetrics:
    """Counts, money and positions of the engine as they are now."""
    cache = kernel.cache
    return EngineMetrics(
        instance_id=run.instance_id,
        session_id=run.session_id,
        at_ns=time.time_ns(),
        # Its own count sorts all orders that there ever were.
        orders_total=len(cache.client_order_ids()),
        orders_open=cache.orders_open_count(),
        fills_total=tap.fills,
        positions_total=tap.positions,
        positions_open=cache.positions_open_count(),
        balances=_balances(cache),
        realized_pnl=amounts(tap.realized_pnl),
        unrealized_pnl={key.code: amount(pnl) for key, pnl in kernel.portfolio.unrealized_pnls().items()},
        net_positions=_net_positions(cache),
        strategies={str(strategy.id): strategy.state.name for strategy in kernel.trader.strategies()},
        feeds=feeds.progress(),
        not_connected=_not_connected(kernel),
        not_loaded=not_loaded(kernel.trader.strategies(), cache),
        not_compared=venues.not_compared(),
        reconnects=venues.reconnects,
        queues=_queues(kernel),
    )


def _balances(cache: Any) -> dict[str, str]:
    total: dict[Any, Decimal] = defaultdict(Decimal)
    for account in cache.accounts():
        for currency, money in account.balances_total().items():
            total[currency] += money.as_decimal()
    return amounts(total)


def _net_positions(cache: Any) -> dict[str, str]:
    net: dict[str, Decimal] = defaultdict(Decimal)
    for position in cache.positions_open():
        net[position.instrument_id.value] += position.signed_decimal_qty()
    return {instrument: str(quantity) for instrument, quantity in net.items()}


def _not_connected(kernel: Any) -> tuple[str, ...]:
    clients = [("data", client) for client in kernel.data_engine._clients.values()]
    clients += [("execution", client) for client in kernel.exec_engine._clients.values()]
    return tuple(f"{client.id} {kind}" for kind, client in clients if not client.is_connected)


def _queues(kernel: Any) -> dict[str, int]:
    data, risk, execution = kernel.data_engine, kernel.risk_engine, kernel.exec_engine
    return {
        "data": data.data_qsize(),
        "data_commands": data.cmd_qsize(),
        "risk_commands": risk.cmd_qsize(),
        "execution_commands": execution.cmd_qsize(),
        "execution_events": execution.evt_qsize(),
    }
