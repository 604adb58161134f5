"""An event loop in virtual time, and the processes that run on it: one can be killed at any await, and runs no line after that."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any
from unittest.mock import patch


class Process:
    """What the kernel knows of one: whether it lives, is stopped, and who wants to hear of its end.

    `doomed_in`: it is killed before it has gone on so many times more, each of them up to its next await.
    """

    def __init__(self, loop: "SimLoop", name: str) -> None:
        self.loop = loop
        self.name = name
        self.is_alive = True
        self.is_stopped = False
        self.doomed_in = -1
        self.turns = 0
        self.at_end: list[Callable[[], None]] = []
        self.on_signal: dict[int, Callable[[], None]] = {}
        self.held: list[Due] = []
        self.context = copy_context()
        self.context.run(_PROCESS.set, self)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Its main function."""
        return self.loop.create_task(coroutine, context=self.context)

    def soon(self, do: Callable[..., Any], *arguments: Any, after_s: float = 0.0) -> None:
        """Has something happen within it, such as a message that arrives."""
        if not self.is_alive:
            return
        if after_s > 0:
            self.loop.call_later(after_s, do, *arguments, context=self.context)
        else:
            self.loop.call_soon(do, *arguments, context=self.context)

    def at_once(self, do: Callable[..., Any], *arguments: Any) -> None:
        """As `soon`, for the last that is done outside of every process at some time: where nothing else is due then, it is next."""
        if self.is_stopped or self.loop.is_busy:
            self.soon(do, *arguments)
        elif self.takes_a_step():
            self.loop.turns += 1
            self.context.run(do, *arguments)

    def may_go_on(self, step: "Due") -> bool:
        """True when it lives on to take this step, and not before it is stopped no more."""
        if self.is_stopped and self.is_alive:
            self.held.append(step)
            return False
        return self.takes_a_step()

    def takes_a_step(self) -> bool:
        """True when it lives on to take one more."""
        if not self.is_alive:
            return False
        self.turns += 1
        if self.doomed_in >= 0:
            self.doomed_in -= 1
            if self.doomed_in < 0:
                self.kill()
        return self.is_alive

    def kill(self) -> None:
        """SIGKILL: not one line of it runs from now on. Killing twice is fine."""
        if self.is_alive and not self.loop.is_over:
            self.is_alive = False
            self.held.clear()
            for tell in self.at_end:
                tell()

    def stop(self) -> None:
        """SIGSTOP: all that would happen in it waits."""
        self.is_stopped = True

    def go_on(self) -> None:
        """SIGCONT."""
        self.is_stopped = False
        self.loop.resume(self.held)
        self.held = []


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Stalled(Exception):
    """Nothing is due any more, and what is waited for can never come."""


class Due(list[Any]):
    """What is to be done, now or later, as asyncio's handles are: when, a number, what, its arguments, and in which context.

    A list, since a heap of lists is as quick as it gets. The number has what is due at the same time happen in the order in which it
    was asked for.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """It is left out when it is due."""
        self[2] = None


class SimLoop(asyncio.BaseEventLoop):
    """Jumps to whatever is due next. Everything happens in one order, which follows from what it was given alone."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.turns = 0
        self.is_over = False
        self.root = copy_context()
        """Of what belongs to no process: wires, servers, kernels."""
        self._now = 0.0
        self._number = 0
        self._timers: list[Due] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._most_tasks = 200
        self.set_exception_handler(self._failed)
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]
        self.problems: list[str] = []

    get_debug = bool
    """Never: asyncio asks for each task and each future."""

    def time(self) -> float:
        return self._now

    def outside(self, after_s: float, do: Callable[..., Any], *arguments: Any) -> None:
        """Has something happen outside of every process, whatever becomes of the one that began it."""
        self.call_at(self._now + after_s, do, *arguments, context=self.root)

    def resume(self, held: list[Due]) -> None:
        """Runs what was held up, in its order."""
        self._ready.extend(held)

    def _run_once(self) -> None:
        ready, process_of = self._ready, Context.get
        while not self._stopping:
            due = ready.popleft() if ready else self._next_timer()
            _, _, do, arguments, context = due
            if do is None:
                continue
            process = process_of(context, _PROCESS)
            if process is None or process.may_go_on(due):
                self.turns += 1
                try:
                    context.run(do, *arguments)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001  all else goes on, as in every loop
                    self.problems.append(f"{do} failed: {error!r}")

    @property
    def is_busy(self) -> bool:
        """True when something else is due now."""
        return bool(self._ready)

    def _next_timer(self) -> Due:
        timers = self._timers
        while timers:
            timer = heappop(timers)
            if timer[2] is not None:
                if timer[0] > self._now:
                    self._now = timer[0]
                return timer
        raise Stalled

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        due = Due((0.0, 0, callback, args, copy_context() if context is None else context))
        if not self.is_over:
            self._ready.append(due)
        return due

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        self._number += 1
        due = Due((when, self._number, callback, args, copy_context() if context is None else context))
        if not self.is_over:
            heappush(self._timers, due)
        return due

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """In line, and done a moment later: threads would bring an order of their own."""
        done = self.create_future()

        def work() -> None:
            if not done.cancelled():
                try:
                    done.set_result(func(*args))
                except Exception as error:  # noqa: BLE001  it belongs to whoever waits
                    done.set_exception(error)

        self.call_later(self.random.uniform(0.0001, 0.003), work)
        return done

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        process = _PROCESS.get()
        if process is not None:
            process.on_signal[sig] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        return True

    def create_task(
        self, coro: Any, *, name: object = None, context: Context | None = None, eager_start: bool = False
    ) -> asyncio.Task[Any]:
        """`eager_start`: its first step is taken now, by whoever asks for it."""
        task: asyncio.Task[Any] = asyncio.Task(
            coro, loop=self, name=name, context=context, eager_start=eager_start
        )
        if not task.done():
            self._tasks.append(task)
        if len(self._tasks) > self._most_tasks:
            self._tasks = [each for each in self._tasks if not each.done()]
            self._most_tasks = 2 * len(self._tasks) + 200
        return task

    def task_at_once(self, coroutine: Any) -> None:
        """Begins a task of the process that takes this step, as the last that is done in it."""
        process = _PROCESS.get()
        if process is None or process.is_stopped or self._ready:
            self.create_task(coroutine)
        elif process.takes_a_step():
            self.turns += 1
            self.create_task(coroutine, eager_start=True)
        else:
            coroutine.close()

    def _failed(self, _: Any, context: dict[str, Any]) -> None:
        # Nobody is left to look at what a process that was killed would have looked at.
        if "never retrieved" not in context.get("message", ""):
            self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        """None is ended with the loop: who was killed ends nothing."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Who is dead ends nothing."""

    def dispose(self) -> None:
        """Lets go of what was never ended: those who were killed did not get to their `finally` either, and nothing heeds them now."""
        self.is_over = True
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _end(task.get_coro())
        self._tasks.clear()
        self._ready.clear()
        self._timers.clear()
        self.close()


def _end(coroutine: Any) -> None:
    """Lets it run out. Whatever it still wants to wait for, it does not get."""
    for _ in range(100):
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001  it wants to wait for something else: once more
            continue
        return


@contextmanager
def world_of(seed: int) -> Iterator[SimLoop]:
    """A loop on which all chance comes from the seed, that of the product's ids included."""
    random = Random(seed)
    ids = Random(seed + 1)

    def token_hex(nbytes: int | None = None) -> str:
        return ids.randbytes(nbytes or 32).hex()

    loop = SimLoop(random)
    try:
        with patch.object(secrets, "token_hex", token_hex):
            yield loop
    finally:
        loop.dispose()
