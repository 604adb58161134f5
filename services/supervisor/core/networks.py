"""Which Docker networks a fleet has for its engines: its own, so that two fleets on a host cannot reach each other's bus. Pure."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, fault

CHOOSE_A_RANGE: Final = "set FLOTILLA_NETWORK_SUBNET or FLOTILLA_EGRESS_SUBNET to a free range"
_POOL_PREFIX: Final = 16


class SeenNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A network that is there. `owner` made it, empty where nobody says so; `has_ours`: containers of the fleet that asks are on it."""

    name: str
    owner: str = ""
    subnets: tuple[str, ...] = ()
    has_ours: bool = False


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A network by name, with the range it has or is to have."""

    name: str
    subnet: str


def own_network(
    usual: Chosen,
    owner: str,
    seen: Sequence[SeenNetwork],
    *,
    reserved: Sequence[str] = (),
    wanted: str = "",
    is_usual: bool = True,
) -> Chosen:
    """The network of the fleet `owner`: the `usual` one, unless that is another fleet's or not to be (`is_usual`); then one of
    its own, in the range `wanted` or else in the next free one.

    A fleet whose engines are on another fleet's network, as earlier releases had it, stays there as long as they are. Ranges that are
    `reserved` are not given away. Raises FaultError `conflict` when none is free.
    """
    by_name = {network.name: network for network in seen}
    name = f"{usual.name}-{owner.removeprefix('flotilla-')}"
    if mine := by_name.get(name):
        return Chosen(name=name, subnet=next(iter(mine.subnets), usual.subnet))
    there = by_name.get(usual.name)
    if there is not None and there.has_ours:
        return usual
    if is_usual and (there is None or there.owner in ("", owner)):
        return usual
    if wanted:
        return Chosen(name=name, subnet=wanted)
    taken = [subnet for network in seen for subnet in network.subnets] + [*reserved]
    return Chosen(name=name, subnet=_free_range(usual.subnet, taken))


def _free_range(like: str, taken: Sequence[str]) -> str:
    known = [ipaddress.ip_network(subnet, strict=False) for subnet in taken]
    for candidate in _ranges(like):
        if not any(each.version == candidate.version and candidate.overlaps(each) for each in known):
            return str(candidate)
    raise fault(FaultCode.CONFLICT, f"no range like {like} is free for engines: {CHOOSE_A_RANGE}")


def _ranges(like: str) -> Iterator[ipaddress.IPv4Network]:
    first = ipaddress.IPv4Network(like, strict=False)
    pool = first.supernet(new_prefix=min(_POOL_PREFIX, first.prefixlen))
    return pool.subnets(new_prefix=first.prefixlen)
