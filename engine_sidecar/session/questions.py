"""Questions to the engine that wait for their answers, each under a number of its own."""

import asyncio
from itertools import count
from typing import Final

from flotilla.engine_sidecar.link.asking import Answer, Ask, Intervene, Question
from flotilla.engine_sidecar.process.ports import EngineProcesses
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.states import StopPolicy

INTERVENE_S: Final = 25.0
"""How long cancelling or flattening may take at most; its answer is waited for a little longer."""
ANSWER_S: Final = 5.0


class Questions:
    """Asks, and hands each answer to whoever asked."""

    def __init__(self, processes: EngineProcesses) -> None:
        self._processes = processes
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[Answer]] = {}

    async def ask(self, question: Question, timeout_s: float) -> Answer:
        """The engine's answer. Raises FaultError: what it answered, or `outcome_unknown` when it does not in time."""
        number = next(self._numbers)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = waiting
        self._processes.send(Ask(number, question))
        try:
            async with asyncio.timeout(timeout_s):
                answer = await waiting
        except TimeoutError:
            text = f"the engine did not answer within {timeout_s:g} s; what was asked may still be done"
            raise fault(FaultCode.OUTCOME_UNKNOWN, text) from None
        finally:
            del self._open[number]
        if answer.fault is not None:
            raise FaultError(answer.fault)
        return answer

    async def withdraw(
        self, policy: StopPolicy, stop_timeout_s: float, *, is_by_person: bool = True
    ) -> Answer:
        """Has the engine cancel or flatten within the time of its stops; raises as `ask` does."""
        timeout_s = min(stop_timeout_s, INTERVENE_S)
        asked = Intervene(policy, timeout_s, is_by_person=is_by_person)
        return await self.ask(asked, timeout_s + ANSWER_S)

    def answered(self, answer: Answer) -> None:
        """An answer came; one that nobody waits for any more is dropped."""
        waiting = self._open.get(answer.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def abandon(self) -> None:
        """The engine can no longer be heard: nothing that is open will be answered."""
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(
                    fault(
                        FaultCode.OUTCOME_UNKNOWN,
                        "the engine ended before it answered; what it did is unknown",
                    )
                )
