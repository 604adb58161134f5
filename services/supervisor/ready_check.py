"""A check that has imported NautilusTrader and waits for its question: an import takes longer than all else that a push does."""

import asyncio
from concurrent.futures import Future
from typing import Final, NamedTuple

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultError
from flotilla.services.supervisor.core.check_output import READY_S, CheckOutput, Question
from flotilla.services.supervisor.ports import ContainerRuntime

log = get_logger(__name__)

AFTER_S: Final = 3.0
"""What was pushed is started next, and that comes first."""


class _Begun(NamedTuple):
    asked: Future[Question | None]
    output: asyncio.Task[CheckOutput | None]


class ReadyCheck:
    """Keeps one, from a while after somebody pushed: he will push again. It is thrown away as any check is, asked or not."""

    def __init__(
        self, runtime: ContainerRuntime, *, after_s: float = AFTER_S, keep_s: float = READY_S
    ) -> None:
        self._runtime = runtime
        self._after_s = after_s
        self._keep_s = keep_s
        self._begun: _Begun | None = None
        self._keeping: asyncio.Task[None] | None = None

    def expect(self) -> None:
        """Has one ready soon, and for as long as nobody asks, but not for ever."""
        if self._begun is None or self._begun.output.done():
            self._end_keeping()
            self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="ready check")

    async def answer(self, question: Question) -> CheckOutput | None:
        """What the one that waits has to say; None when there is none, or it died meanwhile: then another one is to be asked."""
        if self._begun is None or self._begun.output.done():
            return None
        begun = self._dismissed(question)
        output = await begun.output
        return output if output is not None and output.exit_code in (0, None) else None

    async def close(self) -> None:
        """Nothing is left of it."""
        self._end_keeping()
        if self._begun is not None:
            await self._dismissed(None).output

    async def _keep(self) -> None:
        await asyncio.sleep(self._after_s)
        asked: Future[Question | None] = Future()
        output = asyncio.get_running_loop().create_task(self._output(asked), name="check")
        self._begun = begun = _Begun(asked, output)
        await asyncio.wait((begun.output,), timeout=self._keep_s)
        if self._begun is begun:
            self._dismissed(None)

    def _end_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()

    def _dismissed(self, question: Question | None) -> _Begun:
        begun, self._begun = self._begun, None
        if begun is None:
            raise RuntimeError("no check waits")
        begun.asked.set_result(question)
        return begun

    async def _output(self, asked: Future[Question | None]) -> CheckOutput | None:
        try:
            return await self._runtime.check_when_asked(asked)
        except FaultError as error:
            log.info("no check is kept ready", fault=error.fault.message)
            return None
