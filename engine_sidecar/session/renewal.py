"""Keeps the session's bus credential good: it ends within the hour, and the supervisor of this host renews it before.

The question goes over a connection of its own with the session's second credential, which can ask for this and nothing else. So it can be
asked, too, when the first has ended because nobody renewed it in time: an engine trades on meanwhile, and its events wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.jwt import with_claims
from flotilla.bus.logs import get_logger
from flotilla.bus.settings import BusSettings, renewal_name
from flotilla.engine_sidecar.outbox.publisher import OF_PROCESS
from flotilla.schemas.contract import RENEW_CREDENTIAL
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import Launch, RenewCredential, RenewedCredential

log = get_logger(__name__)

_FIRST_OF: Final = 3
"""It is asked when a third of the time is over, so that two thirds are left to find somebody who renews it."""
_RETRY_OF: Final = 60
_LONGEST_RETRY_S: Final = 15.0


class Renewal:
    """`creds` is the text of the session's credentials file as it is now."""

    def __init__(self, launch: Launch, connect: Callable[[BusSettings], Awaitable[Bus]]) -> None:
        self.creds = launch.bus.creds
        self._spec = launch.spec
        self._host = launch.host
        self._access = launch.bus
        self._renewal = launch.bus.renewal
        self._life_s = float(launch.bus.life_s)
        self._connect = connect

    async def run(self, renewed: Callable[[str], None]) -> None:
        """Renews until it is cancelled, and hands each new JWT to `renewed`; returns at once where credentials do not end."""
        if not self._renewal:
            return
        await asyncio.sleep(self._life_s / _FIRST_OF)
        while True:
            try:
                answer = await self._ask()
            except FaultError as error:
                # Nobody renews just now: that may go on for long, and the engine trades on.
                log.warning("bus credential not renewed yet", error=str(error))
                pause_s = min(self._life_s / _RETRY_OF, _LONGEST_RETRY_S)
            except Exception:
                log.exception("bus credential not renewed yet")
                pause_s = min(self._life_s / _RETRY_OF, _LONGEST_RETRY_S)
            else:
                pause_s = self._take(answer)
                renewed(answer.jwt)
            await asyncio.sleep(pause_s)

    def _take(self, answer: RenewedCredential) -> float:
        """Seconds until the next one is asked for."""
        self.creds = with_claims(self.creds, answer.jwt)
        self._renewal = with_claims(self._renewal, answer.renewal)
        self._life_s = float(answer.life_s)
        log.info("bus credential renewed", life_s=answer.life_s)
        return self._life_s / _FIRST_OF

    async def _ask(self) -> RenewedCredential:
        name = renewal_name(self._spec.instance_id, self._spec.session_id)
        bus = await self._connect(
            BusSettings(
                url=self._access.url, name=name, creds=self._renewal, ca=self._access.ca, mark=OF_PROCESS
            )
        )
        try:
            return await bus.call(RENEW_CREDENTIAL, RenewCredential(), host=self._host)
        finally:
            await bus.close()
