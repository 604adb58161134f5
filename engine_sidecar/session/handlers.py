"""What the sidecar does with what it hears: frames of the engine and messages of its own go in, effects come out."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.engine_sidecar.link.asking import Answer
from flotilla.engine_sidecar.link.frames import FromEngine, FromZygote, Happened, Measured, Run
from flotilla.engine_sidecar.link.messages import (
    Conclude,
    Effect,
    Flatten,
    Flattened,
    Fork,
    KillEngine,
    KillZygote,
    LinkClosed,
    Message,
    Observed,
    Publish,
    Send,
)
from flotilla.engine_sidecar.outbox.redaction import Redaction
from flotilla.engine_sidecar.process.ports import EngineProcesses, Record
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.engine_sidecar.session.core.outbound import tcp_ports
from flotilla.engine_sidecar.session.questions import Questions
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import Launch, SessionSpec
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import EngineMetrics, StateChange

log = get_logger(__name__)


def fence(spec: SessionSpec, session_id: str | None) -> None:
    """Raises `conflict` when a session is named and it is not this one."""
    if session_id not in (None, spec.session_id):
        raise fault(FaultCode.CONFLICT, f"the engine's session is {spec.session_id}, not {session_id}")


class Handlers:
    """One session. Everything that happens to it passes through `post`, one at a time, in order of arrival.

    `archives` are the packages that its engine is handed, `wheels` is the folder of what these need; they are there before it is forked.
    """

    def __init__(
        self,
        launch: Launch,
        processes: EngineProcesses,
        record: Record,
        questions: Questions,
        redaction: Redaction,
        *,
        now: Callable[[], float],
        measured: Callable[[bytes], None],
        over: Callable[[], None],
    ) -> None:
        self._launch = launch
        self._processes = processes
        self._record = record
        self._questions = questions
        self._redaction = redaction
        self._now = now
        self._measured = measured
        self._over = over
        self._inbox: deque[Message] = deque()
        self._final: StateChange | None = None
        self._is_concluded = asyncio.Event()
        self._is_out_of_orders = asyncio.Event()
        self._brake_changed = asyncio.Event()
        self._tasks = Tasks()
        self.archives: tuple[bytes, ...] = ()
        self.wheels = ""
        self.session, effects = core.begin(launch.spec, now())
        self._perform(effects)

    def hear(self, message: FromEngine | FromZygote | Message) -> None:
        """A frame of the engine or of its zygote; events and metrics pass without being decided on."""
        match message:
            case Happened(kind=kind, data=data):
                self._record.copy(kind, data)
            case Measured(data=data):
                self._measured(data)
                self._observe(data)
            case Answer():
                self._questions.answered(self._redaction.said(message))
            case LinkClosed():
                self._questions.abandon()
                self.post(message)
            case _:
                self.post(message)

    def _observe(self, data: bytes) -> None:
        try:
            self.post(Observed(msgspec.json.decode(data, type=EngineMetrics)))
        except msgspec.DecodeError as error:
            log.warning("metrics unreadable", error=str(error))

    def post(self, message: Message) -> None:
        """Decides on a message and carries out what follows from it."""
        self._inbox.append(message)
        if len(self._inbox) > 1:
            return  # An effect led to this message; the loop below is still running.
        while self._inbox:
            before = self.session
            self.session, effects = core.decide(before, self._inbox[0], self._now())
            _log_change(before, self.session)
            if self.session.is_out_of_orders:
                self._is_out_of_orders.set()
            if self.session.taken != before.taken:
                self._brake_changed.set()
            self._perform(effects)
            self._inbox.popleft()

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Publish(data=data):
                    self._record.write(data)
                case Fork():
                    self._processes.fork(
                        _run(self._launch, self.archives, self.wheels, self.session),
                        tcp_ports(self._launch.spec.plan, self._launch.cache),
                    )
                case Send(message=message):
                    self._processes.send(message)
                case Flatten():
                    self._tasks.start(self._flatten(), name="dead man")
                case KillEngine():
                    self._processes.kill_engine()
                case KillZygote():
                    self._processes.kill_zygote()
                case Conclude():
                    self._over()

    async def _flatten(self) -> None:
        try:
            answer = await self._questions.withdraw(
                StopPolicy.FLATTEN, self._launch.spec.stop_timeout_s, is_by_person=False
            )
        except FaultError as error:
            self.post(Flattened((str(error),)))
        else:
            self.post(Flattened(answer.not_confirmed))

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._tasks.close()

    def conclude(self, change: StateChange) -> None:
        """Puts the final state on record; nothing follows it."""
        if self.session.brake.number > self._launch.spec.brake.number:
            change = msgspec.structs.replace(change, brake=self.session.brake)
        change = self._redaction.said(change)
        self._record.write(change)
        self.session = msgspec.structs.replace(self.session, state=change.state)
        log.info(
            "session ended",
            state=change.state,
            reason=change.reason,
            detail=change.detail,
            exit_code=change.exit_code,
            not_confirmed=change.not_confirmed,
        )
        self._final = change
        self._is_concluded.set()

    async def out_of_orders(self, within_s: float) -> bool:
        """Waits until no order that opens or adds can leave any more; False when that is not known in time."""
        try:
            async with asyncio.timeout(within_s):
                await self._is_out_of_orders.wait()
        except TimeoutError:
            return False
        return True

    async def braked(self, number: int, within_s: float) -> bool:
        """Waits until the engine has taken the brake of this number; False when that is not known in time, or a later one was put on."""
        try:
            async with asyncio.timeout(within_s):
                while self.session.taken.number < number:
                    self._brake_changed.clear()
                    await self._brake_changed.wait()
        except TimeoutError:
            return False
        return self.session.taken.number == number

    async def concluded(self) -> StateChange:
        """Waits for the end of the session; its final state."""
        while self._final is None:
            await self._is_concluded.wait()
        return self._final


def _run(launch: Launch, archives: tuple[bytes, ...], wheels: str, session: Session) -> Run:
    spec = launch.spec
    return Run(
        instance_id=spec.instance_id,
        session_id=spec.session_id,
        plan=spec.plan,
        catalog_path=launch.catalog_path,
        log_level=spec.log_level,
        stop_timeout_s=spec.stop_timeout_s,
        stop_policy=spec.stop_policy,
        cache=launch.cache,
        secrets=launch.secrets,
        packages=archives,
        wheels=wheels,
        equity_currency=spec.loss_limits.currency if spec.loss_limits else "",
        brake=session.brake,
        trading_hours=spec.trading_hours,
        lease_until_s=session.lease.until if session.lease else None,
    )


def _log_change(before: Session, after: Session) -> None:
    if after.state != before.state:
        log.info("session state", state=after.state)
    if after.is_frozen != before.is_frozen:
        log.warning("engine frozen" if after.is_frozen else "engine recovered")
    if after.killed_for != before.killed_for:
        log.warning("engine killed", cause=after.killed_for)
