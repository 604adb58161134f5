"""Bugs on purpose: lines of the product's own code are changed for a while, so that the simulation can show that it finds them."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from flotilla.services.orchestrator.engines.actions import Actions
from flotilla.services.orchestrator.engines.core import leases
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes

type Change = tuple[Callable[..., Any], str, str]

DOUBLE_START: Final[tuple[Change, ...]] = (
    (
        Actions._start,
        "await self._call(SESSION_START, StartSession(spec=spec), host)",
        "await self._bus.call(SESSION_START, StartSession(spec=spec))",
    ),
)
"""A start is sent to whichever host takes it first: when it is sent again, that may be another one."""
LOST_COMMAND: Final[tuple[Change, ...]] = (
    (
        EngineMailboxes._decide,
        "                await self._save(instance_id",
        "                turn.done.done() or turn.done.set_result(decision)\n"
        "                await self._save(instance_id",
    ),
    (
        EngineMailboxes._take,
        "turn.done.set_result(decision)",
        "turn.done.done() or turn.done.set_result(decision)",
    ),
)
"""A command is answered before it is on record: whoever dies in between has lost it."""
LEASE_HELD_TWICE: Final[tuple[Change, ...]] = ((leases.free_at, "if not session.is_given_up:", "if True:"),)
"""The account of a session that was given up is free at once, while its engine may still trade it."""
BUGS: Final = {
    "a double start": DOUBLE_START,
    "a lost command": LOST_COMMAND,
    "a lease held twice": LEASE_HELD_TWICE,
}


@contextmanager
def planted(changes: tuple[Change, ...]) -> Iterator[None]:
    """The product with these lines changed."""
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(_changed(*change))
        yield


@contextmanager
def _changed(function: Any, old: str, new: str) -> Iterator[None]:
    source = inspect.getsource(function)
    if source.count(old) != 1:
        raise LookupError(f"{function.__qualname__} is not as it was when the bug was made up: {old!r}")
    made: dict[str, Any] = {}
    code = compile(textwrap.dedent(source.replace(old, new)), function.__code__.co_filename, "exec")
    exec(code, {**function.__globals__}, made)
    before = function.__code__
    function.__code__ = made[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = before
