"""Start, stop, restart, configure and remove: the calls that change an engine."""

from collections.abc import Callable
from typing import Final

from flotilla.schemas.config import WORKER_TEMPLATE, EngineConfig
from flotilla.schemas.contract import (
    ENGINE_CONFIGURE,
    ENGINE_REMOVE,
    ENGINE_RESTART,
    ENGINE_START,
    ENGINE_STOP,
)
from flotilla.schemas.engine import (
    ConfigureEngine,
    EngineAccepted,
    RemoveEngine,
    RestartEngine,
    StartEngine,
    StopEngine,
)
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.core.unhonoured import refuse_unhonoured
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core import lifecycle, stored
from flotilla.services.orchestrator.engines.core.answers import idle, told
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.expected import refuse_unexpected
from flotilla.services.orchestrator.engines.core.fleet import Fleet, shown
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.core.stop_flags import refuse_stopped
from flotilla.services.orchestrator.engines.core.stopping import is_taken
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes, Stamp
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.planner import Planner
from flotilla.services.orchestrator.engines.ports import AccountHeld, Record

TOLD_WITHIN_S: Final = 2.0
"""How long a stop that is on record waits for its engine to take it before it is answered."""
DEFAULT_INSTANCE: Final = EngineConfig().instance_id


class Commands:
    """Each is recorded with its answer in the transaction that changes the engine."""

    def __init__(
        self,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        ledger: Ledger,
        planner: Planner,
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._ledger = ledger
        self._planner = planner

    async def start(self, request: StartEngine) -> EngineAccepted:
        """A new session of the engine that the configuration names, or of one with what is stored for it."""
        instance_id = _named(request)

        async def run(stamp: Stamp) -> EngineAccepted:
            plans = await self._planner.plans()

            def decide(engine: Engine | None) -> Decision:
                config = plans.pinned(_chosen(request, instance_id, engine))
                lifecycle.guard_live(config, is_confirmed=request.confirm_live_trading)
                now = self._clock()
                is_worker = config.template == WORKER_TEMPLATE
                refuse_stopped(instance_id, self._sightings.stop_flag(instance_id, now, is_worker=is_worker))
                spec = plans.spec(config)
                refuse_unexpected(spec.plan.packages, request.expected_digests)
                return lifecycle.start(
                    engine,
                    config,
                    spec,
                    request_id=stamp.request_id,
                    hosts=self._fleet.hosts(self._sightings, now, is_worker=is_worker),
                    now=now,
                    policy=plans.policy(config),
                )

            return await self._turn(instance_id, decide, stamp)

        return await self._ledger.once(ENGINE_START, request, run)

    async def stop(self, request: StopEngine) -> EngineAccepted:
        """The end of an engine's session; answered once the engine has taken it, or says that this is not known in time."""

        async def run(stamp: Stamp) -> EngineAccepted:
            meant = self._fleet.which(request.instance_id)
            if meant is None:
                reply = idle(DEFAULT_INSTANCE, stamp.request_id)
                await self._ledger.note(stamp, reply.instance_id, reply)
                return reply

            def decide(engine: Engine | None) -> Decision:
                known = shown(engine, meant.instance_id)
                return lifecycle.stop(known, request, request_id=stamp.request_id, now=self._clock())

            return await self._turn(meant.instance_id, decide, stamp)

        accepted = await self._ledger.once(ENGINE_STOP, request, run)
        return await self._ledger.completed(ENGINE_STOP, accepted, self._told)

    async def _told(self, accepted: EngineAccepted) -> EngineAccepted:
        def has_taken_it(engine: Engine | None) -> bool:
            session = engine.session if engine else None
            # Once it is another, the session that was to stop has ended.
            return session is None or session.session_id != accepted.session_id or is_taken(session)

        has_taken = await self._mailboxes.reaches(accepted.instance_id, has_taken_it, TOLD_WITHIN_S)
        return told(accepted, is_taken=has_taken)

    async def restart(self, request: RestartEngine) -> EngineAccepted:
        """A new session with the configuration that is stored for the engine."""

        async def run(stamp: Stamp) -> EngineAccepted:
            meant = self._fleet.which(request.instance_id)
            if meant is None:
                raise fault(FaultCode.NOT_FOUND, "no engine ever ran, so there is none to restart")
            plans = await self._planner.plans()
            await self._check_accounts(plans.spec(meant.next_config))

            def decide(engine: Engine | None) -> Decision:
                known = shown(engine, meant.instance_id)
                config = known.next_config
                lifecycle.guard_live(config, is_confirmed=request.confirm_live_trading)
                now = self._clock()
                is_worker = known.is_worker
                flag = self._sightings.stop_flag(meant.instance_id, now, is_worker=is_worker)
                refuse_stopped(meant.instance_id, flag)
                spec = plans.spec(config)
                refuse_unexpected(spec.plan.packages, request.expected_digests)
                return lifecycle.restart(
                    known,
                    spec,
                    request_id=stamp.request_id,
                    hosts=self._fleet.hosts(self._sightings, now, is_worker=is_worker),
                    now=now,
                    policy=plans.policy(config),
                )

            return await self._turn(meant.instance_id, decide, stamp)

        return await self._ledger.once(ENGINE_RESTART, request, run)

    async def configure(self, request: ConfigureEngine) -> EngineAccepted:
        """Stores a configuration, checked as a start checks it, but for the confirmation that a start itself needs."""

        async def run(stamp: Stamp) -> EngineAccepted:
            config = request.config
            refuse_unhonoured(config)
            lifecycle.guard_live(config, is_confirmed=True)
            plans = await self._planner.plans()
            config = plans.pinned(config)
            plans.spec(config)

            def decide(engine: Engine | None) -> Decision:
                return stored.configure(engine, config, request_id=stamp.request_id, now=self._clock())

            return await self._turn(config.instance_id, decide, stamp)

        return await self._ledger.once(ENGINE_CONFIGURE, request, run)

    async def remove(self, request: RemoveEngine) -> EngineAccepted:
        """Forgets an engine that is not active."""

        async def run(stamp: Stamp) -> EngineAccepted:
            def decide(engine: Engine | None) -> Decision:
                known = shown(engine, request.instance_id)
                return stored.remove(known, request_id=stamp.request_id, now=self._clock())

            return await self._turn(request.instance_id, decide, stamp)

        return await self._ledger.once(ENGINE_REMOVE, request, run)

    async def _turn(
        self, instance_id: str, decide: Callable[[Engine | None], Decision], stamp: Stamp
    ) -> EngineAccepted:
        decision = await self._mailboxes.turn(instance_id, decide, stamp=stamp)
        if decision is None or decision.reply is None:
            raise RuntimeError(f"the command on {instance_id} was decided without an answer")
        return decision.reply

    async def _check_accounts(self, spec: SessionSpec) -> None:
        """Raises AccountHeld while another engine holds an account of this session: it would wait for nothing."""
        if spec.lease is None:
            return
        now = self._clock()
        for lease in await self._record.leases_on(spec.lease.accounts):
            if lease.instance_id != spec.instance_id and not lease.is_free(now):
                raise AccountHeld(lease, now)


def _named(request: StartEngine) -> str:
    """The engine that a start is of. Raises FaultError `invalid` when it names two."""
    if request.config is None:
        return request.instance_id or DEFAULT_INSTANCE
    if request.instance_id not in (None, request.config.instance_id):
        raise invalid(FieldError("instance_id", f"config.instance_id is {request.config.instance_id}"))
    return request.config.instance_id


def _chosen(request: StartEngine, instance_id: str, engine: Engine | None) -> EngineConfig:
    """The configuration given, else what is stored. Raises FaultError `not_found` when neither is there, `invalid`."""
    if request.config is not None:
        refuse_unhonoured(request.config)
        return request.config
    if engine is not None and not engine.is_removed:
        return engine.next_config
    if request.instance_id is None:
        return EngineConfig()
    raise fault(
        FaultCode.NOT_FOUND, f"nothing is stored for engine {instance_id}: give a config to start it with"
    )
