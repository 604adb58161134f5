"""Builds the one TradingNode of an engine process, with the guards, gates and hooks that make it speak before it dies."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Final

import msgspec
from nautilus_trader.live.node import TradingNode

from engine_sidecar.adapters.node_plan import PlanRefusedError, exec_factories, node_config
from engine_sidecar.adapters.order_gate import OrderGate
from engine_sidecar.link import Run
from engine_sidecar.replay.barrier import Barrier
from engine_sidecar.replay.client import ReplayDataClient
from engine_sidecar.replay.wiring import wire_replay
from engine_sidecar.strategies.building import OnStrategyFault, build_strategy

type OnCrash = Callable[[str, BaseException], None]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGABRT)


class Node(msgspec.Struct, frozen=True):
    """A built node and what watches over it."""

    trading: TradingNode
    gate: OrderGate
    barrier: Barrier
    replays: tuple[ReplayDataClient, ...]

    @property
    def stop_s(self) -> float:
        """What the node needs to stop itself: its fixed pause after the strategies' stop, and a second."""
        return float(self.trading._config.timeout_post_stop) + 1.0

    @property
    def kernel(self) -> Any:
        """The node's kernel: its engines, cache, bus and trader."""
        return self.trading.kernel


def build_node(
    run: Run, loop: asyncio.AbstractEventLoop, on_strategy_fault: OnStrategyFault, on_crash: OnCrash
) -> Node:
    """Raises PlanRefusedError for whatever NautilusTrader, an adapter or a strategy does not accept."""
    config = node_config(run)
    factories = exec_factories(run, config)
    try:
        trading = TradingNode(config=config, loop=loop)
    except Exception as error:
        raise PlanRefusedError(f"plan.node: {type(error).__name__}: {error}") from error
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the sidecar, which decides what follows
    for name, factory in factories.items():
        trading.add_exec_client_factory(name, factory)
    try:
        trading.build()
        barrier, replays = wire_replay(trading)
    except Exception as error:
        raise PlanRefusedError(f"plan.node: {type(error).__name__}: {error}") from error
    _add_strategies(run, trading, on_strategy_fault)
    _report_crashes(trading.kernel, on_crash)
    return Node(trading, OrderGate(trading.kernel), barrier, replays)


def _add_strategies(run: Run, trading: TradingNode, on_fault: OnStrategyFault) -> None:
    for index, plan in enumerate(run.plan.strategies):
        try:
            trading.trader.add_strategy(build_strategy(plan, on_fault))
        except Exception as error:
            where = f"plan.strategies[{index}]"
            raise PlanRefusedError(f"{where}: {type(error).__name__}: {error}") from error


def _report_crashes(kernel: Any, on_crash: OnCrash) -> None:
    """Replaces what the engines do with an exception that nobody caught: without this they shut down without a reason."""
    for engine in (kernel.data_engine, kernel.risk_engine, kernel.exec_engine):

        def report(error: BaseException, queue: str, engine: Any = engine) -> None:
            engine._log.exception(f"Unexpected exception in {queue} queue processing: {error!r}", error)
            on_crash(f"{type(engine).__name__} {queue} queue", error)

        engine._handle_queue_exception = report
