"""How a client finds the stack: the environment, else the connection file of the stack that runs on the state folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.files import write_whole
from flotilla.bus.settings import bus_url
from flotilla.schemas.environment import NATS_CA, NATS_CREDS, NATS_URL, TOKEN_FILE, URL
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.state.folder import StateFolder
from flotilla.state.lock import holder

OPERATOR: Final = "operator"
"""The name on the bus of everybody who uses this package; its credential allows answers below this name only."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """What a running stack writes down for its clients. `nats_creds`, `nats_ca` and `token_file` are paths; `pid` runs the stack."""

    nats_url: str
    nats_creds: str
    nats_ca: str = ""
    http_url: str = ""
    token_file: str = ""
    catalog: str = ""
    runtime: str = ""
    pid: int = 0

    def save(self, path: Path) -> None:
        """Writes the file so that nobody sees half of it, for its owner's eyes only."""
        write_whole(path, msgspec.json.format(msgspec.json.encode(self)))


def find_connection(state: str | Path | None = None, env: Mapping[str, str] = os.environ) -> Connection:
    """The stack on the folder `state`; without one, what FLOTILLA_NATS_URL says, else the stack on the usual folder.

    Raises FaultError `unavailable` when none runs, ValueError that names a variable which does not fit.
    """
    if state is None and NATS_URL.given(env):
        return Connection(
            nats_url=bus_url(env),
            nats_ca=str(NATS_CA.given(env) or ""),
            nats_creds=str(NATS_CREDS.given(env) or ""),
            http_url=URL.given(env) or "",
            token_file=str(TOKEN_FILE.given(env) or ""),
        )
    folder = StateFolder.chosen(state)
    try:
        if holder(folder) is None:
            raise _unavailable(f"no stack runs on {folder.root}")
        return msgspec.json.decode(folder.connection_file.read_bytes(), type=Connection)
    except FileNotFoundError:
        raise _unavailable(f"the stack on {folder.root} is not ready yet") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise _unavailable(f"the stack on {folder.root} cannot be reached: {error}") from None


def _unavailable(reason: str) -> FaultError:
    return fault(FaultCode.UNAVAILABLE, reason)
