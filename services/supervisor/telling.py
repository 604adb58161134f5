"""Tells the fleet's audit of what this host was asked directly: emergency stops by people, and whatever else went past the orchestrator."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.bus.blanking import blanked, blanked_text
from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import Witnessed
from flotilla.bus.logs import get_logger
from flotilla.bus.receipts import stopped_text
from flotilla.schemas.audit import Caller, HostCommand
from flotilla.schemas.contract import HOST_COMMAND, HOST_EMERGENCY_STOP, HOST_LIFT_STOP, Actor
from flotilla.schemas.fault import FaultError
from flotilla.schemas.ids import is_request_id, new_request_id
from flotilla.schemas.session import EmergencyStop, HostStopped, StopFlags

log = get_logger(__name__)

MOST: Final = 1_000
RETRY_S: Final = 1.0
LEFT: Final = Caller(name="whoever may write to the state folder", via="file")


class CommandTeller:
    """Keeps what is to be told until the bus has taken it; while it is away for very long the oldest is given up, and logged."""

    def __init__(self, bus: Bus, host: str, now: Callable[[], datetime]) -> None:
        self._bus = bus
        self._host = host
        self._now = now
        self._waiting: deque[HostCommand] = deque()
        self._has_news = asyncio.Event()

    def saw(self, seen: Witnessed) -> None:
        """Takes note of a command, unless the orchestrator gave it: that has its own record."""
        if seen.caller.credential == Actor.ORCHESTRATOR:
            return
        body = blanked(seen.body)
        said: dict[str, Any] = msgspec.json.decode(body) if body is not None else {}
        about = said.get("instance_id") or said.get("session_id") or "all"
        self._tell(
            HostCommand(
                host=self._host,
                at=self._now(),
                request_id=_request_id(said.get("request_id")),
                subject=seen.call.subject,
                about=_text(about),
                caller=seen.caller,
                body=said if body is not None else None,
                code=seen.problem.code if seen.problem else None,
                message=blanked_text(seen.problem.message, seen.body) if seen.problem else _outcome(seen),
            )
        )

    def carried_out(self, request: EmergencyStop, done: HostStopped) -> None:
        """Takes note of a stop that was left in the state folder."""
        self._tell(
            HostCommand(
                host=self._host,
                at=self._now(),
                request_id=request.request_id or new_request_id(),
                subject=HOST_EMERGENCY_STOP.subject,
                about=request.instance_id or "all",
                caller=LEFT,
                body=msgspec.to_builtins(request),
                message=stopped_text(done),
            )
        )

    async def run(self) -> None:
        """Publishes, in order, until cancelled."""
        while True:
            await self._has_news.wait()
            while self._waiting:
                told = self._waiting[0]
                try:
                    await self._bus.publish_durable(
                        HOST_COMMAND, told, message_id=f"{told.request_id}-{told.at}", host=self._host
                    )
                except FaultError as error:
                    log.info("audit waits for the bus", entries=len(self._waiting), error=str(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                if self._waiting and self._waiting[0] is told:
                    self._waiting.popleft()
            self._has_news.clear()

    def _tell(self, told: HostCommand) -> None:
        if len(self._waiting) >= MOST:
            lost = self._waiting.popleft()
            log.error("the audit never hears of a command", request_id=lost.request_id, subject=lost.subject)
        self._waiting.append(told)
        self._has_news.set()


def _outcome(seen: Witnessed) -> str:
    if seen.call is HOST_EMERGENCY_STOP:
        return stopped_text(msgspec.json.decode(seen.answer, type=HostStopped))
    if seen.call is HOST_LIFT_STOP:
        left = msgspec.json.decode(seen.answer, type=StopFlags)
        return f"{len(left.flags)} stops are still in force"
    return ""


def _request_id(value: object) -> str:
    """The id of the request; a new one for what is none, which may be of any length and belongs into no header."""
    return value if isinstance(value, str) and is_request_id(value) else new_request_id()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
