"""The containers of the fleet: listed, and cleaned up."""

from flotilla.schemas import contract
from flotilla.schemas.fault import Fault, FaultCode
from flotilla.schemas.session import Cleanup, CleanupReport, ListContainers
from flotilla.services.gateway.engines.container_replies import CleanupReply, ContainersReply
from flotilla.services.gateway.engines.unconfirmed import listed
from flotilla.services.gateway.engines.views import container_view
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.errors import RefusedError
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import CleanupQuery, NoQuery


async def list_containers(gateway: Gateway, _: Ask[NoQuery, None]) -> ContainersReply:
    """Every container of ours on hosts that can be asked."""
    found = await gateway.bus.call(contract.CONTAINER_LIST, ListContainers())
    shown = tuple(container_view(facts) for facts in found.containers)
    return ContainersReply(
        containers=shown,
        total_count=len(shown),
        active_count=sum(one.is_active for one in shown),
        not_listed=found.not_listed,
    )


async def clean_up(gateway: Gateway, ask: Ask[CleanupQuery, None]) -> CleanupReply:
    """Removes what is left of ended sessions. Raises FaultError `internal` with the report when some could not be removed."""
    query = ask.query
    request = Cleanup(force=query.force, dry_run=query.dry_run, request_id=ask.request_id)
    report = await gateway.bus.call(contract.CONTAINER_CLEANUP, request)
    names = tuple(container.name for container in report.cleaned)
    message = _message(report)
    if report.errors:
        known = {"cleaned_containers": names, "errors": report.errors, "total_cleaned": len(names)}
        raise RefusedError(
            Fault(code=FaultCode.INTERNAL, message=message), {**known, "dry_run": report.is_dry_run}
        )
    return CleanupReply(
        message=message,
        cleaned_containers=names,
        total_cleaned=len(names),
        dry_run=report.is_dry_run,
    )


def _message(report: CleanupReport) -> str:
    verb = "would be removed" if report.is_dry_run else "removed"
    message = f"{len(report.cleaned)} {verb}"
    if not report.errors:
        return message
    failed = listed([f"{error.name}: {error.message}" for error in report.errors])
    return f"{message}, {len(report.errors)} could not be: {failed}"
