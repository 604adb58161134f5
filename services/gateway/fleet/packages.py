"""Packages of people's own strategies, as the orchestrator has them. They are pushed and removed with the operator's credential only."""

import msgspec

from flotilla.schemas import contract
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.package import ListPackages, PackageView
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery


class PackagesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of packages, without the names of their files."""

    success: bool = True
    packages: tuple[PackageView, ...]
    total_count: int


async def list_packages(gateway: Gateway, _: Ask[NoQuery, None]) -> PackagesReply:
    """The newest version of each, by name."""
    return await _listed(gateway, ListPackages())


async def list_versions(gateway: Gateway, ask: Ask[NoQuery, None]) -> PackagesReply:
    """All versions of one, the newest first. Raises FaultError `not_found`."""
    name = ask.path["name"]
    found = await _listed(gateway, ListPackages(name=name))
    if not found.packages:
        raise fault(FaultCode.NOT_FOUND, f"no package {name} is known")
    return found


async def _listed(gateway: Gateway, question: ListPackages) -> PackagesReply:
    found = (await gateway.bus.call(contract.PACKAGE_LIST, question)).packages
    return PackagesReply(packages=found, total_count=len(found))
