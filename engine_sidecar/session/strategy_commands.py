"""Commands from the bus about single strategies, answered when the engine has carried them out."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from flotilla.engine_sidecar.link.asking import (
    AddStrategy,
    ListStrategies,
    Question,
    RemoveStrategy,
    SendSignal,
    StartStrategy,
    StopStrategy,
)
from flotilla.engine_sidecar.link.messages import AtRest
from flotilla.engine_sidecar.session.handlers import Handlers, fence
from flotilla.engine_sidecar.session.questions import Questions
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault
from flotilla.schemas.package import PackageRef
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.strategy import (
    AddToEngine,
    ChangeInEngine,
    LookIntoEngine,
    SignalInEngine,
    StrategyList,
)


class PackageAccess(NamedTuple):
    """How packages are had: `fetch` holds what it hands out, `wheels` is the folder of what they need, `let_go` holds it no longer."""

    fetch: Callable[[Iterable[PackageRef]], Awaitable[tuple[bytes, ...]]]
    wheels: Callable[[], str]
    let_go: Callable[[Iterable[bytes]], None]


LOOK_S: Final = 4.0
CHANGE_S: Final = 15.0
STOP_S: Final = 25.0
"""How long the engine may take to stop one strategy; its answer is waited for a little longer."""
ANSWER_S: Final = 5.0


class StrategyCommands:
    """Checks that the engine trades, asks it, and remembers which strategies rest because somebody wants it so."""

    def __init__(
        self,
        spec: SessionSpec,
        handlers: Handlers,
        questions: Questions,
        packages: PackageAccess,
    ) -> None:
        self._spec = spec
        self._packages = packages
        self._handlers = handlers
        self._questions = questions

    async def list_all(self, question: LookIntoEngine) -> StrategyList:
        """The strategies of the engine. Raises `conflict` unless it trades, as all here do."""
        return await self._ask(question.session_id, ListStrategies(), LOOK_S)

    async def add(self, command: AddToEngine) -> StrategyList:
        """Adds a strategy. Raises `invalid` with field `strategy` for one that cannot be built, `conflict` for a tag in use."""
        fence(self._spec, command.session_id)
        packages = (command.package,) if command.package else ()
        archives = await self._packages.fetch(packages) if packages else ()
        labels = tuple(package.label for package in packages)
        question = AddStrategy(command.strategy, command.start, archives, labels, self._packages.wheels())
        try:
            done = await self._ask(command.session_id, question, CHANGE_S)
        except FaultError as error:
            # Where it is not known what the engine did, it may run something of them.
            if error.fault.code not in (FaultCode.OUTCOME_UNKNOWN, FaultCode.INTERNAL):
                self._packages.let_go(archives)
            raise
        self._note(done.strategy_id, is_at_rest=not command.start)
        return done

    async def start(self, command: ChangeInEngine) -> StrategyList:
        """Starts a strategy. Raises `not_found` for one that is not there, as the others do."""
        done = await self._ask(command.session_id, StartStrategy(command.strategy_id), CHANGE_S)
        self._note(command.strategy_id, is_at_rest=False)
        return done

    async def stop(self, command: ChangeInEngine) -> StrategyList:
        """Stops a strategy by policy, the engine's own where none is given; the others trade on."""
        question = StopStrategy(command.strategy_id, self._policy(command), STOP_S)
        done = await self._ask(command.session_id, question, STOP_S + ANSWER_S)
        self._note(command.strategy_id, is_at_rest=True)
        return done

    async def remove(self, command: ChangeInEngine) -> StrategyList:
        """Stops a strategy by policy and removes it."""
        question = RemoveStrategy(command.strategy_id, self._policy(command), STOP_S)
        done = await self._ask(command.session_id, question, STOP_S + ANSWER_S)
        self._note(command.strategy_id, is_at_rest=False)
        return done

    async def signal(self, command: SignalInEngine) -> StrategyList:
        """Hands a signal to the engine. Raises `forbidden` for one that its configuration does not name."""
        permitted = self._spec.config.signals if self._spec.config else ()
        if command.name not in permitted:
            named = ", ".join(permitted) or "none"
            text = f"the engine's configuration does not permit it from outside; its `signals` are: {named}"
            raise fault(FaultCode.FORBIDDEN, f"{command.name}: {text}", FieldError("name", text))
        return await self._ask(command.session_id, SendSignal(command.name, command.value), CHANGE_S)

    async def _ask(self, session_id: str | None, question: Question, timeout_s: float) -> StrategyList:
        fence(self._spec, session_id)
        session = self._handlers.session
        if session.state not in (RunState.TRADING, RunState.IMPAIRED) or session.is_over:
            raise fault(FaultCode.CONFLICT, f"the engine does not trade, it is {session.state}")
        answer = await self._questions.ask(question, timeout_s)
        return StrategyList(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            strategies=answer.strategies,
            message=answer.message,
            strategy_id=answer.strategy_id,
            not_confirmed=answer.not_confirmed,
        )

    def _policy(self, command: ChangeInEngine) -> StopPolicy:
        return command.policy or self._spec.stop_policy

    def _note(self, strategy_id: str | None, *, is_at_rest: bool) -> None:
        if strategy_id is not None:
            self._handlers.post(AtRest(strategy_id, is_at_rest))
