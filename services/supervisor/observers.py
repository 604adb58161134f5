"""Lets observers onto the bus, and puts them off it: the server's accounts follow the file of tokens, which `flotilla access` writes."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.bus.observers import AccountClaims, WantedAccounts, accounts_of, is_observer, to_tell
from flotilla.bus.server_accounts import ServerAccounts
from flotilla.bus.tokens import read_tokens
from flotilla.schemas.access import TokenRecord
from flotilla.schemas.fault import FaultError

log = get_logger(__name__)

LOOK_S: Final = 0.2
"""Between two looks at the file."""
COMPARE_S: Final = 30.0
"""Between two looks at what the server has while the file stays as it is: it may have been started anew."""


def _utc() -> datetime:
    return datetime.now(UTC)


class Observers:
    """One supervisor of a fleet is told where the file is. A file that cannot be read lets nobody in, as at the gateway."""

    def __init__(
        self,
        tokens: Path,
        accounts: ServerAccounts,
        *,
        fleet: str,
        engines: str,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        """`fleet` and `engines` are the public keys of the other two accounts."""
        self._tokens = tokens
        self._accounts = accounts
        self._fleet = fleet
        self._engines = engines
        self._now = now
        self._stamp: tuple[int, ...] | None = None
        self._records: tuple[TokenRecord, ...] = ()
        self._problem = ""

    async def run(self) -> None:
        """Follows the file, also while the server is away, until cancelled."""
        loop = asyncio.get_running_loop()
        told: WantedAccounts | None = None
        again_at = 0.0
        while True:
            wanted = self._wanted()
            if wanted != told or loop.time() >= again_at:
                try:
                    await self._tell(wanted)
                except FaultError as error:
                    self._complain("observers not brought up to date", str(error))
                else:
                    told, again_at, self._problem = wanted, loop.time() + COMPARE_S, ""
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Lets go of the connection; what was not told yet the next supervisor tells."""
        await self._accounts.close()

    def _wanted(self) -> WantedAccounts:
        try:
            info = os.stat(self._tokens)
            stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
            if stamp != self._stamp:
                self._records, self._stamp = read_tokens(self._tokens), stamp
        except FileNotFoundError:
            self._records, self._stamp = (), None
        except OSError as error:
            self._records, self._stamp = (), None
            self._complain("tokens unreadable: observers are let in no more", str(error))
        return accounts_of(self._records, self._now(), fleet=self._fleet, engines=self._engines)

    async def _tell(self, wanted: WantedAccounts) -> None:
        known = [await self._known(account) for account in await self._accounts.keys()]
        for each in to_tell(wanted, (one for one in known if is_observer(one.name))):
            await self._accounts.tell(each.account, each.name, each.claims)
            log.info("observer let in" if each.account in wanted else "observer put off", account=each.name)

    async def _known(self, account: str) -> AccountClaims:
        claims = await self._accounts.look_up(account)
        return AccountClaims(account, str(claims.get("name", "")), claims.get("nats", {}))

    def _complain(self, what: str, error: str) -> None:
        if error != self._problem:
            log.warning(what, error=error)
        self._problem = error
