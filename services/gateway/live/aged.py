"""JSON that is the same until something changes, but for the age of a heartbeat in it."""

from typing import Final

import msgspec

_AGE: Final = "heartbeat_age_s"


class Aged(msgspec.Struct, frozen=True):
    """The bytes before and behind the age."""

    before: bytes
    behind: bytes

    @classmethod
    def of(cls, struct: msgspec.Struct) -> "Aged":
        """Of a struct with a field `heartbeat_age_s` that is neither its first nor its last."""
        names = struct.__struct_fields__
        at = names.index(_AGE)
        before = msgspec.json.encode({name: getattr(struct, name) for name in names[:at]})
        behind = msgspec.json.encode({name: getattr(struct, name) for name in names[at + 1 :]})
        return cls(b'%b,"%b":' % (before[:-1], _AGE.encode()), b"," + behind[1:])

    def at(self, age_s: float | None) -> bytes:
        """All of it, with the age in seconds."""
        return b"%b%b%b" % (self.before, age_json(age_s), self.behind)


def age_json(age_s: float | None) -> bytes:
    """An age in seconds as JSON, to the millisecond."""
    return b"null" if age_s is None else b"%.3f" % age_s
