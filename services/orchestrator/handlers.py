"""Which call is answered by what."""

from collections.abc import Awaitable, Callable
from typing import Any

from bus.bus import Bus
from schemas import contract
from schemas.contract import Call
from schemas.fault import FaultCode, fault
from services.orchestrator.commands import Commands
from services.orchestrator.reads import Reads

type Handler = Callable[[Any], Awaitable[Any]]


def handlers(commands: Commands, reads: Reads) -> dict[Call[Any, Any], Handler]:
    """Every call that the orchestrator owns, with its handler."""
    return {
        contract.ENGINE_START: commands.start,
        contract.ENGINE_STOP: commands.stop,
        contract.ENGINE_RESTART: commands.restart,
        contract.ENGINE_STATUS: reads.status,
        contract.ENGINE_LIST: reads.engines,
        contract.ENGINE_SESSIONS: reads.sessions,
        contract.ENGINE_LOGS: reads.logs,
        contract.ENGINE_EVENTS: reads.events,
        contract.CONTAINER_LIST: reads.containers,
        contract.TEMPLATE_LIST: reads.templates,
        contract.CATALOG_LIST: reads.catalog,
    }


async def serve(bus: Bus, table: dict[Call[Any, Any], Handler], is_loaded: Callable[[], bool]) -> None:
    """Serves the calls; until the record was read, all answer `unavailable`."""
    for call, handler in table.items():
        await bus.serve(call, _once_loaded(handler, is_loaded))


def _once_loaded(handler: Handler, is_loaded: Callable[[], bool]) -> Handler:
    async def handle(request: Any) -> Any:
        if not is_loaded():
            raise fault(FaultCode.UNAVAILABLE, "the record has not been read yet", retry_after_s=2.0)
        return await handler(request)

    return handle
