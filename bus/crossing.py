"""What the server says of a message that came out of another account: which account, who sent it, and whether a client did.

The server writes the header itself and replaces one that a client sent under this very name. An acknowledgement that was pointed at
another account's subject by a reply field carries the account and nothing else: no client sent it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

HEADER: Final = "Nats-Request-Info"
REPLIES: Final = "_R_."
"""Where the server has put the reply subject of the sender, so that an answer finds the way back and nothing else."""
_SESSION: Final = "session:"


class Crossing(msgspec.Struct, frozen=True, kw_only=True):
    """`account` and `user` are the sender's public keys, `name` and `tags` stand in the credential that the sender showed."""

    account: str = msgspec.field(default="", name="acc")
    user: str = ""
    kind: str = ""
    name: str = msgspec.field(default="", name="name_tag")
    tags: tuple[str, ...] = ()

    @property
    def is_client(self) -> bool:
        """False for what the server itself sent, such as an acknowledgement of a stream."""
        return self.kind == "Client"

    @property
    def credential(self) -> str:
        """The connection that sent it, as Caller names them: an engine's credential has its session among its tags."""
        return f"engine_{self.name}" if self.session_id else self.name

    @property
    def session_id(self) -> str:
        """The session whose credential was shown; empty when that is none of an engine."""
        return next(iter(sessions_of(self.tags)), "")


def session_tag(session_id: str) -> str:
    """The tag of a credential that is good for one session."""
    return f"{_SESSION}{session_id}"


def sessions_of(tags: Iterable[str]) -> tuple[str, ...]:
    """The session that a credential with these tags is good for: none for one that is not of an engine, and never two for one of ours."""
    return tuple(tag.removeprefix(_SESSION) for tag in tags if tag.startswith(_SESSION))


def crossing_of(headers: Mapping[str, str] | None) -> Crossing | None:
    """What the server says of the sender; None for a message that stayed in its account. What cannot be read names nobody."""
    text = (headers or {}).get(HEADER)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Crossing)
    except (msgspec.MsgspecError, UnicodeError):
        return Crossing()
