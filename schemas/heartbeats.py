"""How often sidecars and supervisors are heard, and what a silence means by how long it lasts.

The graver what follows is, the longer the silence that it takes. What a loop measures is in seconds (`_S`), what is held
against the record's time is a timedelta.
"""

from datetime import timedelta
from typing import Final

BEAT_S: Final = 1.0
"""Each sidecar beats for its session and each supervisor for its host this often.

A supervisor whose runtime does not answer beats every two seconds: it waits so long for the runtime before each beat.
"""
HOST_AWAY_S: Final = 2.5
"""In an emergency stop a host that has not beaten for so long is away, and its engines are asked directly.

The shortest: each second costs money, and to ask an engine whose supervisor is there after all does no harm. Longer than
the two seconds of a supervisor whose runtime hangs.
"""
ORCHESTRATOR_UNHEARD_S: Final = 3.0
"""A gateway that has not heard the orchestrator for so long answers nothing from its memory any more: it asks, and when nobody answers,
it says that nobody knows.

Two beats may be lost or late. What it says until then is what the orchestrator said last, with the age of what engines said themselves.
"""
UNHEALTHY_AFTER_S: Final = 5.0
"""REST does not call an engine healthy that was not heard for so long. People read it; nothing is done because of it."""
HOST_OUT_OF_SIGHT: Final = timedelta(seconds=6)
"""The orchestrator gives a host that has not beaten for so long no session, and does not ask for its containers.

Three beats of a supervisor whose runtime hangs. Shorter than what an engine has: where a whole host falls away, its
sessions are unknown, neither over nor silent.
"""
HEARTBEAT_STALE: Final = timedelta(seconds=10)
"""An engine's last heartbeat is no sign of life any more.

Its session is over when its host lists no container of it, and unknown when its host is out of sight too.
"""
TRIAL_SILENT_AFTER: Final = timedelta(seconds=10)
"""A worker that told nothing of its trial for so long does not run it any more: another may. It tells twice a second."""
SIDECAR_STUCK_S: Final = 9.0
"""A sidecar whose own sign of life on its host has not moved for so long after SIGTERM will not obey it, and is killed.

It does not go over the bus, so that no other limit bears on it; the sidecar gives that sign with each beat. Nine are enough to
tell a slow machine from one that is stuck, and leave time: a session is gone within 25 s of its stop, also when it was first
asked in vain and its supervisor died then.
"""
ENGINE_SILENT_AFTER: Final = timedelta(seconds=15)
"""An engine that was not heard for so long, in which its host was in sight, is silent while its container is up.

That raises an alert and may end the session, by its policy: longer than HEARTBEAT_STALE, since a policy ends no engine
whose last heartbeat still counts.
"""
HOST_GONE_S: Final = 900.0
"""A host that has not beaten for so long was taken away on purpose, or is at least not waited for by an emergency stop."""
