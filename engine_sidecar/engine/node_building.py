"""Builds the one TradingNode of an engine process, with the guards, gates and hooks that make it speak before it dies."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Final

import msgspec
from nautilus_trader.live.node import TradingNode

from flotilla.engine_sidecar.engine.cache_database import CacheDatabase, OnReading, caught_database
from flotilla.engine_sidecar.engine.cache_watch import CacheWatch
from flotilla.engine_sidecar.engine.node_plan import NodePlan, PlanRefusedError, node_plan
from flotilla.engine_sidecar.engine.order_gate import OrderGate
from flotilla.engine_sidecar.engine.order_limits import limit_orders
from flotilla.engine_sidecar.engine.quick_analyzer import quicken
from flotilla.engine_sidecar.engine.redis_wire import why_not_there
from flotilla.engine_sidecar.engine.repairs import repair
from flotilla.engine_sidecar.engine.secrets import Secrets
from flotilla.engine_sidecar.engine.venues.order_ids import with_order_ids
from flotilla.engine_sidecar.link.frames import Run
from flotilla.engine_sidecar.replay.barrier import Barrier
from flotilla.engine_sidecar.replay.client import ReplayDataClient
from flotilla.engine_sidecar.replay.wiring import calculate_sandbox_accounts, wire_replay
from flotilla.engine_sidecar.strategies.building import OnStrategyFault, build_strategy
from flotilla.schemas.states import FailureReason

type OnCrash = Callable[[str, BaseException], None]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGABRT)


class Node(msgspec.Struct, frozen=True):
    """A built node and what watches over it."""

    trading: TradingNode
    gate: OrderGate
    barrier: Barrier
    replays: tuple[ReplayDataClient, ...]
    cache: CacheWatch | None = None

    @property
    def stop_s(self) -> float:
        """What the node needs to stop itself: its fixed pause after the strategies' stop, and a second."""
        return float(self.trading._config.timeout_post_stop) + 1.0

    @property
    def kernel(self) -> Any:
        """The node's kernel: its engines, cache, bus and trader."""
        return self.trading.kernel

    async def keep_state(self) -> None:
        """Watches over the Redis that keeps the engine's state, and saves its strategies' there; returns where there is none."""
        if self.cache is not None:
            await self.cache.run()


def build_node(
    run: Run,
    loop: asyncio.AbstractEventLoop,
    on_strategy_fault: OnStrategyFault,
    on_crash: OnCrash,
    on_reading: OnReading,
) -> Node:
    """Raises PlanRefusedError for whatever NautilusTrader, an adapter or a strategy does not accept.

    `on_reading` is told every few seconds how much of a kept state was read.
    """
    quicken()
    plan, hidden = node_plan(run), Secrets(run).hidden
    _check_cache(run)
    try:
        trading, database = _make(plan, loop, on_reading)
        trading.build()
        repair(trading.kernel)
        barrier, replays = wire_replay(trading)
        limit_orders(trading.kernel, run.plan.node)
    except Exception as error:  # noqa: BLE001 - without its cause: the text of that is not freed of secrets
        raise PlanRefusedError(hidden(f"plan.node: {type(error).__name__}: {error}")) from None
    _add_strategies(run, trading, on_strategy_fault)
    _report_crashes(trading.kernel, on_crash)
    watch = None
    if run.cache is not None and database is not None:
        watch = CacheWatch(trading.kernel, database, run.cache, loop.time)
    return Node(trading, OrderGate(trading.kernel), barrier, replays, watch)


def _check_cache(run: Run) -> None:
    if run.cache is not None and (fault := why_not_there(run.cache)):
        raise PlanRefusedError(
            f"Redis at {run.cache.host}:{run.cache.port}, where the engine's state is kept: {fault}",
            FailureReason.VENUE,
        )


def _make(
    plan: NodePlan, loop: asyncio.AbstractEventLoop, on_reading: OnReading
) -> tuple[TradingNode, CacheDatabase | None]:
    calculate_sandbox_accounts(plan.config)
    with caught_database(on_reading) as databases:
        trading = TradingNode(config=plan.config, loop=loop)
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the sidecar, which decides what follows
    for name, data_factory in plan.data_factories.items():
        trading.add_data_client_factory(name, data_factory)
    for name, exec_factory in plan.exec_factories.items():
        trading.add_exec_client_factory(name, exec_factory)
    return trading, databases[0] if databases else None


def _add_strategies(run: Run, trading: TradingNode, on_fault: OnStrategyFault) -> None:
    for index, plan in enumerate(run.plan.strategies):
        try:
            strategy = build_strategy(with_order_ids(trading.kernel, plan), on_fault)
            trading.trader.add_strategy(strategy)
            if run.cache is not None:
                # NautilusTrader loads states when its kernel is made, before there is any strategy of ours.
                trading.kernel.cache.load_strategy(strategy)
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
