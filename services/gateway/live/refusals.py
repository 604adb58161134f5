"""Tells the audit of requests that were turned away here; a flood of them from one address is one entry a minute."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from flotilla.bus.blanking import blanked_text
from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.audit import Caller, GatewayRefusal
from flotilla.schemas.contract import GATEWAY_REFUSAL
from flotilla.schemas.fault import Fault, FaultError

log = get_logger(__name__)

WINDOW_S: Final = 60.0
MOST_KINDS: Final = 100
"""Of addresses, routes and codes in a minute that have entries of their own; all others share one for each code."""
MOST: Final = 1_000
RETRY_S: Final = 1.0
_LONGEST: Final = 500

type _Kind = tuple[str, str, str, str]


class Refusals:
    """Keeps what is to be told until the bus has taken it; while it is away for very long the oldest is given up, and logged."""

    def __init__(self, bus: Bus, now: Callable[[], datetime]) -> None:
        self._bus = bus
        self._now = now
        self._again: dict[_Kind, GatewayRefusal | None] = {}
        self._waiting: deque[GatewayRefusal] = deque()
        self._has_news = asyncio.Event()

    def saw(self, request_id: str, subject: str, caller: Caller, problem: Fault) -> None:
        """Takes note of a request that was turned away: `subject` is its method and the path of its route."""
        refusal = GatewayRefusal(
            at=self._now(),
            request_id=request_id,
            subject=subject,
            caller=caller,
            code=problem.code,
            message=blanked_text(problem.message)[:_LONGEST],
        )
        kind = (caller.origin, caller.name, subject, str(problem.code))
        if kind not in self._again and len(self._again) >= MOST_KINDS:
            kind = ("", "", "", str(problem.code))
            refusal = msgspec.structs.replace(
                refusal, subject="many", caller=Caller(via="rest"), message="from many addresses"
            )
        if kind not in self._again:
            self._again[kind] = None
            self._tell(refusal)
        else:
            before = self._again[kind]
            count = before.count + 1 if before else 1
            self._again[kind] = msgspec.structs.replace(refusal, count=count)

    def end_window(self) -> None:
        """Tells what came again since the last one, of each kind as one."""
        repeated, self._again = self._again, {}
        for kind, refusal in repeated.items():
            if refusal is not None:
                self._again[kind] = None
                self._tell(refusal)

    async def run(self) -> None:
        """Publishes, in order, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._windows(), name="windows")
            group.create_task(self._publish(), name="publish")

    async def _windows(self) -> None:
        while True:
            await asyncio.sleep(WINDOW_S)
            self.end_window()

    async def _publish(self) -> None:
        while True:
            await self._has_news.wait()
            while self._waiting:
                refusal = self._waiting[0]
                try:
                    await self._bus.publish_durable(
                        GATEWAY_REFUSAL, refusal, message_id=f"{refusal.request_id}-{refusal.at}"
                    )
                except FaultError as error:
                    log.info("audit waits for the bus", entries=len(self._waiting), error=str(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                if self._waiting and self._waiting[0] is refusal:
                    self._waiting.popleft()
            self._has_news.clear()

    def _tell(self, refusal: GatewayRefusal) -> None:
        if len(self._waiting) >= MOST:
            lost = self._waiting.popleft()
            log.error("the audit never hears of a refusal", request_id=lost.request_id, subject=lost.subject)
        self._waiting.append(refusal)
        self._has_news.set()
