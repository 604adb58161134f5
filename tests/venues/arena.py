"""A whole stack with engines on exchanges of our own: what a driver does to them, and what they said of it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.config import EngineConfig, RestartPolicy, StrategyChoice
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EngineEvent
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.stacks import RunningStack, children_of, command_line, parent_of, processes_of
from tests.integration.exchanges.running import Venue
from tests.venues.judge import Ledger, Session, acceptance, of_orders, of_position, of_trades
from tests.venues.places import Place, running, until

_RESTARTS: Final = RestartPolicy(max_restarts=100, window_s=60.0, backoff_s=0.2, max_backoff_s=0.5)
UP_S: Final = 180.0
"""How long a stack, or an engine, may take until it is up: what a loaded machine needs is not what is counted."""
_SEEN_AGAIN_S: Final = 5.0
"""How long an engine has to trade on once a person accepted what differs, before they do so again."""
_MODULE: Final = "tests.venues.trader"


class Engine:
    """An engine on an exchange of its own."""

    def __init__(self, arena: "Arena", name: str, place: Place, venue: Venue, account: str = "main") -> None:
        self.arena, self.name, self.place, self.venue, self.account = arena, name, place, venue, account
        self.sessions: list[str] = []
        self.accepted: list[str] = []
        """What a person read and took as it is."""
        self._heard: dict[str, list[EngineEvent[dict[str, Any]]]] = {}

    @property
    def secret(self) -> str:
        """Under what its keys are kept."""
        return self.name.replace("-", "_")

    async def start(self, *, warm: bool = True, **strategy: Any) -> None:
        """Starts it; returns when that is on record."""
        await self.arena.secret(self)
        config = EngineConfig(
            instance_id=self.name,
            engine_type="live",
            trading_mode="paper",
            template="live_engine",
            parameters={"timeout_connection": 20, "timeout_reconciliation": 20, "order_rate": 10_000},
            strategies=(
                StrategyChoice(
                    strategy_path=f"{_MODULE}:Trader",
                    config_path=f"{_MODULE}:TraderConfig",
                    config={
                        "instrument_id": self.place.instrument,
                        "order_id_tag": "001",
                        "external_order_claims": [self.place.instrument],
                        **self.place.strategy,
                        **strategy,
                    },
                ),
            ),
            venues=(self.place.choice(self.secret),),
            restart=_RESTARTS,
            use_cache_database=warm,
            log_level="WARNING",
        )
        request = new_request_id()  # the same start, however often it is asked for
        await patiently(lambda: self.arena.fleet.start_engine(config, request_id=request))
        await patiently(self.view)

    async def view(self) -> EngineView:
        """What the fleet has of it now; a new session is noted."""
        found = await self.arena.fleet.engine(self.name)
        if found.session is not None and found.session.session_id not in self.sessions:
            self.sessions.append(found.session.session_id)
        return found

    async def trades(
        self, timeout_s: float = UP_S, *, after: Collection[str] = (), reads_s: float = 0.0
    ) -> EngineView:
        """Waits until a session that is not `after` trades. What does not agree is accepted as a person would, once they have read it for so long."""
        person = _Person(self, reads_s)

        async def look() -> EngineView | None:
            with suppress(FaultError, TimeoutError):
                view = await self.view()
                session = view.session
                if session is None or session.session_id in after:
                    return None
                await person.see(view)
                return view if session.state == RunState.TRADING else None
            return None

        try:
            return cast(EngineView, await until(look, f"{self.name} trades", timeout_s))
        except TimeoutError as error:
            view = await self.view()
            state = view.session and (str(view.session.state), view.session.detail)
            raise TimeoutError(f"{error}; it is {state}, {view.problems}") from None

    async def end(self) -> None:
        """Stops it, and leaves at the exchange what is there."""
        with suppress(FaultError):
            accepted = await self.arena.fleet.stop_engine(self.name, policy=StopPolicy.LEAVE)
            await self.arena.fleet.wait_for(self.name, ENDED, session_id=accepted.session_id)

    async def settled(
        self, timeout_s: float = 20.0, by_hand: tuple[str, ...] = (), accepted: Sequence[str] = ()
    ) -> tuple[Ledger, list[Session], list[str]]:
        """Halts its strategies, and waits until its events say what the ledger does, but for what a person accepted, and what differs in the
        end; it stays halted.
        """
        await until(self._is_halted, f"{self.name} is halted", UP_S)
        ends = time.monotonic() + timeout_s
        before, taken = None, acceptance(accepted, self.place.instrument)
        while True:
            ledger, sessions = await self.ledger(), await self.said()
            wrong = [
                *of_trades(ledger, sessions, by_hand=by_hand),
                *of_position(ledger, sessions[-1], taken),
                *of_orders(ledger, sessions, taken, by_hand=by_hand),
            ]
            if before == (len(ledger.trades), wrong) and (not wrong or time.monotonic() > ends):
                return ledger, sessions, wrong
            before = len(ledger.trades), wrong
            await asyncio.sleep(0.5)

    async def _is_halted(self) -> bool:
        with suppress(FaultError):
            return (await self.arena.fleet.halt_engine(self.name)).is_taken is True
        return False

    async def said(self) -> list[Session]:
        """All that its sessions said, by the record."""
        found = []
        for session_id in self.sessions:
            events = await patiently(lambda one=session_id: self._events(one))  # type: ignore[misc]
            found.append(Session(session_id, events[0][1] if events else 0, events))
        return found

    async def _events(self, session_id: str) -> tuple[tuple[str, int, dict[str, Any]], ...]:
        """Only what is new is asked for: a soak has tens of thousands."""
        kept = self._heard.setdefault(session_id, [])
        while True:
            after = kept[-1].seq if kept else 0
            page = await self.arena.fleet.events(self.name, session_id=session_id, after_seq=after, limit=500)
            if not page.events:
                return tuple((str(each.kind), each.at_ns, each.data) for each in kept)
            kept += [msgspec.json.decode(raw, type=EngineEvent[dict[str, Any]]) for raw in page.events]

    async def ledger(self) -> Ledger:
        """What its exchange has."""
        return await self.place.ledger(self.venue, self.account)

    async def processes(self) -> "Processes":
        """The processes of its present session, once its heartbeat has named them."""
        view = await self.view()
        assert view.session is not None
        async with self.arena.fleet.watch(self.name, kinds=("heartbeat",)) as updates:
            while True:
                update = await updates.next(10.0)
                assert update is not None, "no heartbeat"
                engine = update.payload.engine_pid
                if engine is not None and update.payload.session_id == view.session.session_id:
                    return _processes(engine)


class _Person:
    """Accepts what an engine and its venue do not agree on, by what it said, once that was the same for `reads_s`."""

    def __init__(self, engine: Engine, reads_s: float) -> None:
        self._engine, self._reads_s = engine, reads_s
        self._read, self._since = ("", ""), 0.0

    async def see(self, view: EngineView) -> None:
        """Looks at what the engine says now. Raises FaultError where something else differs by now."""
        session = view.session
        if session is None or session.state != RunState.MISMATCH:
            self._read = "", ""
            return
        shown, now = "; ".join(view.problems), time.monotonic()
        if self._read != (session.session_id, shown):
            self._read, self._since = (session.session_id, shown), now
        if shown and now - self._since >= self._reads_s:
            await self._engine.arena.fleet.accept_difference(self._engine.name, shown=shown)
            self._engine.accepted.append(shown)
            self._since = now + _SEEN_AGAIN_S


_LATE: Final = (FaultCode.UNAVAILABLE, FaultCode.OUTCOME_UNKNOWN)


async def patiently[T](ask: Callable[[], Awaitable[T]], timeout_s: float = 60.0) -> T:
    """What is answered, asked again where a loaded machine did not answer in time. Raises FaultError."""
    ends = time.monotonic() + timeout_s
    while True:
        try:
            return await ask()
        except (FaultError, TimeoutError) as error:
            is_late = isinstance(error, TimeoutError) or error.fault.code in _LATE
            if not is_late or time.monotonic() > ends:
                raise
        await asyncio.sleep(0.5)


class Processes(msgspec.Struct, frozen=True):
    """Of one session of the process runtime. `all` stands for its container."""

    engine: int
    sidecar: int
    all: tuple[int, ...]


def _processes(engine: int) -> Processes:
    root = engine
    while "engine_sidecar" in command_line(above := parent_of(root)):
        root = above
    everything = family(root)
    sidecar = next(
        pid
        for pid in everything
        if command_line(pid).split()[-2:] == ["-m", "flotilla.engine_sidecar"] and pid != root
    )
    return Processes(engine, sidecar, tuple(everything))


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(each for child in children_of(pid) for each in family(child))]


def kill(pids: Collection[int]) -> None:
    """SIGKILL to all of them."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Arena:
    """A stack, a client of it, and exchanges."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self.fleet: Flotilla
        self._clients = AsyncExitStack()

    async def connect(self) -> None:
        """Makes its client, anew if it has one."""
        await self._clients.aclose()
        self.fleet = await self._clients.enter_async_context(
            Flotilla.connect(self.stack.connection, wait_s=20)
        )

    @asynccontextmanager
    async def engine(self, name: str, place: Place, seed: int = 1, **start: Any) -> AsyncIterator[Engine]:
        """An engine that trades on an exchange of its own, until the end of the block."""
        async with running(place, seed) as venue:
            made = Engine(self, name, place, venue)
            await made.start(**start)
            await made.trades()
            try:
                yield made
            finally:
                await made.end()

    async def secret(self, engine: Engine) -> None:
        """Keeps what an engine needs to reach its exchange."""
        place = engine.place
        fields = json.dumps({**place.keys(engine.account), **place.endpoints(engine.venue)})
        argv = ("secret", "set", engine.secret, "--adapter", place.adapter, "--test-exchange")
        done = await asyncio.to_thread(self.stack.cli, *argv, stdin=fields)
        assert done.returncode == 0, done.stderr

    def kill_everything(self) -> None:
        """SIGKILL to every process of the stack, engines too, as when the host dies."""
        victims = processes_of(self.stack.root)
        kill(
            victims
        )  # at once: an engine that outlives its Redis trades on for a moment, and that is another case
        self.stack.kill()
        kill(processes_of(self.stack.root))

    async def revive(self) -> None:
        """Starts the stack again."""
        self.stack.start(timeout_s=UP_S)
        await self.connect()

    async def close(self) -> None:
        """Lets go of all of it but the stack."""
        await self._clients.aclose()


@asynccontextmanager
async def arena(folder: Path) -> AsyncIterator[Arena]:
    """A stack that is ready, with own code; `folder` is scratch space."""
    with stack_with_own_code("process", folder, timeout_s=UP_S) as stack:
        made = Arena(stack)
        await made.connect()
        try:
            yield made
        finally:
            await made.close()
