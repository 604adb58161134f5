"""Which names we are called by, and which pages may call us: what keeps a browser from being used against its user."""

import ipaddress
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from flotilla.schemas.fault import FaultCode, fault

_HOSTS: Final = 256
"""Names that are kept in mind, read: the same few come with every request."""


def check_host(hosts: Sequence[str], names: Collection[str]) -> None:
    """Raises FaultError unless the `Host` of a request, if it has one, is an address, localhost or one of `names`.

    A page of another site may give its own name our address (DNS rebinding): its requests then come with that name. An address
    cannot be given another address.
    """
    if len(hosts) > 1:
        raise fault(FaultCode.MALFORMED, f"{len(hosts)} Host headers; one is needed")
    for host in hosts:
        name = _name(host)
        if not (_is_address(name) or name == "localhost" or name in names):
            shown = host[:100]
            raise fault(
                FaultCode.FORBIDDEN,
                f"{shown!r} is none of the names of this gateway; FLOTILLA_HTTP_NAMES has those that are",
            )


def check_origin(origins: Sequence[str], hosts: Sequence[str], allowed: Collection[str]) -> None:
    """Raises FaultError `forbidden` for a request of a page that is neither ours nor of an `allowed` origin."""
    for origin in origins:
        is_ours = hosts and _authority(origin) == hosts[0].lower()
        if not (is_ours or origin in allowed):
            shown = origin[:100]
            raise fault(
                FaultCode.FORBIDDEN,
                f"pages of the origin {shown!r} may not call this gateway; FLOTILLA_HTTP_ORIGINS has those that may",
            )


@lru_cache(maxsize=_HOSTS)
def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


@lru_cache(maxsize=_HOSTS)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
