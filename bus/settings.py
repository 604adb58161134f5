"""Where the bus is and who we are on it."""

import os
from pathlib import Path
from typing import Self

import msgspec


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`creds` is the text of a NATS credentials file, empty for a server without authentication; `name` is shown in monitoring."""

    url: str
    name: str
    creds: str = ""

    @classmethod
    def from_env(cls, name: str) -> Self:
        """From FLOTILLA_NATS_URL and FLOTILLA_NATS_CREDS (the path of a credentials file). Raises OSError when it cannot be read."""
        path = os.environ.get("FLOTILLA_NATS_CREDS", "")
        return cls(
            url=os.environ.get("FLOTILLA_NATS_URL", "nats://127.0.0.1:4222"),
            name=name,
            creds=Path(path).read_text() if path else "",
        )

    def __repr__(self) -> str:
        return f"BusSettings(url={self.url!r}, name={self.name!r})"
