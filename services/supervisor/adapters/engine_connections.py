"""Who is on the bus in the account of engines, as nats-server tells it."""

from datetime import datetime

import msgspec

from flotilla.bus.crossing import session_of
from flotilla.bus.server_accounts import ServerAccounts, unavailable
from flotilla.bus.settings import mark_of
from flotilla.services.supervisor.core.strangers import Connection


class _Connection(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a connection in the server's `/connz`; names as there."""

    cid: int
    authorized_user: str = ""
    tags: tuple[str, ...] = ()
    name: str = ""
    ip: str = ""
    port: int = 0
    start: datetime


class EngineConnections:
    """See Connections."""

    def __init__(self, accounts: ServerAccounts, account: str) -> None:
        self._accounts = accounts
        self._account = account

    async def list(self) -> tuple[Connection, ...]:
        """See Connections."""
        told = await self._accounts.connections(self._account)
        try:
            found = msgspec.convert(told, tuple[_Connection, ...])
        except msgspec.ValidationError as error:
            raise unavailable(str(error)) from error
        return tuple(
            Connection(
                cid=each.cid,
                session_id=session_of(each.tags),
                user=each.authorized_user,
                mark=mark_of(each.name),
                address=f"{each.ip}:{each.port}",
                since=each.start,
            )
            for each in found
        )

    async def close(self) -> None:
        """See Connections."""
        await self._accounts.close()
