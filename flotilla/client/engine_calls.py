"""What an operator can ask of engines: the calls of the typed client that `fleet.engine.*` answers."""

from collections.abc import Mapping
from datetime import datetime

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.brakes import AcceptMismatch, AfterFlatten, BrakeEngine, FlattenEngine
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import (
    ConfigureEngine,
    EngineAccepted,
    EngineList,
    EngineLogs,
    EngineView,
    EventList,
    FleetStatus,
    ListEngines,
    ListSessions,
    ReadEvents,
    ReadLogs,
    RemoveEngine,
    RestartEngine,
    ReviewStart,
    SessionList,
    StartEngine,
    StartReview,
    StopEngine,
    WhichEngine,
)
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import StopPolicy


class EngineCalls:
    """Engines, by name. Every call raises FaultError when it is refused; a `request_id` sent twice has one effect."""

    bus: Bus

    async def start_engine(
        self,
        config: EngineConfig | None = None,
        *,
        instance_id: str | None = None,
        confirm_live_trading: bool = False,
        expected_digests: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """Starts a new session; returns when that is on record. `wait_for` tells when it trades.

        Without `config`, what is stored for `instance_id` is used. `expected_digests` are the packages that it is to run, digests by name:
        a start that would run other content is refused (`conflict`). `review_start` tells what it would be.
        """
        request = StartEngine(
            config=config,
            instance_id=instance_id,
            confirm_live_trading=confirm_live_trading,
            expected_digests=dict(expected_digests) if expected_digests is not None else None,
            request_id=request_id,
        )
        return await self.bus.call(contract.ENGINE_START, request)

    async def review_start(
        self, config: EngineConfig | None = None, *, instance_id: str | None = None
    ) -> StartReview:
        """The packages that a start would run, with their digests, and what of them the engine has not run live yet.

        Without `config`, what is stored for `instance_id`, which is what a restart runs.
        """
        request = ReviewStart(config=config, instance_id=instance_id)
        return await self.bus.call(contract.ENGINE_REVIEW, request)

    async def stop_engine(
        self,
        instance_id: str | None = None,
        *,
        force: bool = False,
        policy: StopPolicy | None = None,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """Stops an engine; `force` kills it. Stopping a stopped one is a success.

        Returns once the engine has taken the stop: with `is_taken` true no order that opens or adds leaves it any more. When that
        is not known two seconds after the stop went on record (a silent sidecar, an engine that is just being built), `is_taken` is
        false, and the stop goes on all the same. `wait_for` tells when the session has ended.
        """
        request = StopEngine(instance_id=instance_id, force=force, policy=policy, request_id=request_id)
        return await self.bus.call(contract.ENGINE_STOP, request)

    async def restart_engine(
        self,
        instance_id: str | None = None,
        *,
        confirm_live_trading: bool = False,
        expected_digests: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """Stops an engine if it runs, then starts a new session with its last configuration. `expected_digests`: see `start_engine`."""
        request = RestartEngine(
            instance_id=instance_id,
            confirm_live_trading=confirm_live_trading,
            expected_digests=dict(expected_digests) if expected_digests is not None else None,
            request_id=request_id,
        )
        return await self.bus.call(contract.ENGINE_RESTART, request)

    async def halt_engine(self, instance_id: str, *, request_id: str | None = None) -> EngineAccepted:
        """Lets no order of its strategies pass any more, only cancels, until `resume_engine`; what is open stays.

        `is_taken` is true when the engine has taken it, and false when that is not known: the brake is on record all the same, and its
        sidecar is told again until it has it. So it is of all brakes. One that is on outlasts sessions and restarts.
        """
        request = BrakeEngine(instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.ENGINE_HALT, request)

    async def reduce_engine(self, instance_id: str, *, request_id: str | None = None) -> EngineAccepted:
        """Lets only orders pass that reduce a position, and cancels, until `resume_engine`."""
        request = BrakeEngine(instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.ENGINE_REDUCE, request)

    async def resume_engine(self, instance_id: str, *, request_id: str | None = None) -> EngineAccepted:
        """Lifts the brake of an engine; a success also where none was on."""
        request = BrakeEngine(instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.ENGINE_RESUME, request)

    async def accept_difference(
        self, instance_id: str, *, shown: str | None = None, request_id: str | None = None
    ) -> EngineAccepted:
        """Takes what an engine in state `mismatch` and its venue do not agree on as it is: it trades on. The message has the list.

        With `shown`, what its `problems` said, only if that is what differs still; else `is_taken` is false.

        A position that is accepted so stays accepted while it does not change, also after restarts of an engine that keeps its state.
        """
        request = AcceptMismatch(instance_id=instance_id, shown=shown, request_id=request_id)
        return await self.bus.call(contract.ENGINE_ACCEPT, request)

    async def cancel_orders(self, instance_id: str, *, request_id: str | None = None) -> EngineAccepted:
        """Cancels every order of a running engine; its strategies go on.

        Returns when that is confirmed, or is not in time (at most 30 s): `orders_cancelled` counts what events confirmed,
        `not_confirmed` lists what is left, and `is_taken` is true only when nothing is.
        """
        request = BrakeEngine(instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.ENGINE_CANCEL_ORDERS, request)

    async def flatten_engine(
        self, instance_id: str, *, then: AfterFlatten = AfterFlatten.HALT, request_id: str | None = None
    ) -> EngineAccepted:
        """Cancels every order and closes every position of a running engine; its strategies are halted, unless `then` lets them go on.

        Returns as `cancel_orders` does, with `positions_closed` besides.
        """
        request = FlattenEngine(instance_id=instance_id, then=then, request_id=request_id)
        return await self.bus.call(contract.ENGINE_FLATTEN, request)

    async def configure_engine(
        self, config: EngineConfig, *, request_id: str | None = None
    ) -> EngineAccepted:
        """Stores a configuration, checked as a start checks it; the engine's next start or restart uses it."""
        request = ConfigureEngine(config=config, request_id=request_id)
        return await self.bus.call(contract.ENGINE_CONFIGURE, request)

    async def remove_engine(self, instance_id: str, *, request_id: str | None = None) -> EngineAccepted:
        """Forgets an engine that is not active; its sessions and events stay on record."""
        request = RemoveEngine(instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.ENGINE_REMOVE, request)

    async def status(self, instance_id: str | None = None) -> FleetStatus:
        """The engine meant, and every active one."""
        return await self.bus.call(contract.ENGINE_STATUS, WhichEngine(instance_id=instance_id))

    async def engine(self, instance_id: str) -> EngineView:
        """One engine. Raises FaultError `not_found`."""
        found = (await self.status(instance_id)).engine
        if found is None:
            raise fault(FaultCode.NOT_FOUND, f"no engine {instance_id}")
        return found

    async def engines(
        self, *, active: bool = False, limit: int = 100, labels: Mapping[str, str] | None = None
    ) -> EngineList:
        """Engines, most recent first.

        `active` keeps those whose session has not ended, `labels` those that carry all of them.
        """
        request = ListEngines(active=active, limit=limit, labels=dict(labels or {}))
        return await self.bus.call(contract.ENGINE_LIST, request)

    async def sessions(self, instance_id: str, *, limit: int = 20) -> SessionList:
        """The sessions of an engine, newest first."""
        request = ListSessions(instance_id=instance_id, limit=limit)
        return await self.bus.call(contract.ENGINE_SESSIONS, request)

    async def logs(
        self,
        instance_id: str | None = None,
        *,
        lines: int = 100,
        level: str | None = None,
        since: datetime | None = None,
    ) -> EngineLogs:
        """The last lines of an engine's log, also after its container is gone."""
        request = ReadLogs(instance_id=instance_id, lines=lines, level=level, since=since)
        return await self.bus.call(contract.ENGINE_LOGS, request)

    async def events(
        self,
        instance_id: str,
        *,
        session_id: str | None = None,
        after_seq: int = 0,
        kind: str | None = None,
        limit: int = 100,
    ) -> EventList:
        """Durable events of a session (the present one when none is named) from the record, oldest first."""
        request = ReadEvents(
            instance_id=instance_id, session_id=session_id, after_seq=after_seq, kind=kind, limit=limit
        )
        return await self.bus.call(contract.ENGINE_EVENTS, request)
