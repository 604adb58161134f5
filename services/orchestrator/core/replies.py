"""Answers that fit into one message of the bus (1 MB)."""

from collections.abc import Iterable
from typing import Final

import msgspec

MAX_REPLY_BYTES: Final = 768 * 1024


def fitting[T](items: Iterable[T], budget: int = MAX_REPLY_BYTES) -> tuple[T, ...]:
    """As many of the first items as fit, in their JSON form; what is left out is asked for with the next call."""
    taken: list[T] = []
    for item in items:
        budget -= len(msgspec.json.encode(item)) + 1
        if budget < 0:
            break
        taken.append(item)
    return tuple(taken)
