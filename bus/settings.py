"""Where the bus is and who we are on it."""

import os
from collections.abc import Mapping
from typing import Self

import msgspec

from flotilla.schemas.environment import NATS_CREDS, NATS_URL


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`creds` is the text of a NATS credentials file, empty for a server without authentication; `name` is shown in monitoring.

    `obeys` is the public key of the account whose clients' calls are heard; empty hears its own account, and clients of others.
    """

    url: str
    name: str
    creds: str = ""
    obeys: str = ""

    @classmethod
    def from_env(cls, name: str, env: Mapping[str, str] = os.environ) -> Self:
        """The bus and the file of credentials that the environment names. Raises OSError when that cannot be read."""
        file = NATS_CREDS.given(env)
        return cls(url=NATS_URL.read(env), name=name, creds=file.read_text() if file else "")

    def __repr__(self) -> str:
        return f"BusSettings(url={self.url!r}, name={self.name!r})"


def engine_name(instance_id: str, session_id: str) -> str:
    """The name of a session's connection, and with it of its inbox."""
    return f"engine_{instance_id}_{session_id}"


def renewal_name(instance_id: str, session_id: str) -> str:
    """The name of the connection on which a session asks for a renewal."""
    return f"renewal_{instance_id}_{session_id}"
