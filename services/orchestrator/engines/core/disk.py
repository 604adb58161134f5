"""How much room a disk has left, and from when on that is too little. Pure."""

import msgspec

_LOW_BYTES = 1 << 30
_FULL_BYTES = 64 << 20
_OVER = 1.25
"""How far above the threshold there must be room again: an episode ends once, and does not flicker."""


class Space(msgspec.Struct, frozen=True):
    """The room on a disk, in bytes: `free_bytes` is what our own account may still write."""

    total_bytes: int
    free_bytes: int

    @property
    def low_bytes(self) -> int:
        """Below this people are told: 1 GiB, or a twentieth of a smaller disk."""
        return min(_LOW_BYTES, self.total_bytes // 20)

    @property
    def full_bytes(self) -> int:
        """Below this nothing is begun: 64 MiB, or a fiftieth of a smaller disk. What is left is for ends and their accounts."""
        return min(_FULL_BYTES, self.total_bytes // 50)

    @property
    def is_full(self) -> bool:
        """True when nothing should be begun any more."""
        return self.free_bytes < self.full_bytes


def is_low(was_low: bool, space: Space) -> bool:
    """Whether room is low, given that it was or was not."""
    return space.free_bytes < space.low_bytes * (_OVER if was_low else 1.0)
