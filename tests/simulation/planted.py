"""Bugs on purpose: lines of the product's own code are changed for a while, so that the simulation can show that it finds them."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from flotilla.engine_sidecar.session.core import trading
from flotilla.services.orchestrator.engines.actions import Actions
from flotilla.services.orchestrator.engines.core import brakes, decision, events, leases, lifecycle
from flotilla.services.orchestrator.engines.core.voices import Voices
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.supervisor.called_off import CalledOff

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
CALL_OFF_FORGOTTEN: Final[tuple[Change, ...]] = (
    (CalledOff.refuse, "if session_id in self._sessions:", "if False:"),
)
"""A start that was called off is let through when it comes late."""
OLDER_SESSION_HEARD: Final[tuple[Change, ...]] = (
    (
        events.apply_states,
        "if event.session_id == session.session_id and not is_older(event.generation, session):",
        "if True:",
    ),
)
"""What the sidecar of an earlier session says is taken for the present one."""
LEASE_NEVER_LOST: Final[tuple[Change, ...]] = (
    (trading.check_lease, "if lease is None or session.is_stop_asked or now <= lease.until:", "if True:"),
)
"""An engine whose lease has run out trades on."""
GIVEN_UP_IN_SIGHT: Final[tuple[Change, ...]] = (
    (
        lifecycle._stopped,
        "elif session.state == RunState.UNKNOWN and request.force:",
        "elif request.force:",
    ),
)
"""A session that is to be killed is given up instead, though its host is in sight."""
ONE_VOICE_TAKEN_FOR_TWO: Final[tuple[Change, ...]] = (
    (Voices.beats, "beat.last_seq >= seq", "beat.last_seq > seq"),
)
"""A sidecar that has said all that it knows of is taken for somebody else."""
BRAKE_FORGOTTEN: Final[tuple[Change, ...]] = (
    (
        decision.begin,
        "spec = msgspec.structs.replace(spec, brake=engine.brake, losses=engine.losses)",
        "pass",
    ),
    (
        Actions._start,
        "spec = msgspec.structs.replace(spec, brake=engine.brake, losses=engine.losses)",
        "pass",
    ),
    (
        brakes.reminder,
        "return (CommandBrake(session.instance_id, session.session_id, engine.brake),)",
        "return ()",
    ),
)
"""An engine that is halted comes back from a crash without its brake."""
BUGS: Final = {
    "a double start": DOUBLE_START,
    "a lost command": LOST_COMMAND,
    "a lease held twice": LEASE_HELD_TWICE,
    "a call-off that is forgotten": CALL_OFF_FORGOTTEN,
    "an older session that is heard": OLDER_SESSION_HEARD,
    "a lease that is never lost": LEASE_NEVER_LOST,
    "a session that is given up in sight": GIVEN_UP_IN_SIGHT,
    "one voice that is taken for two": ONE_VOICE_TAKEN_FOR_TWO,
    "a brake that is forgotten": BRAKE_FORGOTTEN,
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
