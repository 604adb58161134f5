"""The one line that a sidecar reads from its stdin. Pure."""

from typing import Any

import msgspec

from flotilla.schemas.session import BusAccess, CacheAccess, Launch, SessionSpec
from flotilla.services.supervisor.core.identity import Access


class EngineSurroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine finds where it runs: the bus's address and the catalog as seen from there. `host` is whose.

    `fleet` is the public key of the account whose commands engines obey, `bus_ca` as BusAccess has it.
    """

    bus_url: str
    catalog_path: str
    enforce_memory: bool
    host: str = "local"
    fleet: str = ""
    bus_ca: str = ""


def launch_line(
    spec: SessionSpec,
    access: Access,
    surroundings: EngineSurroundings,
    *,
    cache: CacheAccess | None = None,
    secrets: dict[str, dict[str, Any]] | None = None,
    image: str = "",
    attached: tuple[str, ...] | None = None,
) -> bytes:
    """The session, its credentials and its surroundings as one line of JSON with its newline."""
    launch = Launch(
        bus=BusAccess(
            url=surroundings.bus_url,
            creds=access.creds,
            ca=surroundings.bus_ca,
            fleet=surroundings.fleet,
            renewal=access.renewal,
            life_s=access.life_s,
        ),
        spec=spec,
        catalog_path=surroundings.catalog_path,
        enforce_memory=surroundings.enforce_memory,
        cache=cache,
        secrets=secrets or {},
        host=surroundings.host,
        image=image,
        attached=attached,
    )
    return msgspec.json.encode(launch) + b"\n"
