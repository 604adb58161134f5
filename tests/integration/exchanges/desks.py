"""The OKX and the Interactive Brokers exchange under one set of verbs, for what engines of ours have to do on both."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Protocol

from tests.integration.exchanges.engines import Reached
from tests.integration.exchanges.ib_running import Gateway, gateway_here
from tests.integration.exchanges.okx_running import OkxVenue
from tests.integration.exchanges.okx_running import exchange_here as okx_here
from tests.integration.exchanges.running import Trade, until

OKX_KEYS = {"api_key": "test-key", "api_secret": "test-secret", "api_passphrase": "test-phrase"}


def okx_secret(http: str, ws: str) -> dict[str, Any]:
    """What the secret of a rehearsal on the OKX exchange has: the two clients speak to two sockets."""
    return OKX_KEYS | {
        "base_url_http": http,
        "data": {"base_url_ws": f"{ws}/ws/v5/public"},
        "execution": {"base_url_ws": f"{ws}/ws/v5/private"},
    }


class Desk(Protocol):
    """An exchange; quantities are texts as the engine shows them."""

    name: str
    instrument: str
    wrong: str
    """What the start says of credentials that the venue does not know."""

    def reached(self, *, is_known: bool = True) -> Reached: ...
    async def in_parts(self, parts: int) -> None: ...
    async def fill(self, client_id: str, qty: str) -> None: ...
    async def hand(self, qty: str) -> None: ...
    async def resting(self) -> str | None: ...
    async def held(self) -> Decimal: ...
    async def orders(self) -> int: ...
    async def trades(self) -> list[Trade]: ...
    def away(self) -> Any: ...


class Okx:
    """Contracts of BTC-USDT-SWAP."""

    name, instrument, wrong = "OKX", "BTC-USDT-SWAP.OKX", "50111"

    def __init__(self, venue: OkxVenue) -> None:
        self.venue = venue

    def reached(self, *, is_known: bool = True) -> Reached:
        common = {"instrument_types": ["SWAP"], "environment": "DEMO"}
        secret = okx_secret(self.venue.http, self.venue.ws)
        return Reached(
            name=self.name,
            adapter="okx",
            instrument=self.instrument,
            data=common,
            execution=common | {"margin_mode": "CROSS"},
            secret=secret if is_known else secret | {"api_key": "somebody-else"},
        )

    async def in_parts(self, parts: int) -> None:
        await self.venue.control("conduct", parts=parts)

    async def fill(self, client_id: str, qty: str) -> None:
        await self.venue.control("fill", client_id=client_id, qty=qty)

    async def hand(self, qty: str) -> None:
        await self.venue.control("hand_position", instrument="BTC-USDT-SWAP", qty=qty, price="50000")

    async def resting(self) -> str | None:
        orders = (await self.venue.account())["orders"]
        return next(
            (each["clOrdId"] for each in orders if each["state"] in ("live", "partially_filled")), None
        )

    async def held(self) -> Decimal:
        return sum((Decimal(each["amount"]) for each in (await self.venue.account())["positions"]), Decimal())

    async def orders(self) -> int:
        return len((await self.venue.account())["orders"])

    async def trades(self) -> list[Trade]:
        return await self.venue.trades()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nobody is connected within the block; afterwards all are again."""
        before = await self.venue.control("connections")
        await self.venue.control("down")
        yield
        await self.venue.control("up")

        async def back() -> bool:
            return bool(await self.venue.control("connections") == before)

        await until(back, "the sockets")


class Ib:
    """Shares of AAPL."""

    name, instrument, wrong = "IB", "AAPL.NASDAQ", "DU7654321"

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def reached(self, *, is_known: bool = True) -> Reached:
        place = {"ibg_host": "127.0.0.1", "ibg_port": self.gateway.port}
        return Reached(
            name=self.name,
            adapter="interactive_brokers",
            instrument=self.instrument,
            data=place | {"use_regular_trading_hours": False},
            execution=place | {"account_id": "DU1234567" if is_known else "DU7654321"},
            secret={},
        )

    async def in_parts(self, parts: int) -> None:
        await self.gateway.control("conduct", parts=parts)

    async def fill(self, client_id: str, qty: str) -> None:
        await self.gateway.control("fill", ref=client_id, qty=qty)

    async def hand(self, qty: str) -> None:
        await self.gateway.control("hand_position", symbol="AAPL", qty=qty, price="190")

    async def resting(self) -> str | None:
        orders = (await self.gateway.account())["orders"]
        return next(
            (
                each["ref"].partition(":")[0]
                for each in orders
                if each["status"] in ("Submitted", "PreSubmitted")
            ),
            None,
        )

    async def held(self) -> Decimal:
        return await self.gateway.held()

    async def orders(self) -> int:
        return len((await self.gateway.account())["orders"])

    async def trades(self) -> list[Trade]:
        return await self.gateway.trades()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        before = (await self.gateway.control("connections"))["clients"]
        await self.gateway.control("down", seconds=0)
        yield
        await self.gateway.control("up")

        async def back() -> bool:
            return Counter((await self.gateway.control("connections"))["clients"]) == Counter(before)

        await until(back, "the clients")


@asynccontextmanager
async def desk(name: str) -> AsyncIterator[Desk]:
    """The exchange of that name on free ports of this process, its market pinned."""
    if name == "OKX":
        async with okx_here() as venue:
            yield Okx(venue)
    else:
        async with gateway_here() as gateway:
            yield Ib(gateway)
