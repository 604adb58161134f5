"""Which call is answered by what."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.contract import Call
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.orchestrator.backtests.backtests import Backtests
from flotilla.services.orchestrator.catalog.data_sets import DataSets
from flotilla.services.orchestrator.engines.audit import Audit
from flotilla.services.orchestrator.engines.audit_trail import AuditTrail
from flotilla.services.orchestrator.engines.brakes import Brakes
from flotilla.services.orchestrator.engines.cleanup import Cleaner
from flotilla.services.orchestrator.engines.commands import Commands
from flotilla.services.orchestrator.engines.emergency import Emergency
from flotilla.services.orchestrator.engines.log_search import LogSearch
from flotilla.services.orchestrator.engines.reads import Reads
from flotilla.services.orchestrator.engines.strategies import Strategies
from flotilla.services.orchestrator.history.curves import Curves
from flotilla.services.orchestrator.history.keeping import Keeping
from flotilla.services.orchestrator.history.ledgers import Ledgers
from flotilla.services.orchestrator.packages.packages import Packages
from flotilla.services.orchestrator.packages.reviews import StartReviews
from flotilla.services.orchestrator.templates.library import Library

BEGINNINGS: Final = (
    contract.ENGINE_START,
    contract.ENGINE_RESTART,
    contract.ENGINE_CONFIGURE,
    contract.ENGINE_REMOVE,
    contract.ENGINE_RESUME,
    contract.STRATEGY_ADD,
    contract.STRATEGY_START,
    contract.BACKTEST_RUN,
    contract.BACKTEST_VERIFY,
    contract.STUDY_RUN,
    contract.PACKAGE_UPLOAD,
    contract.CATALOG_UPLOAD,
    contract.CATALOG_IMPORT,
    contract.PACKAGE_PUSH,
)
"""Changes that are refused while what follows from them cannot be kept. Whatever ends something is tried all the same."""
_AT_ONCE: Final = {
    call.subject: 2048
    for call in (
        contract.ENGINE_STOP,
        contract.ENGINE_HALT,
        contract.ENGINE_REDUCE,
        contract.ENGINE_CANCEL_ORDERS,
        contract.ENGINE_ACCEPT,
        contract.ENGINE_FLATTEN,
    )
}
"""How many of a call are answered at the same time, where they wait for engines: none that is silent keeps others from being told."""
_OTHERS_AT_ONCE: Final = 64


type Handler = Callable[[Any], Awaitable[Any]]


class Duties(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers what."""

    audit: Audit
    trail: AuditTrail
    commands: Commands
    brakes: Brakes
    cleaner: Cleaner
    emergency: Emergency
    library: Library
    reads: Reads
    log_search: LogSearch
    strategies: Strategies
    backtests: Backtests
    packages: Packages
    reviews: StartReviews
    data_sets: DataSets
    ledgers: Ledgers
    curves: Curves
    keeping: Keeping


def handlers(duties: Duties) -> dict[Call[Any, Any], Handler]:
    """Every call that needs the record, with its handler."""
    commands, brakes, reads, strategies = duties.commands, duties.brakes, duties.reads, duties.strategies
    return {
        contract.ENGINE_START: commands.start,
        contract.ENGINE_STOP: commands.stop,
        contract.ENGINE_RESTART: commands.restart,
        contract.ENGINE_CONFIGURE: commands.configure,
        contract.ENGINE_REMOVE: commands.remove,
        contract.ENGINE_HALT: brakes.halt,
        contract.ENGINE_REDUCE: brakes.reduce,
        contract.ENGINE_RESUME: brakes.resume,
        contract.ENGINE_CANCEL_ORDERS: brakes.cancel_orders,
        contract.ENGINE_ACCEPT: brakes.accept,
        contract.ENGINE_FLATTEN: brakes.flatten,
        contract.AUDIT_LIST: duties.audit.read,
        contract.AUDIT_CHAIN: duties.trail.read,
        contract.ENGINE_STATUS: reads.status,
        contract.ENGINE_LIST: reads.engines,
        contract.ENGINE_SESSIONS: reads.sessions,
        contract.ENGINE_LOGS: reads.logs,
        contract.LOG_SEARCH: duties.log_search.search,
        contract.ENGINE_EVENTS: reads.events,
        contract.ENGINE_HOLDINGS: reads.holdings,
        contract.ENGINE_REVIEW: duties.reviews.review,
        contract.LEDGER_ORDERS: duties.ledgers.orders,
        contract.LEDGER_FILLS: duties.ledgers.fills,
        contract.LEDGER_POSITIONS: duties.ledgers.positions,
        contract.LEDGER_ACCOUNTS: duties.ledgers.accounts,
        contract.HISTORY_READ: duties.curves.read,
        contract.HISTORY_DAYS: duties.curves.days,
        contract.RECORD_KEPT: duties.keeping.kept,
        contract.HOST_LIST: reads.hosts,
        contract.CONTAINER_LIST: reads.containers,
        contract.CONTAINER_CLEANUP: duties.cleaner.clean,
        contract.STRATEGY_LIST: strategies.list,
        contract.STRATEGY_ADD: strategies.add,
        contract.STRATEGY_START: strategies.start,
        contract.STRATEGY_STOP: strategies.stop,
        contract.STRATEGY_REMOVE: strategies.remove,
        contract.ENGINE_SIGNAL: strategies.signal,
        contract.TEMPLATE_LIST: duties.library.templates,
        contract.STRATEGY_VALIDATE: duties.library.validate,
        contract.CATALOG_LIST: reads.catalog,
        **duties.backtests.handlers(),
        **duties.packages.handlers(),
        **duties.data_sets.handlers(),
    }


def emergency_handlers(duties: Duties) -> dict[Call[Any, Any], Handler]:
    """Those that are answered whether the record was read or not."""
    return {
        contract.EMERGENCY_STOP: duties.emergency.stop,
        contract.LIFT_STOP: duties.emergency.lift,
    }


async def serve(
    bus: Bus, duties: Duties, is_loaded: Callable[[], bool], can_keep: Callable[[], None]
) -> None:
    """Serves the calls; until the record was read, those that need it answer `unavailable`.

    `can_keep` raises the fault that refuses what is not to be begun now.
    """
    for call, handler in emergency_handlers(duties).items():
        await bus.serve(call, handler)
    for call, handler in handlers(duties).items():
        first = can_keep if call in BEGINNINGS else _nothing
        at_once = _AT_ONCE.get(call.subject, _OTHERS_AT_ONCE)
        await bus.serve(call, _once_loaded(handler, is_loaded, first), concurrency=at_once)


def _once_loaded(handler: Handler, is_loaded: Callable[[], bool], first: Callable[[], None]) -> Handler:
    async def handle(request: Any) -> Any:
        if not is_loaded():
            raise fault(FaultCode.UNAVAILABLE, "the record has not been read yet", retry_after_s=2.0)
        first()
        return await handler(request)

    return handle


def _nothing() -> None:
    """No condition."""
