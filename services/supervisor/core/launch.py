"""The one line that a sidecar reads from its stdin. Pure."""

from typing import Any

import msgspec

from flotilla.schemas.session import BusAccess, CacheAccess, Launch, SessionSpec


class EngineSurroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine finds where it runs: the bus's address and the catalog as seen from there. `host` is whose."""

    bus_url: str
    catalog_path: str
    enforce_memory: bool
    host: str = "local"


def launch_line(
    spec: SessionSpec,
    creds: str,
    surroundings: EngineSurroundings,
    *,
    cache: CacheAccess | None = None,
    secrets: dict[str, dict[str, Any]] | None = None,
    image: str = "",
) -> bytes:
    """The session, its credentials and its surroundings as one line of JSON with its newline."""
    launch = Launch(
        bus=BusAccess(url=surroundings.bus_url, creds=creds),
        spec=spec,
        catalog_path=surroundings.catalog_path,
        enforce_memory=surroundings.enforce_memory,
        cache=cache,
        secrets=secrets or {},
        host=surroundings.host,
        image=image,
    )
    return msgspec.json.encode(launch) + b"\n"
