"""What people are told of an engine that is impaired: bad news at once, and that it is over only when it is.

One that is impaired again and again tells it twice, and then once more when it has traded for a while.
"""

from typing import Final

import msgspec

from flotilla.engine_sidecar.link.messages import Publish
from flotilla.engine_sidecar.session.core.facts import Alarm, alert
from flotilla.schemas.telemetry import Severity

CALM_S: Final = 300.0
"""How long an engine that was impaired more than once must trade until people are told that it does."""

type Sounded = tuple[Alarm | None, tuple[Publish, ...]]


def sounded(alarm: Alarm | None, problems: tuple[str, ...], gravity: Severity, now: float) -> Sounded:
    """The alarm at `now` (monotonic s) while these are the problems, and the alerts that go with that."""
    if problems:
        return _impaired(alarm, problems, gravity, now)
    if alarm is None or not alarm.is_open:
        return alarm, ()
    well_since = now if alarm.well_since is None else alarm.well_since
    is_well = alarm.times == 1 or now - well_since >= CALM_S
    after = msgspec.structs.replace(alarm, well_since=well_since, is_open=not is_well)
    if not is_well:
        return after, ()
    often = f" for {CALM_S:g} s, after {alarm.times} times" if alarm.times > 1 else ""
    text = f"no longer so{often}: {'; '.join(alarm.told)}"
    return after, (alert(Severity.INFO, "trading_again", text),)


def _impaired(alarm: Alarm | None, problems: tuple[str, ...], gravity: Severity, now: float) -> Sounded:
    if alarm is None or (alarm.well_since is not None and now - alarm.well_since >= CALM_S):
        return Alarm(told=problems), (alert(gravity, "impaired", "; ".join(problems)),)
    is_again = alarm.well_since is not None
    times = alarm.times + 1 if is_again else alarm.times
    known = alarm.told if alarm.is_open else ()
    new = tuple(problem for problem in problems if problem not in known)
    after = Alarm(told=(*known, *new), times=times)
    if not new:
        return after, ()
    often = f"again within {CALM_S:g} s, {times} times by now: " if is_again else ""
    return after, (alert(gravity, "impaired", f"{often}{'; '.join(new)}"),)
