"""The client for code without an event loop, such as a notebook: the same verbs, on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from flotilla.client.client import Flotilla
from flotilla.client.watch import FEEDS, Update
from flotilla.schemas.backtest import BacktestView
from flotilla.state.settings import Connection

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_END_S: Final = 15.0


def _blocking(
    method: Callable[Concatenate[Flotilla, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["SyncFlotilla", P], R]:
    """The same method, with its signature and documentation, for code that waits."""

    def call(self: "SyncFlotilla", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.run(method(self.fleet, *args, **kwargs))

    update_wrapper(call, method)
    return call


class SyncFlotilla:
    """A fleet, for blocking code. Close it, or use it as a context manager; errors are those of Flotilla."""

    def __init__(self, to: Connection | str | Path | None = None, *, wait_s: float = 5.0) -> None:
        ready: Future[tuple[Flotilla, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(_hold(to, wait_s, ready)), name="flotilla-client", daemon=True
        )
        self._thread.start()
        self.fleet, self._loop, self._done = ready.result()

    start_engine = _blocking(Flotilla.start_engine)
    stop_engine = _blocking(Flotilla.stop_engine)
    review_start = _blocking(Flotilla.review_start)
    restart_engine = _blocking(Flotilla.restart_engine)
    halt_engine = _blocking(Flotilla.halt_engine)
    reduce_engine = _blocking(Flotilla.reduce_engine)
    resume_engine = _blocking(Flotilla.resume_engine)
    accept_difference = _blocking(Flotilla.accept_difference)
    cancel_orders = _blocking(Flotilla.cancel_orders)
    flatten_engine = _blocking(Flotilla.flatten_engine)
    configure_engine = _blocking(Flotilla.configure_engine)
    remove_engine = _blocking(Flotilla.remove_engine)
    status = _blocking(Flotilla.status)
    engine = _blocking(Flotilla.engine)
    engines = _blocking(Flotilla.engines)
    sessions = _blocking(Flotilla.sessions)
    logs = _blocking(Flotilla.logs)
    events = _blocking(Flotilla.events)
    wait_for = _blocking(Flotilla.wait_for)
    strategies = _blocking(Flotilla.strategies)
    add_strategy = _blocking(Flotilla.add_strategy)
    start_strategy = _blocking(Flotilla.start_strategy)
    stop_strategy = _blocking(Flotilla.stop_strategy)
    remove_strategy = _blocking(Flotilla.remove_strategy)
    send_signal = _blocking(Flotilla.send_signal)
    validate_strategy = _blocking(Flotilla.validate_strategy)
    templates = _blocking(Flotilla.templates)
    catalog = _blocking(Flotilla.catalog)
    chart = _blocking(Flotilla.chart)
    gaps = _blocking(Flotilla.gaps)
    rows = _blocking(Flotilla.rows)
    remove_data = _blocking(Flotilla.remove_data)
    remove_instrument = _blocking(Flotilla.remove_instrument)
    import_data = _blocking(Flotilla.import_data)
    imported = _blocking(Flotilla.imported)
    imports = _blocking(Flotilla.imports)
    emergency_stop = _blocking(Flotilla.emergency_stop)
    lift_stop = _blocking(Flotilla.lift_stop)
    audit = _blocking(Flotilla.audit)
    verify_audit = _blocking(Flotilla.verify_audit)
    alerts = _blocking(Flotilla.alerts)
    ack_alert = _blocking(Flotilla.ack_alert)
    mute_alerts = _blocking(Flotilla.mute_alerts)
    alert_rules = _blocking(Flotilla.alert_rules)
    set_alert_rule = _blocking(Flotilla.set_alert_rule)
    alert_channels = _blocking(Flotilla.alert_channels)
    set_alert_channel = _blocking(Flotilla.set_alert_channel)
    remove_alert_channel = _blocking(Flotilla.remove_alert_channel)
    test_alert_channel = _blocking(Flotilla.test_alert_channel)
    hosts = _blocking(Flotilla.hosts)
    containers = _blocking(Flotilla.containers)
    cleanup_containers = _blocking(Flotilla.cleanup_containers)
    health = _blocking(Flotilla.health)
    run_backtest = _blocking(Flotilla.run_backtest)
    backtest = _blocking(Flotilla.backtest)
    backtests = _blocking(Flotilla.backtests)
    all_backtests = _blocking(Flotilla.all_backtests)
    cancel_backtest = _blocking(Flotilla.cancel_backtest)
    backtest_result = _blocking(Flotilla.backtest_result)
    wait_for_backtest = _blocking(Flotilla.wait_for_backtest)
    compare = _blocking(Flotilla.compare)
    verify = _blocking(Flotilla.verify)
    run_study = _blocking(Flotilla.run_study)
    study = _blocking(Flotilla.study)
    walk_forward = _blocking(Flotilla.walk_forward)
    studies = _blocking(Flotilla.studies)
    cancel_study = _blocking(Flotilla.cancel_study)
    push_package = _blocking(Flotilla.push_package)
    packages = _blocking(Flotilla.packages)
    package = _blocking(Flotilla.package)
    remove_package = _blocking(Flotilla.remove_package)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; closing twice is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(_END_S)

    @contextmanager
    def watch(
        self, instance_id: str | None = None, *, kinds: Iterable[str] = tuple(FEEDS)
    ) -> Iterator[Iterator[Update]]:
        """`with fleet.watch("my-engine", kinds=("fill",)) as updates: for update in updates: …`."""
        watch = self.fleet.watch(instance_id, kinds=kinds)
        self.run(watch.__aenter__())
        try:
            yield iter(lambda: self.run(watch.__anext__()), None)
        finally:
            self.run(watch.__aexit__())

    @contextmanager
    def watch_backtests(
        self, backtest_id: str | None = None, *, study_id: str | None = None
    ) -> Iterator[Iterator[BacktestView]]:
        """`with fleet.watch_backtests() as views: for view in views: …`."""
        watch = self.fleet.watch_backtests(backtest_id, study_id=study_id)
        self.run(watch.__aenter__())
        try:
            yield iter(lambda: self.run(watch.__anext__()), None)
        finally:
            self.run(watch.__aexit__())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine of `fleet` comes to. Raises RuntimeError once this client is closed."""
        if not self._thread.is_alive():
            coroutine.close()
            raise RuntimeError("this client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


async def _hold(
    to: Connection | str | Path | None,
    wait_s: float,
    ready: Future[tuple[Flotilla, asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    done = asyncio.Event()
    try:
        async with Flotilla.connect(to, wait_s=wait_s) as fleet:
            ready.set_result((fleet, asyncio.get_running_loop(), done))
            await done.wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)
