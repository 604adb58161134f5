"""Halt, reduce, resume, cancel orders and flatten: brakes on record, obeyed by the engine, answered with what it confirmed."""

from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import asked as asked_by
from flotilla.schemas import contract
from flotilla.schemas.brakes import (
    AcceptDifferent,
    AcceptMismatch,
    AfterFlatten,
    BrakeEngine,
    FlattenEngine,
    SetBrake,
)
from flotilla.schemas.contract import (
    COMMAND_ACCEPT,
    COMMAND_BRAKE,
    COMMAND_CANCEL_ORDERS,
    COMMAND_FLATTEN,
    Call,
)
from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import EngineCommand
from flotilla.schemas.states import Brake, StopPolicy
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core import brakes
from flotilla.services.orchestrator.engines.core.brakes import Asked
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.fleet import Fleet, shown
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes, Stamp
from flotilla.services.orchestrator.engines.ledger import Ledger

SHOWN_S: Final = 2.0
"""How long an answer waits for the record to have what the sidecar said of the brake; without that it is given all the same."""
_COMMANDS: Final = {StopPolicy.CANCEL: COMMAND_CANCEL_ORDERS, StopPolicy.FLATTEN: COMMAND_FLATTEN}


class Brakes:
    """A brake is recorded with its answer before the engine is told of it; the rounds tell a sidecar that has not heard of it.

    What is asked of the market is asked of the session that ran then, and is not asked again by ourselves.
    """

    def __init__(
        self,
        bus: Bus,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        ledger: Ledger,
    ) -> None:
        self._bus = bus
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._ledger = ledger

    async def halt(self, request: BrakeEngine) -> EngineAccepted:
        """No order of its strategies passes any more; what is open stays."""
        return await self._once(contract.ENGINE_HALT, request, brake=Brake.HALTED)

    async def reduce(self, request: BrakeEngine) -> EngineAccepted:
        """Orders that reduce a position pass, no others."""
        return await self._once(contract.ENGINE_REDUCE, request, brake=Brake.REDUCED)

    async def resume(self, request: BrakeEngine) -> EngineAccepted:
        """No brake; a success also where none was on."""
        return await self._once(contract.ENGINE_RESUME, request, brake=Brake.NONE)

    async def cancel_orders(self, request: BrakeEngine) -> EngineAccepted:
        """Every order cancelled, as far as that is confirmed; strategies go on."""
        return await self._once(contract.ENGINE_CANCEL_ORDERS, request, policy=StopPolicy.CANCEL)

    async def flatten(self, request: FlattenEngine) -> EngineAccepted:
        """Every position closed, as far as that is confirmed; strategies are halted first, unless they are to go on."""
        brake = Brake.HALTED if request.then == AfterFlatten.HALT else None
        return await self._once(contract.ENGINE_FLATTEN, request, brake=brake, policy=StopPolicy.FLATTEN)

    async def accept(self, request: AcceptMismatch) -> EngineAccepted:
        """What it and its venue do not agree on is taken as it is; it trades on."""
        return await self._once(contract.ENGINE_ACCEPT, request, accepts=request)

    async def _once(
        self,
        call: Call[Any, EngineAccepted],
        request: BrakeEngine | FlattenEngine | AcceptMismatch,
        *,
        brake: Brake | None = None,
        policy: StopPolicy | None = None,
        accepts: AcceptMismatch | None = None,
    ) -> EngineAccepted:
        caller = asked_by().caller
        asked = Asked(brake=brake, policy=policy, accepts=accepts, by=caller.name or caller.credential)

        async def run(stamp: Stamp) -> EngineAccepted:
            def decide(engine: Engine | None) -> Decision:
                known, now = shown(engine, request.instance_id), self._clock()
                heard = self._sightings.telemetry(known.session, now) if known.session else None
                beat = heard[1] if heard else None
                return brakes.brake(known, asked, request_id=stamp.request_id, heartbeat=beat, now=now)

            decision = await self._mailboxes.turn(request.instance_id, decide, stamp=stamp)
            if decision is None or decision.reply is None:
                raise RuntimeError(f"the brake of {request.instance_id} was decided without an answer")
            return decision.reply

        async def find_out(accepted: EngineAccepted) -> EngineAccepted:
            return await self._outcome(accepted, asked)

        accepted = await self._ledger.once(call, request, run)
        return await self._ledger.completed(call, accepted, find_out)

    async def _outcome(self, accepted: EngineAccepted, asked: Asked) -> EngineAccepted:
        if accepted.session_id is None:
            return brakes.at_once(accepted)
        if asked.accepts is not None:
            return await self._taken_as_it_is(accepted, accepted.session_id, asked.accepts)
        if asked.brake is not None:
            accepted = await self._braked(accepted, accepted.session_id)
        if asked.policy is not None:
            accepted = await self._withdrawn(accepted, accepted.session_id, asked.policy)
        return await self._as_seen(accepted) if accepted.is_taken else accepted

    async def _as_seen(self, accepted: EngineAccepted) -> EngineAccepted:
        await self._mailboxes.reaches(
            accepted.instance_id, lambda engine: brakes.is_shown(engine, accepted.brake), SHOWN_S
        )
        return brakes.as_seen(accepted, self._fleet.get(accepted.instance_id))

    async def _braked(self, accepted: EngineAccepted, session_id: str | None) -> EngineAccepted:
        if accepted.brake is None or session_id is None:
            raise RuntimeError("a brake was recorded without what it is or whom to tell")
        command = SetBrake(session_id=session_id, brake=accepted.brake, request_id=accepted.request_id)
        try:
            answer = await self._bus.call(COMMAND_BRAKE, command, instance_id=accepted.instance_id)
        except FaultError as error:
            return brakes.braked(accepted, None, error.fault.message)
        return brakes.braked(accepted, answer)

    async def _taken_as_it_is(
        self, accepted: EngineAccepted, session_id: str, asked: AcceptMismatch
    ) -> EngineAccepted:
        command = AcceptDifferent(session_id=session_id, shown=asked.shown, request_id=accepted.request_id)
        try:
            answer = await self._bus.call(COMMAND_ACCEPT, command, instance_id=accepted.instance_id)
        except FaultError as error:
            return brakes.not_withdrawn(accepted, error.fault.message)
        return brakes.taken_as_it_is(accepted, answer)

    async def _withdrawn(
        self, accepted: EngineAccepted, session_id: str | None, policy: StopPolicy
    ) -> EngineAccepted:
        command = EngineCommand(session_id=session_id, request_id=accepted.request_id)
        try:
            answer = await self._bus.call(_COMMANDS[policy], command, instance_id=accepted.instance_id)
        except FaultError as error:
            return brakes.not_withdrawn(accepted, error.fault.message)
        return brakes.withdrawn(accepted, answer)
