"""Packages of people's own strategies, as the orchestrator has them; pushed and removed too where the fleet's owner wants that."""

import msgspec

from flotilla.bus.packages import upload_package
from flotilla.schemas import contract
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.ids import Name, PackageVersion
from flotilla.schemas.package import (
    CHUNK_BYTES,
    MOST_BYTES,
    ListPackages,
    PackageRemoved,
    PackageView,
    PushPackage,
    RemovePackage,
)
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery
from flotilla.services.gateway.web.received import pieces


class PackagesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of packages, without the names of their files."""

    success: bool = True
    packages: tuple[PackageView, ...]
    total_count: int


class PushQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Its name, and its version: the next number when left out."""

    name: Name
    version: PackageVersion | None = None


class RemovePackageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`force` takes its name also from one that engines or backtests use; they keep its content."""

    force: bool = False


class PackageReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope."""

    success: bool = True
    message: str
    state: str = "kept"
    data: PackageView


class PackageRemovedReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope."""

    success: bool = True
    message: str
    state: str = "removed"
    data: PackageRemoved


async def push_package(gateway: Gateway, ask: Ask[PushQuery, None]) -> PackageReply:
    """Uploads the archive that is the body, has it checked, and keeps it. Raises FaultError: `forbidden` where the owner does not want that,
    `invalid` for an archive that is refused, `conflict` for a version that is other content.
    """
    _require_pushes(gateway)
    archive = b"".join(
        [piece async for piece in pieces(ask.http, CHUNK_BYTES, MOST_BYTES, gateway.settings.request_s)]
    )
    if not archive:
        raise fault(FaultCode.MALFORMED, "body is empty; the archive is needed")
    request = PushPackage(
        name=ask.query.name,
        digest=await upload_package(gateway.bus, archive),
        version=ask.query.version,
        request_id=ask.request_id,
    )
    kept = await gateway.bus.call(contract.PACKAGE_PUSH, request)
    return PackageReply(message=f"{kept.name}@{kept.version} is there", data=kept)


async def remove_package(gateway: Gateway, ask: Ask[RemovePackageQuery, None]) -> PackageRemovedReply:
    """Raises FaultError: `forbidden` where the owner does not want that, `not_found`, `conflict` for one that is in use."""
    _require_pushes(gateway)
    name, version = ask.path["name"], ask.path["version"]
    request = RemovePackage(name=name, version=version, force=ask.query.force, request_id=ask.request_id)
    gone = await gateway.bus.call(contract.PACKAGE_REMOVE, request)
    return PackageRemovedReply(message=f"{gone.name}@{gone.version} is forgotten", data=gone)


def _require_pushes(gateway: Gateway) -> None:
    if not gateway.settings.pushes:
        text = "packages are code that engines run: they are pushed and removed over REST only with FLOTILLA_HTTP_PUSH=1"
        raise fault(FaultCode.FORBIDDEN, text)


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
