"""Start, stop and restart: the calls that change something. The same request id twice gives one answer and one effect."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from schemas.config import EngineConfig
from schemas.contract import ENGINE_RESTART, ENGINE_START, ENGINE_STOP, Call
from schemas.engine import EngineAccepted, RestartEngine, StartEngine, StopEngine
from schemas.fault import FaultCode, FaultError, fault
from schemas.ids import new_request_id, new_session_id
from schemas.session import SessionSpec
from services.orchestrator.actions import Clock
from services.orchestrator.conductor import Conductor, Stamp
from services.orchestrator.core import engine as core
from services.orchestrator.core.decision import Decision
from services.orchestrator.core.fleet import Fleet, unknown_engine
from services.orchestrator.core.live import Live
from services.orchestrator.core.model import Engine
from services.orchestrator.core.parameters import Known
from services.orchestrator.core.rendering import render
from services.orchestrator.ports import Catalog, Command, Record, RepeatedCommand, Templates

type _Run = Callable[[Stamp], Awaitable[EngineAccepted]]
type _Render = Callable[[EngineConfig], SessionSpec]

DEFAULT_INSTANCE: Final = EngineConfig().instance_id


class Commands:
    """Each is recorded with its answer in the transaction that changes the engine."""

    def __init__(
        self,
        record: Record,
        fleet: Fleet,
        live: Live,
        clock: Clock,
        *,
        conductor: Conductor,
        templates: Templates,
        catalog: Catalog,
    ) -> None:
        self._record = record
        self._fleet = fleet
        self._live = live
        self._clock = clock
        self._conductor = conductor
        self._templates = templates
        self._catalog = catalog

    async def start(self, request: StartEngine) -> EngineAccepted:
        """A new session of the engine that the configuration names."""

        config = request.config or EngineConfig()

        async def run(stamp: Stamp) -> EngineAccepted:
            core.guard_live(config, is_confirmed=request.confirm_live_trading)
            spec = (await self._renderer())(config)

            def decide(engine: Engine | None) -> Decision:
                now = self._clock()
                hosts = self._fleet.hosts(self._live, now)
                return core.start(engine, config, spec, request_id=stamp.request_id, hosts=hosts, now=now)

            return await self._turn(config.instance_id, decide, stamp)

        return await self._once(ENGINE_START, request, run)

    async def stop(self, request: StopEngine) -> EngineAccepted:
        """The end of an engine's session."""

        async def run(stamp: Stamp) -> EngineAccepted:
            meant = self._fleet.which(request.instance_id)
            if meant is None:
                return await self._nothing_to_stop(stamp)

            def decide(engine: Engine | None) -> Decision:
                known = _known(engine, meant.instance_id)
                return core.stop(known, request, request_id=stamp.request_id, now=self._clock())

            return await self._turn(meant.instance_id, decide, stamp)

        return await self._once(ENGINE_STOP, request, run)

    async def restart(self, request: RestartEngine) -> EngineAccepted:
        """A new session with the engine's last configuration."""

        async def run(stamp: Stamp) -> EngineAccepted:
            meant = self._fleet.which(request.instance_id)
            if meant is None:
                raise fault(FaultCode.NOT_FOUND, "no engine ever ran, so there is none to restart")
            render_config = await self._renderer()

            def decide(engine: Engine | None) -> Decision:
                known = _known(engine, meant.instance_id)
                core.guard_live(known.config, is_confirmed=request.confirm_live_trading)
                now = self._clock()
                hosts = self._fleet.hosts(self._live, now)
                spec = render_config(known.config)
                return core.restart(known, spec, request_id=stamp.request_id, hosts=hosts, now=now)

            return await self._turn(meant.instance_id, decide, stamp)

        return await self._once(ENGINE_RESTART, request, run)

    async def _turn(
        self, instance_id: str, decide: Callable[[Engine | None], Decision], stamp: Stamp
    ) -> EngineAccepted:
        decision = await self._conductor.turn(instance_id, decide, stamp=stamp)
        if decision is None or decision.reply is None:
            raise RuntimeError(f"the command on {instance_id} was decided without an answer")
        return decision.reply

    async def _renderer(self) -> _Render:
        """Renders configurations with the templates and the catalog as they are now."""
        shelf = await self._templates.shelf()
        known = Known.of((await self._catalog.view()).entries)
        session_id = new_session_id(self._clock())
        return lambda config: render(config, shelf, known, session_id=session_id)

    async def _nothing_to_stop(self, stamp: Stamp) -> EngineAccepted:
        reply = core.idle(DEFAULT_INSTANCE, stamp.request_id)
        await self._record.add_command(
            Command(
                request_id=stamp.request_id,
                subject=stamp.subject,
                body_hash=stamp.body_hash,
                instance_id=reply.instance_id,
                reply=msgspec.json.encode(reply),
                created_at=stamp.at,
            )
        )
        return reply

    async def _once(
        self,
        call: Call[StartEngine, EngineAccepted]
        | Call[StopEngine, EngineAccepted]
        | Call[RestartEngine, EngineAccepted],
        request: StartEngine | StopEngine | RestartEngine,
        run: _Run,
    ) -> EngineAccepted:
        """Runs a command unless one with its request id ran before; then the answer is that one's."""
        stamp = Stamp(
            request_id=request.request_id or new_request_id(),
            subject=call.subject,
            body_hash=hashlib.sha256(msgspec.json.encode(request, order="deterministic")).digest(),
            at=self._clock(),
        )
        if request.request_id and (earlier := await self._record.command(request.request_id)):
            return _repeated(earlier, stamp)
        try:
            return await run(stamp)
        except (RepeatedCommand, FaultError):
            # Perhaps it was refused because the same command, which came at the same time, was carried out first.
            earlier = await self._record.command(stamp.request_id)
            if earlier is None:
                raise
            return _repeated(earlier, stamp)


def _repeated(earlier: Command, stamp: Stamp) -> EngineAccepted:
    if (earlier.subject, earlier.body_hash) != (stamp.subject, stamp.body_hash):
        text = f"request_id {stamp.request_id} was used for another command"
        raise fault(FaultCode.CONFLICT, text)
    return msgspec.json.decode(earlier.reply, type=EngineAccepted)


def _known(engine: Engine | None, instance_id: str) -> Engine:
    if engine is None:
        raise unknown_engine(instance_id)
    return engine
