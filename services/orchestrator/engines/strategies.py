"""Strategies of running engines: rendered here, changed by the engine's sidecar, answered when that is done.

What is changed lasts until the session ends: the stored configuration stays as it is.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.contract import Call
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import RunState
from flotilla.schemas.strategy import (
    AddStrategy,
    AddToEngine,
    ChangeInEngine,
    ListStrategies,
    LookIntoEngine,
    SendSignal,
    SignalInEngine,
    StrategyList,
    WhichStrategy,
)
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Session
from flotilla.services.orchestrator.engines.core.scope import refuse_outside
from flotilla.services.orchestrator.engines.engine_mailboxes import Stamp
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.planner import Planner
from flotilla.services.orchestrator.engines.ports import Record

type _Ask = Callable[[Session, Stamp], Awaitable[StrategyList]]
type _Change = Call[ChangeInEngine, StrategyList]


class Strategies:
    """Each call names the session it was meant for, so that one that began meanwhile refuses it."""

    def __init__(self, bus: Bus, record: Record, fleet: Fleet, *, ledger: Ledger, planner: Planner) -> None:
        self._bus = bus
        self._record = record
        self._fleet = fleet
        self._ledger = ledger
        self._planner = planner

    async def list(self, request: ListStrategies) -> StrategyList:
        """The strategies of a running engine."""
        session = self._running(request.instance_id, {})
        question = LookIntoEngine(session_id=session.session_id)
        return await self._bus.call(
            contract.COMMAND_LIST_STRATEGIES, question, instance_id=session.instance_id
        )

    async def add(self, request: AddStrategy) -> StrategyList:
        """Adds a strategy, rendered as one that the engine was started with. The audit keeps which version of a package it is of."""
        joined: list[str] = []

        async def ask(session: Session, stamp: Stamp) -> StrategyList:
            plans = await self._planner.plans()
            rendered = plans.strategy(request.strategy, await self._spec(session))
            command = AddToEngine(
                strategy=rendered.config,
                package=rendered.package,
                start=request.start,
                session_id=session.session_id,
                request_id=stamp.request_id,
            )
            try:
                done = await self._bus.call(
                    contract.COMMAND_ADD_STRATEGY, command, instance_id=session.instance_id
                )
            except FaultError as error:
                raise _as_asked(error, has_template=request.strategy.template is not None) from error
            if rendered.package is None:
                return done
            joined.append(f"of {rendered.package.label} (digest {rendered.package.digest})")
            return msgspec.structs.replace(done, message=f"{done.message}, {joined[0]}")

        return await self._once(contract.STRATEGY_ADD, request, ask, joined)

    async def start(self, request: WhichStrategy) -> StrategyList:
        """Starts a strategy that does not run."""
        return await self._change(contract.STRATEGY_START, contract.COMMAND_START_STRATEGY, request)

    async def stop(self, request: WhichStrategy) -> StrategyList:
        """Stops a strategy by policy; the others trade on."""
        return await self._change(contract.STRATEGY_STOP, contract.COMMAND_STOP_STRATEGY, request)

    async def remove(self, request: WhichStrategy) -> StrategyList:
        """Stops a strategy by policy and removes it."""
        return await self._change(contract.STRATEGY_REMOVE, contract.COMMAND_REMOVE_STRATEGY, request)

    async def signal(self, request: SendSignal) -> StrategyList:
        """Sends a signal into an engine that permits it; its sidecar refuses any other."""

        async def ask(session: Session, stamp: Stamp) -> StrategyList:
            command = SignalInEngine(
                name=request.name,
                value=request.value,
                session_id=session.session_id,
                request_id=stamp.request_id,
            )
            return await self._bus.call(contract.COMMAND_SIGNAL, command, instance_id=session.instance_id)

        return await self._once(contract.ENGINE_SIGNAL, request, ask)

    async def _change(
        self, call: Call[WhichStrategy, StrategyList], change: _Change, request: WhichStrategy
    ) -> StrategyList:
        async def ask(session: Session, stamp: Stamp) -> StrategyList:
            command = ChangeInEngine(
                strategy_id=request.strategy_id,
                policy=request.policy,
                session_id=session.session_id,
                request_id=stamp.request_id,
            )
            return await self._bus.call(change, command, instance_id=session.instance_id)

        return await self._once(call, request, ask)

    async def _once(
        self,
        call: Call[Any, StrategyList],
        request: AddStrategy | WhichStrategy | SendSignal,
        ask: _Ask,
        told: Sequence[str] = (),
    ) -> StrategyList:
        """`told` is what `ask` has to say to the audit, once it has answered."""

        async def run(stamp: Stamp) -> StrategyList:
            session = self._running(request.instance_id, stamp.scope)
            reply = await ask(session, stamp)
            await self._ledger.note_done(stamp, session.instance_id, reply, ", ".join(told))
            return reply

        return await self._ledger.once(call, request, run)

    def _running(self, instance_id: str | None, scope: Mapping[str, str]) -> Session:
        """The session of the engine meant. Raises FaultError: `not_found` outside of the scope, `conflict` unless its engine is up."""
        meant = self._fleet.which(instance_id)
        if meant is None:
            raise fault(FaultCode.NOT_FOUND, "no engine ever ran, so there are no strategies")
        refuse_outside(meant.instance_id, meant, scope)
        session = meant.session
        if session is None or session.state not in (RunState.TRADING, RunState.IMPAIRED):
            state = session.state if session else "not started"
            raise fault(FaultCode.CONFLICT, f"engine {meant.instance_id} is {state}: it must trade for this")
        return session

    async def _spec(self, session: Session) -> SessionSpec:
        spec = await self._record.spec(session.session_id)
        if spec is None:
            raise fault(FaultCode.NOT_FOUND, f"session {session.session_id} is not on record")
        return spec


def _as_asked(error: FaultError, *, has_template: bool) -> FaultError:
    """The sidecar's fault in the words of the request: what it calls a config was given as a template's parameters."""
    if not has_template:
        return error
    renamed = tuple(
        msgspec.structs.replace(each, field=each.field.replace("strategy.config", "strategy.parameters", 1))
        for each in error.fault.errors
    )
    return FaultError(msgspec.structs.replace(error.fault, errors=renamed))
