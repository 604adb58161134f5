"""The emergency stop of one host: sets the flag, has each engine end itself flat, and kills what has not by the deadline."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.receipts import Account, Ending, receipt_of
from flotilla.bus.tasks import Tasks
from flotilla.schemas.contract import COMMAND_END_NOW
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    EmergencyReceipt,
    EmergencyStop,
    EndNow,
    HostStopped,
    LiftStop,
    SessionEnded,
    StopFlags,
    container_name,
)
from flotilla.schemas.telemetry import is_meant
from flotilla.services.supervisor.core.facts import is_running
from flotilla.services.supervisor.ports import ContainerRuntime
from flotilla.services.supervisor.stop_gate import Starting, StopGate

log = get_logger(__name__)

ENGINE_SHARE: Final = 0.75
"""Of the deadline, what the engine gets; the rest is for its last events and for the container to end."""
LAST_WORDS_S: Final = 0.5
"""An answer may be on its way when the container that gave it has ended."""
DEAF_S: Final = 2.0
KILL_S: Final = 2.0
"""Whoever asked waits for a few seconds after the deadline only, and is to hear then what may still run."""
LIST_S: Final = 2.0
"""How long the runtime may take to say what runs, before those are asked that ran when it last did: it may be frozen."""
LOOK_S: Final = 0.1
UNASKED_LOOK_S: Final = 0.5
"""Before that it is looked at for the sake of those that end without a word."""
GONE_LOOK_S: Final = 0.03
"""Once a sidecar has said that its session ended, its container is about to."""
REQUESTS_KEPT: Final = 32


class Countdown:
    """Time since a stop began, and time left of it."""

    def __init__(self, deadline_s: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._deadline = self._began + deadline_s

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self._deadline - self._now())

    @property
    def ms(self) -> float:
        """Milliseconds since it began."""
        return round((self._now() - self._began) * 1000, 3)


class _Course:
    """One request: its receipts by session, which grow as engines end, and who works on it."""

    def __init__(self, countdown: Countdown) -> None:
        self.countdown = countdown
        self.given: dict[str, EmergencyReceipt] = {}
        self._under_way: list[asyncio.Event] = []

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Who leaves waits for those who came before: an engine may have ended whose receipt one of them still writes."""
        before, done = tuple(self._under_way), asyncio.Event()
        self._under_way.append(done)
        try:
            yield
        finally:
            self._under_way.remove(done)
            done.set()
        for each in before:
            await each.wait()


class EmergencyStops:
    """`known` are the containers as last seen, to go by when the runtime cannot list them."""

    def __init__(
        self,
        bus: Bus,
        runtime: ContainerRuntime,
        orders: StopGate,
        host: str,
        known: Callable[[], Iterable[ContainerFacts]],
    ) -> None:
        self._bus = bus
        self._runtime = runtime
        self._orders = orders
        self._host = host
        self._known = known
        self._asking: dict[str, asyncio.Task[Account]] = {}
        self._courses: dict[str, _Course] = {}
        self._ending: Counter[str] = Counter()
        self._tasks = Tasks()

    async def stop(self, request: EmergencyStop) -> HostStopped:
        """Returns a receipt for each engine's session that ran, or was being started. Workers are left alone, unless one is named.

        Asking again is safe, and the same request gets the receipts that it was given before, too: an answer may be lost. Raises
        FaultError `unavailable` when it cannot be told what runs here; the flag is set all the same.
        """
        course = self._course_of(request)
        async with course.joined():
            await self._carry_out(request, course)
        receipts = tuple(course.given.values())
        return HostStopped(host=self._host, receipts=receipts, flags=self._orders.flags)

    async def _carry_out(self, request: EmergencyStop, course: _Course) -> None:
        countdown, given = course.countdown, course.given
        await self._orders.set_flag(request.instance_id, request.reason, request.request_id)
        log.warning("emergency stop", instance_id=request.instance_id, reason=request.reason)
        # The flag first: whoever starts from now on is refused, whoever began before is found here.
        starting = self._orders.under_way(request.instance_id)
        running = await self._running(request.instance_id)
        self._ending.update(running.keys())
        try:
            await asyncio.gather(
                *(
                    self._dismiss(facts, countdown)
                    if facts.is_worker
                    else _give(given, facts, partial(self._end, facts, countdown))
                    for facts in running.values()
                ),
                *(
                    _give(given, session, partial(self._catch, start, session, countdown))
                    for start in starting
                    if (session := self._about_to_be(start)).session_id not in running
                ),
            )
        finally:
            self._ending.subtract(running.keys())

    def is_ending(self, session_id: str) -> bool:
        """True while a stop still has to see how this session's container ended: it is not to be removed before that."""
        return self._ending[session_id] > 0

    async def lift(self, request: LiftStop) -> StopFlags:
        """Lifts one engine's flag, or all. Raises FaultError `unavailable` when that cannot be stored; then all stay."""
        # What was left in the folder came before this, and must not come into force after it.
        await self._orders.take_left()
        try:
            flags = await self._orders.lift(request.instance_id)
        except OSError as error:
            raise fault(FaultCode.UNAVAILABLE, f"the stop flags cannot be stored: {error}") from error
        log.warning("stop flags lifted", instance_id=request.instance_id, left=len(flags))
        return StopFlags(flags=flags)

    async def close(self) -> None:
        """Lets go of what is under way; the flags stay."""
        await self._tasks.close()

    async def _running(self, instance_id: str | None) -> dict[str, ContainerFacts]:
        try:
            sessions = await self._listed()
        except FaultError as error:
            log.warning("sessions cannot be listed, going by those last seen", fault=error.fault.message)
            if not (sessions := tuple(self._known())):
                raise
        return {
            facts.session_id: facts
            for facts in sessions
            if is_running(facts) and is_meant(instance_id, facts.instance_id, is_worker=facts.is_worker)
        }

    async def _listed(self) -> tuple[ContainerFacts, ...]:
        try:
            async with asyncio.timeout(LIST_S):
                return await self._runtime.list()
        except TimeoutError:
            raise fault(FaultCode.UNAVAILABLE, "the runtime does not say what runs here") from None

    def _course_of(self, request: EmergencyStop) -> _Course:
        """Asked again while it is under way it has the first one's deadline, and later a new one; its receipts stay."""
        course = _Course(Countdown(request.deadline_s))
        if request.request_id is None:
            return course
        earlier = self._courses.setdefault(request.request_id, course)
        if earlier.countdown.left_s <= 0:
            earlier.countdown = course.countdown
        while len(self._courses) > REQUESTS_KEPT:
            del self._courses[next(iter(self._courses))]
        return earlier

    async def _dismiss(self, session: ContainerFacts, countdown: Countdown) -> None:
        """SIGTERM, and SIGKILL at the deadline. A worker has neither orders nor positions, so there is no receipt of it."""
        try:
            async with asyncio.timeout(countdown.left_s + KILL_S):
                await self._runtime.stop(session.session_id, countdown.left_s)
        except (FaultError, TimeoutError) as error:
            log.warning("session not stopped", session_id=session.session_id, error=repr(error))

    async def _end(self, session: ContainerFacts, countdown: Countdown) -> EmergencyReceipt:
        asking = self._asking_of(session, countdown)
        ending = await self._gone(session.session_id, countdown, asking)
        await asyncio.wait({asking}, timeout=LAST_WORDS_S)
        account = asking.result() if asking.done() else Account(problem="its sidecar did not answer")
        if ending.is_gone:
            self._asking.pop(session.session_id, None)
        receipt = receipt_of(session, account, ending)
        log.warning(
            "engine ended by emergency stop",
            instance_id=session.instance_id,
            session_id=session.session_id,
            is_flat=receipt.is_flat,
            is_killed=receipt.is_killed,
            not_confirmed=receipt.not_confirmed,
        )
        return receipt

    def _asking_of(self, session: ContainerFacts, countdown: Countdown) -> asyncio.Task[Account]:
        """One for all who want the same session ended: a sidecar that is done does not answer a second time."""
        if session.session_id not in self._asking:
            self._asking[session.session_id] = self._tasks.start(
                self._ask(session, countdown), name=f"end:{session.session_id}"
            )
        return self._asking[session.session_id]

    async def _ask(self, session: ContainerFacts, countdown: Countdown) -> Account:
        """Has the sidecar end the session. One that cannot be reached is told to stop by SIGTERM: its own policy is better than none."""
        left_s = max(0.1, countdown.left_s)
        end_now = EndNow(session_id=session.session_id, deadline_s=left_s * ENGINE_SHARE)
        asking = self._bus.call(COMMAND_END_NOW, end_now, timeout_s=left_s, instance_id=session.instance_id)
        try:
            ended = await self._answer_of(session, asking, countdown)
        except FaultError as error:
            problem = f"its sidecar did not do it: {error.fault.message}"
        except ValueError as error:
            problem = f"its sidecar's answer cannot be read: {error}"
        else:
            return Account(ended=ended, ms=countdown.ms)
        try:
            await self._runtime.stop(session.session_id, countdown.left_s)
        except FaultError as error:
            log.warning("session not stopped", session_id=session.session_id, fault=error.fault.message)
        return Account(problem=problem)

    async def _answer_of(
        self, session: ContainerFacts, asking: Coroutine[Any, Any, SessionEnded], countdown: Countdown
    ) -> SessionEnded:
        """Its answer. Where the server hangs with our connection open, it is told by SIGTERM besides: that does no harm."""
        task = self._tasks.start(asking, name="ask")
        if self._bus.is_connected and not await self._bus.is_heard(DEAF_S) and not task.done():
            log.warning("the bus does not answer", session_id=session.session_id)
            self._tasks.start(self._dismiss(session, countdown), name="terminate")
        ended: SessionEnded = await task
        return ended

    async def _gone(self, session_id: str, countdown: Countdown, asking: asyncio.Task[Account]) -> Ending:
        """Waits until nothing of the session runs; at the deadline kills it.

        Looks seldom before its sidecar has answered, so that looking at many engines does not take the time from their ends.
        """
        while countdown.left_s > 0:
            is_known, facts = await self._look(session_id, countdown.left_s)
            if is_known and (facts is None or not is_running(facts)):
                return Ending(facts=facts, ms=countdown.ms)
            if asking.done():
                await asyncio.sleep(min(GONE_LOOK_S, countdown.left_s))
            else:
                await asyncio.wait({asking}, timeout=min(UNASKED_LOOK_S, countdown.left_s))
        return await self._kill(session_id, countdown)

    async def _look(self, session_id: str, within_s: float) -> tuple[bool, ContainerFacts | None]:
        """Whether the runtime could tell in time, and the facts, null for a session that is not there."""
        try:
            async with asyncio.timeout(within_s):
                return True, await self._runtime.inspect(session_id)
        except TimeoutError:
            return False, None
        except FaultError as error:
            return error.fault.code == FaultCode.NOT_FOUND, None

    async def _kill(self, session_id: str, countdown: Countdown) -> Ending:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + KILL_S
        while True:
            try:
                async with asyncio.timeout_at(give_up):
                    facts = await self._runtime.kill(session_id)
            except TimeoutError:
                problem = "it may still run, the runtime does not say that it was killed"
            except FaultError as error:
                if error.fault.code == FaultCode.NOT_FOUND:
                    return Ending(ms=countdown.ms)
                problem = f"it may still run, it could not be killed: {error.fault.message}"
            else:
                if not is_running(facts):
                    return Ending(facts=facts, ms=countdown.ms)
                problem = "it may still run although it was killed"
            if loop.time() >= give_up:
                return Ending(problem=problem, was_killed=True)
            await asyncio.sleep(LOOK_S)

    async def _catch(
        self, start: Starting, session: ContainerFacts, countdown: Countdown
    ) -> EmergencyReceipt | None:
        """The session of a start that was let through before the flag was set; None when nothing came of it."""
        start.is_caught = True
        account = Account(problem="it was killed while it was being started")
        try:
            async with asyncio.timeout(countdown.left_s):
                await start.done.wait()
        except TimeoutError:
            ending = Ending(problem="its start is still under way; it is killed as soon as it runs")
            return receipt_of(session, account, ending)
        is_known, facts = await self._look(session.session_id, KILL_S)
        if is_known and facts is None:
            return None
        return receipt_of(session, account, await self._kill(session.session_id, countdown))

    def _about_to_be(self, start: Starting) -> ContainerFacts:
        return ContainerFacts(
            session_id=start.spec.session_id,
            instance_id=start.spec.instance_id,
            generation=start.spec.generation,
            host=self._host,
            name=container_name(start.spec.session_id),
            status=ContainerStatus.CREATED,
            runtime=self._runtime.kind,
            is_worker=start.spec.worker is not None,
        )


async def _give(
    given: dict[str, EmergencyReceipt],
    session: ContainerFacts,
    end: Callable[[], Awaitable[EmergencyReceipt | None]],
) -> None:
    # Not a coroutine: whoever is cancelled before this begins would leave it behind, never awaited.
    try:
        receipt = await end()
    except Exception:  # one engine's trouble must not keep the others from being stopped
        log.exception("emergency stop of an engine failed", session_id=session.session_id)
        account = Account(problem="the supervisor failed, its log says how")
        receipt = receipt_of(session, account, Ending(problem="it may still run"))
    if receipt is not None:
        given[session.session_id] = receipt
