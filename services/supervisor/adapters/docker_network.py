"""The networks of the engines: an internal bridge on which they reach nothing but what listens on its gateway, and a way out."""

import ipaddress
from typing import Any

import msgspec
from docker import APIClient
from docker.errors import APIError, NotFound

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.supervisor.adapters.docker_errors import is_network_in_use
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.networks import SeenNetwork

_ICC = "com.docker.network.bridge.enable_icc"


class BusNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """The network as it is there. `gateway` is the host's address on it, for nats-server to bind."""

    name: str
    gateway: str
    subnet: str


def seen_networks(client: APIClient, owner: str) -> tuple[SeenNetwork, ...]:
    """All networks, as the fleet `owner` finds them. Raises what the SDK raises."""
    ours = {
        name
        for one in client.containers(all=True, filters={"label": f"{names.OWNER}={owner}"})
        for name in one.get("NetworkSettings", {}).get("Networks", {})
    }
    return tuple(
        SeenNetwork(
            name=row["Name"],
            owner=(row.get("Labels") or {}).get(names.OWNER, ""),
            subnets=tuple(pool["Subnet"] for pool in row["IPAM"]["Config"] or () if "Subnet" in pool),
            has_ours=row["Name"] in ours,
        )
        for row in client.networks()
    )


def ensure_network(client: APIClient, name: str, *, subnet: str, owner: str) -> BusNetwork:
    """Makes sure that the network exists and isolates. One that is there keeps its range.

    Raises FaultError `conflict` for a network of that name that lets engines out or at each other, and what the SDK raises.
    """
    return _bus_network(name, _ensure(client, name, subnet, owner, is_internal=True))


def find_network(client: APIClient, name: str) -> BusNetwork | None:
    """The network as it is there, None when it is not; nothing is made. Raises FaultError `conflict` as ensure_network does."""
    found = _find(client, name)
    return None if found is None else _bus_network(name, found)


def ensure_egress(client: APIClient, name: str, *, subnet: str, owner: str) -> None:
    """Makes sure of the network on which engines reach venues, and not each other. Raises like ensure_network."""
    found = _ensure(client, name, subnet, owner, is_internal=False)
    if not _is_bridge(found) or found.get("Internal"):
        raise _unfit(name, "a bridge that leads outside, with icc off", "FLOTILLA_EGRESS_NETWORK")


def remove_networks(client: APIClient, owner: str) -> None:
    """Removes those that the fleet `owner` made, but for those that containers are on. Raises what the SDK raises."""
    for row in client.networks(filters={"label": f"{names.OWNER}={owner}"}):
        try:
            client.remove_network(row["Id"])
        except NotFound:  # somebody else was faster
            continue
        except APIError as error:
            if not is_network_in_use(error):
                raise


def _bus_network(name: str, found: dict[str, Any]) -> BusNetwork:
    if not _is_bridge(found) or not found.get("Internal"):
        raise _unfit(name, "an internal bridge with icc off", "FLOTILLA_NETWORK")
    pool = found["IPAM"]["Config"][0]
    return BusNetwork(name=name, gateway=pool.get("Gateway", ""), subnet=pool["Subnet"])


def _ensure(client: APIClient, name: str, subnet: str, owner: str, *, is_internal: bool) -> dict[str, Any]:
    found = _find(client, name)
    if found is None:
        _create(client, name, subnet, owner, is_internal=is_internal)
        found = _find(client, name)
    if found is None:
        raise fault(FaultCode.UNAVAILABLE, f"network {name} was removed while it was made", retry_after_s=1.0)
    return found


def _find(client: APIClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.inspect_network(name)
    except NotFound:
        return None
    return found


def _create(client: APIClient, name: str, subnet: str, owner: str, *, is_internal: bool) -> None:
    try:
        client.create_network(
            name,
            driver="bridge",
            internal=is_internal,
            check_duplicate=True,
            options={_ICC: "false"},
            # An explicit range: Docker's default pools hold 29 networks and collide with other people's.
            ipam={"Driver": "default", "Config": [{"Subnet": subnet, "Gateway": _gateway(subnet)}]},
            labels={names.OWNER: owner},
        )
    except APIError as error:
        if error.status_code != 409:  # somebody else was faster
            raise


def _gateway(subnet: str) -> str:
    return str(ipaddress.ip_network(subnet)[1])


def _is_bridge(found: dict[str, Any]) -> bool:
    return found.get("Driver") == "bridge" and (found.get("Options") or {}).get(_ICC) == "false"


def _unfit(name: str, wanted: str, variable: str) -> FaultError:
    return fault(
        FaultCode.CONFLICT, f"network {name} is not {wanted}: remove it, or set {variable} to another name"
    )
