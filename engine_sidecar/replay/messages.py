"""What a replay publishes on the node's message bus."""

from typing import Final

import msgspec

ALERTS: Final = "flotilla.alert"
REPLAY_ENDED: Final = "flotilla.replay.ended"


class ReplayEnded(msgspec.Struct, frozen=True):
    """Published on REPLAY_ENDED: nothing is left to play, or `error` tells why the replay broke off.

    `is_refused`: what was subscribed cannot be replayed rightly.
    """

    venue: str
    must_stop: bool
    error: str = ""
    is_refused: bool = False


class ReplayRefusedError(Exception):
    """What strategies subscribed to cannot be replayed rightly."""
