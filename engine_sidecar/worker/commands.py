"""What a worker is told over the bus: to stop, to end a trial, or to say what it was told to run."""

import asyncio
from collections.abc import Callable

from flotilla.engine_sidecar.session.bus_session import Served
from flotilla.engine_sidecar.session.handlers import fence
from flotilla.engine_sidecar.worker.trial import Trial
from flotilla.engine_sidecar.worker.trial_end import TrialKill
from flotilla.schemas import contract
from flotilla.schemas.backtest import CancelTrial, TrialGone
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.session import CommandAccepted, EndNow, EngineCommand, SessionEnded, SessionSpec
from flotilla.schemas.states import RunState
from flotilla.schemas.strategy import LookIntoEngine
from flotilla.schemas.telemetry import StateChange


class WorkerCommands:
    """Answers for one worker. `trials` are those that run, `stop` begins the end of the worker."""

    def __init__(
        self, spec: SessionSpec, trials: Callable[[], tuple[Trial, ...]], stop: Callable[[], None]
    ) -> None:
        self._spec, self._trials, self._stop = spec, trials, stop

    @property
    def served(self) -> Served:
        """The calls that they are, each with what answers it."""
        return (
            (contract.COMMAND_STOP, self.stop),
            (contract.COMMAND_END_NOW, self.end_now),
            (contract.COMMAND_DESCRIBE, self.describe),
            (contract.COMMAND_CANCEL_TRIAL, self.cancel),
        )

    async def stop(self, command: EngineCommand) -> CommandAccepted:
        """Ends the worker; its trials are given back to the queue."""
        fence(self._spec, command.session_id)
        self._stop()
        return CommandAccepted(
            instance_id=self._spec.instance_id,
            session_id=self._spec.session_id,
            request_id=command.request_id or new_request_id(),
            message="stopping; trials go back to the queue",
            is_taken=True,
        )

    async def end_now(self, command: EndNow) -> SessionEnded:
        """The same at once: a worker has neither orders nor positions."""
        fence(self._spec, command.session_id)
        for trial in self._trials():
            trial.kill(TrialKill.LEFT)
        self._stop()
        end = StateChange(state=RunState.STOPPED, detail="a worker trades nothing")
        return SessionEnded(instance_id=self._spec.instance_id, session_id=self._spec.session_id, end=end)

    async def describe(self, question: LookIntoEngine) -> SessionSpec:
        """What the worker was told to run."""
        fence(self._spec, question.session_id)
        return self._spec

    async def cancel(self, command: CancelTrial) -> TrialGone:
        """Kills a trial's process and answers when it is gone. Raises `not_found` when it does not run here."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = next((trial for trial in self._trials() if trial.backtest_id == command.backtest_id), None)
        if found is None:
            raise fault(FaultCode.NOT_FOUND, f"backtest {command.backtest_id} does not run here")
        pid = found.pid
        found.kill(TrialKill.CANCEL)
        await found.gone()
        milliseconds = round((loop.time() - began) * 1000, 1)
        return TrialGone(backtest_id=command.backtest_id, pid=pid, milliseconds=milliseconds)
