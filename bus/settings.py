"""Where the bus is and who we are on it."""

import ipaddress
import os
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from flotilla.schemas.environment import NATS_CA, NATS_CREDS, NATS_PLAIN, NATS_URL
from flotilla.schemas.variable import Variable

T = TypeVar("T")
_ENCRYPTED: Final = "tls"


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`creds` is the text of a NATS credentials file, empty for a server without authentication; `name` is shown in monitoring.

    At a `url` of `tls://` nothing is said before the connection is encrypted and the server's certificate is good: signed by one of those in
    `ca` (PEM), by one that this machine trusts where that is empty.

    `mark` is put behind the name as the server shows it to its administrator: whoever has nothing but `creds` does not know it.

    `obeys` is the public key of the account whose clients' calls are heard; empty hears its own account, and clients of others.
    """

    url: str
    name: str
    creds: str = ""
    obeys: str = ""
    ca: str = ""
    mark: str = ""

    @classmethod
    def from_env(cls, name: str, env: Mapping[str, str] = os.environ) -> Self:
        """The bus and the files that the environment names.

        Raises OSError when one cannot be read, ValueError for a bus of another machine in plain text.
        """
        file = NATS_CREDS.given(env)
        return cls(
            url=bus_url(env),
            name=name,
            creds=file.read_text() if file else "",
            ca=authorities(NATS_CA.given(env)),
        )

    @property
    def is_encrypted(self) -> bool:
        """Whether it must be."""
        return urlsplit(self.url).scheme == _ENCRYPTED

    def tls(self) -> ssl.SSLContext | None:
        """What the server's certificate is held against; None for a bus in plain text. Raises ValueError when `ca` is none."""
        if not self.is_encrypted:
            return None
        try:
            return ssl.create_default_context(cadata=self.ca or None)
        except (ssl.SSLError, ValueError):
            raise ValueError("holds no certificate in PEM") from None

    @property
    def shown(self) -> str:
        """The connection's name in the server's monitoring."""
        return f"{self.name} {self.mark}".rstrip()

    def __repr__(self) -> str:
        return f"BusSettings(url={self.url!r}, name={self.name!r})"


def bus_url(env: Mapping[str, str] = os.environ, variable: Variable[str] = NATS_URL, own: str = "") -> str:
    """The bus, as `variable` has it; `own` is an address range that only this machine is in.

    Raises ValueError for one on another machine in plain text, unless FLOTILLA_NATS_PLAIN allows that.
    """
    url = variable.read(env)
    parts = urlsplit(url)
    if parts.scheme == _ENCRYPTED or NATS_PLAIN.read(env) or _is_of_this_machine(parts.hostname or "", own):
        return url
    raise ValueError(
        f"{variable.name} is in plain text at {parts.hostname!r}, another machine: use tls://, or set {NATS_PLAIN.name}=1 where"
        " nobody else is on the network"
    )


def settings_of(name: str, read: Callable[[], T]) -> T:
    """What the program `name` is to use. Where `read` raises ValueError or OSError, it ends with 78, and a line on stderr says why."""
    try:
        return read()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(os.EX_CONFIG) from None


def authorities(file: Path | None) -> str:
    """Whose certificates the bus may have, as PEM; empty for whom this machine trusts. Raises OSError when the file cannot be read."""
    return file.read_text() if file else ""


def _is_of_this_machine(name: str, own: str) -> bool:
    """Whether it is a loopback, in the range `own`, or one of this machine's own addresses. Other names are not looked up: what they mean may change."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    if address.is_loopback or (own and address in ipaddress.ip_network(own, strict=False)):
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((name, 0))
        except OSError:
            return False
    return True


def mark_of(shown: str) -> str:
    """The mark in the name of a connection, as the server shows it; empty where there is none."""
    return shown.partition(" ")[2]


def engine_name(instance_id: str, session_id: str) -> str:
    """The name of a session's connection, and with it of its inbox."""
    return f"engine_{instance_id}_{session_id}"


def renewal_name(instance_id: str, session_id: str) -> str:
    """The name of the connection on which a session asks for a renewal."""
    return f"renewal_{instance_id}_{session_id}"
