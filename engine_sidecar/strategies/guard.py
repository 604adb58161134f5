"""Stands around a strategy: an exception that leaves it is reported, and from then on the strategy is not called again.

Without it an exception ends the process by `os._exit(1)`, often before its log line is out, and one in a timer's callback is
only logged, each time anew, while the strategy counts as running.
"""

import functools
import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nautilus_trader.trading.strategy import Strategy

type OnFault = Callable[[str, BaseException], None]


def guarded(strategy_class: type[Strategy], on_fault: OnFault) -> type[Strategy]:
    """A subclass of the same name whose own methods report what they raise as `on_fault(method, error)`.

    All methods that the class and its parents define above NautilusTrader's Strategy are guarded, because any may be the
    callback of a timer. Only the outermost call counts: what a strategy catches itself is its own affair.
    """
    guard = _Guard(on_fault)
    own: dict[str, Any] = {}
    for parent in reversed(strategy_class.__mro__):
        if issubclass(parent, Strategy) and parent is not Strategy:
            own |= {
                name: guard.around(name, method)
                for name, method in vars(parent).items()
                if _is_guardable(name, method)
            }
    own |= {"__module__": strategy_class.__module__, "__qualname__": strategy_class.__qualname__}
    return type(strategy_class.__name__, (strategy_class,), own)


def fault_text(error: BaseException) -> str:
    """The exception in one line, with the place in the code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


class _Guard:
    def __init__(self, on_fault: OnFault) -> None:
        self._on_fault = on_fault
        self._depth = 0
        self._is_faulted = False

    def around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def entered(*args: Any, **named: Any) -> Any:
            if self._depth:
                return method(*args, **named)
            if self._is_faulted:
                return {} if name == "on_save" else None
            self._depth += 1
            try:
                return method(*args, **named)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the engine must live to say it
                self._is_faulted = True
                self._on_fault(name, error)
                return {} if name == "on_save" else None
            finally:
                self._depth -= 1

        return entered


def _is_guardable(name: str, method: object) -> bool:
    return (
        inspect.isfunction(method)
        and not name.startswith("__")
        and not inspect.iscoroutinefunction(method)
        and not inspect.isgeneratorfunction(method)
    )
