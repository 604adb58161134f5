"""The strategies of a running engine: lists, adds, starts, stops and removes them while the others trade on."""

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from itertools import count
from typing import Any, Final

from nautilus_trader.common.enums import ComponentState
from nautilus_trader.common.signal import generate_signal_class
from nautilus_trader.model.data import DataType

from flotilla.engine_sidecar.engine.exit.winding_down import Aim
from flotilla.engine_sidecar.engine.exit.withdrawing import Withdrawing
from flotilla.engine_sidecar.engine.venues.order_ids import with_order_ids
from flotilla.engine_sidecar.link.asking import (
    AboutStrategies,
    AddStrategy,
    ListStrategies,
    RemoveStrategy,
    SendSignal,
    StartStrategy,
    StopStrategy,
)
from flotilla.engine_sidecar.strategies.building import OnStrategyFault, build_strategy
from flotilla.engine_sidecar.strategies.guard import fault_text
from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.strategy import StrategyView

POLL_S: Final = 0.01
_STARTABLE: Final = (ComponentState.READY, ComponentState.STOPPED)


class RunningStrategies:
    """Carries out what is asked, one question at a time, on the engine's loop; `now` is the loop's time (s)."""

    def __init__(
        self,
        kernel: Any,
        withdrawing: Withdrawing,
        on_fault: OnStrategyFault,
        now: Callable[[], float],
        packages: OpenPackages,
    ) -> None:
        self._kernel, self._withdrawing, self._now = kernel, withdrawing, now
        self._on_fault = on_fault
        self._packages = packages
        self._faults: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def carry_out(self, question: AboutStrategies) -> tuple[str, str | None, tuple[str, ...]]:
        """What was done, to which strategy, and what of its orders and positions is not confirmed. Raises FaultError."""
        if not self._kernel.trader.is_running:
            raise fault(FaultCode.CONFLICT, "the engine does not trade")
        if isinstance(question, ListStrategies):
            return "", None, ()
        if isinstance(question, SendSignal):
            return publish_signal(self._kernel, question), None, ()
        async with self._one_at_a_time:
            match question:
                case AddStrategy(strategy=plan, is_started=is_started):
                    await self._open(question)
                    return self._add(plan, is_started=is_started)
                case StartStrategy(strategy_id=strategy_id):
                    return self._start(self._find(strategy_id))
                case StopStrategy():
                    return await self._stop(self._find(question.strategy_id), question)
                case RemoveStrategy():
                    return await self._remove(self._find(question.strategy_id), question)

    def views(self) -> tuple[StrategyView, ...]:
        """All strategies as they are now."""
        return tuple(_view(strategy, self._kernel.cache) for strategy in self._kernel.trader.strategies())

    def _find(self, strategy_id: str) -> Any:
        for strategy in self._kernel.trader.strategies():
            if strategy.id.value == strategy_id:
                return strategy
        raise fault(FaultCode.NOT_FOUND, f"the engine has no strategy {strategy_id}")

    async def _open(self, question: AddStrategy) -> None:
        """In a thread: megabytes are compared and written while the engine trades. Imports are made on the loop, as all of the trader's."""
        if not question.packages:
            return
        try:
            await asyncio.to_thread(self._packages.add, question.packages, question.labels, question.wheels)
        except ArchiveError as error:
            text = f"its package cannot be taken into this engine: {error}"
            raise invalid(FieldError("strategy", text)) from error
        except UnpackingError as error:
            raise fault(FaultCode.UNAVAILABLE, str(error)) from error
        if not self._kernel.trader.is_running:
            raise fault(FaultCode.CONFLICT, "the engine does not trade")

    def _add(self, plan: dict[str, Any], *, is_started: bool) -> tuple[str, str | None, tuple[str, ...]]:
        try:
            strategy = build_strategy(with_order_ids(self._kernel, self._with_tag(plan)), self._note_fault)
        except FaultError:
            raise
        except Exception as error:
            raise invalid(FieldError("strategy", f"{type(error).__name__}: {error}")) from error
        self._check_free(strategy)
        kernel = self._kernel
        try:
            kernel.trader.add_strategy(strategy)
        except Exception as error:
            self._deafen(strategy)
            raise invalid(FieldError("strategy", f"{type(error).__name__}: {error}")) from error
        if strategy not in kernel.trader.strategies():
            raise fault(
                FaultCode.CONFLICT, "NautilusTrader took no strategy into the running engine: see its log"
            )
        strategy.register_executor(kernel.loop, kernel.executor)
        if is_started:
            try:
                self._set_off(strategy)
            except FaultError:
                self._take_out(strategy)
                raise
        return f"added {strategy.id}", strategy.id.value, ()

    def _with_tag(self, plan: dict[str, Any]) -> dict[str, Any]:
        """NautilusTrader would number a strategy by how many there are, a number that may be in use."""
        config = plan.get("config")
        if not isinstance(config, dict) or config.get("order_id_tag") or config.get("strategy_id"):
            return plan
        used = {strategy.order_id_tag for strategy in self._kernel.trader.strategies()}
        free = next(tag for number in count() if (tag := f"{number:03d}") not in used)
        return plan | {"config": config | {"order_id_tag": free}}

    def _check_free(self, strategy: Any) -> None:
        for other in self._kernel.trader.strategies():
            if strategy.order_id_tag == other.order_id_tag:
                text = f"the order id tag {strategy.order_id_tag} is in use by {other.id}"
                raise fault(FaultCode.CONFLICT, f"strategy: {text}", FieldError("strategy", text))

    def _start(self, strategy: Any) -> tuple[str, str | None, tuple[str, ...]]:
        name = strategy.id.value
        if strategy.is_running:
            return f"{name} runs already", name, ()
        if strategy.state not in _STARTABLE:
            raise fault(FaultCode.CONFLICT, f"{name} is {strategy.state.name} and cannot be started")
        if strategy.state == ComponentState.STOPPED:
            strategy.reset()
        self._set_off(strategy)
        return f"started {name}", name, ()

    def _set_off(self, strategy: Any) -> None:
        self._withdrawing.let_in(strategy.id)
        strategy.start()
        if text := self._faults.get(strategy.id.value):
            raise invalid(FieldError("strategy", text))
        if not strategy.is_running:
            text = f"{strategy.id} is {strategy.state.name} after its start: see the log"
            raise fault(FaultCode.CONFLICT, f"strategy: {text}", FieldError("strategy", text))

    def _note_fault(self, strategy_id: str, method: str, error: BaseException) -> None:
        self._faults[strategy_id] = f"raised in {method}: {fault_text(error)}"
        self._on_fault(strategy_id, method, error)

    async def _stop(
        self, strategy: Any, question: StopStrategy | RemoveStrategy
    ) -> tuple[str, str | None, tuple[str, ...]]:
        name = strategy.id.value
        until = self._now() + question.timeout_s
        wind_down = self._withdrawing.wind_down_of(strategy.id)
        await self._withdrawing.withdraw_one(strategy.id, wind_down, Aim(question.policy, until))
        self._withdrawing.shut_out(strategy.id)
        if strategy.is_running:
            self._kernel.trader.stop_strategy(strategy.id)
        # One with `manage_stop` takes its time.
        while strategy.is_running and self._now() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        left = wind_down.not_confirmed(question.policy)
        if strategy.is_running:
            left += (f"{name} has not stopped",)
        return f"stopped {name}", name, left

    async def _remove(
        self, strategy: Any, question: RemoveStrategy
    ) -> tuple[str, str | None, tuple[str, ...]]:
        _, name, left = await self._stop(strategy, question)
        if strategy.is_running:
            raise fault(FaultCode.CONFLICT, f"{name} does not stop, so it was not removed")
        self._take_out(strategy)
        return f"removed {name}", name, left

    def _take_out(self, strategy: Any) -> None:
        self._kernel.trader.remove_strategy(strategy.id)
        self._deafen(strategy)
        self._withdrawing.let_in(strategy.id)

    def _deafen(self, strategy: Any) -> None:
        """Ends its subscriptions to its own events, which NautilusTrader leaves behind."""
        for topic in (f"events.order.{strategy.id}", f"events.position.{strategy.id}"):
            self._kernel.msgbus.unsubscribe(topic, strategy.handle_event)


def publish_signal(kernel: Any, signal: SendSignal) -> str:
    """Publishes it as NautilusTrader's `Actor.publish_signal` does; says how many listen."""
    made = _signal_class(signal.name, type(signal.value).__name__)
    now = kernel.clock.timestamp_ns()
    topic = f"data.{DataType(made).topic}"
    listeners = sum(fnmatchcase(topic, each.topic) for each in kernel.msgbus.subscriptions("data.Signal*"))
    kernel.msgbus.publish(topic, made(value=signal.value, ts_event=now, ts_init=now))
    return (
        f"sent signal {signal.name} to {listeners} that listen"
        if listeners
        else (f"sent signal {signal.name}, to which nothing listens")
    )


@cache
def _signal_class(name: str, value_type: str) -> Any:
    """One for each name and type: NautilusTrader registers every class that it makes, for good."""
    return generate_signal_class(name=name, value_type={"int": int, "float": float, "str": str}[value_type])


def _view(strategy: Any, cache: Any) -> StrategyView:
    kind = type(strategy)
    return StrategyView(
        strategy_id=strategy.id.value,
        state=strategy.state.name,
        strategy_class=f"{kind.__module__}:{kind.__qualname__}",
        orders_open=cache.orders_open_count(strategy_id=strategy.id),
        positions_open=cache.positions_open_count(strategy_id=strategy.id),
    )
