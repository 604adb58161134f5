"""The exchanges that engines are let loose on: how one is run, what an engine is told of it, and its ledger in the judge's words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec

from exchanges.binance.__main__ import CHAOS as BINANCE_CHAOS
from exchanges.core.faults import Planned
from exchanges.okx.__main__ import CHAOS as OKX_CHAOS
from flotilla.schemas.config import VenueChoice
from tests.integration.exchanges.running import Venue, exchange
from tests.venues.judge import Ledger, Order, Position, Trade

_MS: Final = 1_000_000
_UP_S: Final = 180.0
"""How long an exchange may take until it listens: what a loaded machine needs is not what is counted."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A venue. `endpoints` and the `keys` of an account go into the secret, `config` into the configuration; `account` is the form of --account,
    `orders` are the requests that place and cancel, `refusals` how they are refused: where stops are counted. `piece` is what a resting
    order is filled by at a time where kills are."""

    name: str
    adapter: str
    module: str
    symbol: str
    instrument: str
    config: Mapping[str, Any]
    keys: Callable[[str], dict[str, str]]
    account: str
    endpoints: Callable[[Venue], dict[str, Any]]
    read: Callable[[Mapping[str, Any], str], Ledger]
    chaos: Sequence[Planned]
    orders: Sequence[str]
    refusals: Sequence[Mapping[str, Any]]
    piece: str
    strategy: Mapping[str, Any] = {}

    def choice(self, secret: str) -> VenueChoice:
        """What an engine is configured with."""
        return VenueChoice(name=self.name, adapter=self.adapter, config=dict(self.config), secret=secret)

    async def ledger(self, venue: Venue, account: str) -> Ledger:
        """What the exchange has of an account now."""
        return self.read((await venue.control("ledger"))["accounts"][account], self.symbol)


def _binance_ledger(account: Mapping[str, Any], symbol: str) -> Ledger:
    orders = {each["orderId"]: each for each in account["orders"] if each["symbol"] == symbol}
    held = next((each for each in account["positions"] if each["symbol"] == symbol), None)
    return Ledger(
        trades=tuple(
            Trade(
                id=str(each["id"]),
                order=orders[each["orderId"]]["clientOrderId"],
                qty=Decimal(each["qty"]) * (1 if each["side"] == "BUY" else -1),
                price=Decimal(each["price"]),
                commission=Decimal(each["commission"]),
            )
            for each in account["fills"]
            if each["symbol"] == symbol
        ),
        orders=tuple(
            Order(each["clientOrderId"], each["time"] * _MS, each["status"] in ("NEW", "PARTIALLY_FILLED"))
            for each in orders.values()
        ),
        position=Position(Decimal(held["amount"]), Decimal(held["entry"])) if held else Position(),
    )


BINANCE: Final = Place(
    name="BINANCE",
    adapter="binance",
    module="exchanges.binance",
    symbol="BTCUSDT",
    instrument="BTCUSDT-PERP.BINANCE",
    config={"account_type": "USDT_FUTURES"},
    keys=lambda account: {"api_key": f"key-{account}", "api_secret": f"secret-{account}"},
    account="{0}:key-{0}:secret-{0}",
    endpoints=lambda venue: {
        "base_url_http": venue.http,
        "base_url_ws": venue.ws,
        "base_url_ws_stream": venue.ws,
    },
    read=_binance_ledger,
    chaos=BINANCE_CHAOS,
    orders=(
        "POST /fapi/v1/order",
        "DELETE /fapi/v1/order",
        "DELETE /fapi/v1/allOpenOrders",
        "DELETE /fapi/v1/batchOrders",
    ),
    refusals=(
        {"status": 400, "code": -2011, "msg": "Unknown order sent."},
        {"status": 400, "code": -2022, "msg": "ReduceOnly Order is rejected."},
        {"status": 503, "code": -1001, "msg": "Internal error; unable to process your request."},
    ),
    piece="0.004",
)


def _okx_ledger(account: Mapping[str, Any], symbol: str) -> Ledger:
    orders = {each["ordId"]: each for each in account["orders"] if each["instId"] == symbol}
    # The venue's own orders, and those of positions by hand, have no id of a client.
    names = {
        number: each["clOrdId"] or each["algoClOrdId"] or f"venue-{number}" for number, each in orders.items()
    }
    held = next((each for each in account["positions"] if each["instrument"] == symbol), None)
    return Ledger(
        trades=tuple(
            Trade(
                id=each["tradeId"],
                order=names[each["ordId"]],
                qty=Decimal(each["fillSz"]) * (1 if each["side"] == "buy" else -1),
                price=Decimal(each["fillPx"]),
                commission=-Decimal(each["fee"]),
            )
            for each in account["fills"]
            if each["instId"] == symbol
        ),
        orders=tuple(
            Order(names[number], int(each["cTime"]) * _MS, each["state"] in ("live", "partially_filled"))
            for number, each in orders.items()
        ),
        position=Position(Decimal(held["amount"]), Decimal(held["entry"])) if held else Position(),
    )


OKX: Final = Place(
    name="OKX",
    adapter="okx",
    module="exchanges.okx",
    symbol="BTC-USDT-SWAP",
    instrument="BTC-USDT-SWAP.OKX",
    config={"instrument_types": ["SWAP"], "execution": {"margin_mode": "CROSS"}},
    keys=lambda account: {
        "api_key": f"key-{account}",
        "api_secret": f"secret-{account}",
        "api_passphrase": f"phrase-{account}",
    },
    account="{0}:key-{0}:secret-{0}:phrase-{0}",
    endpoints=lambda venue: {
        "base_url_http": venue.http,
        "data": {"base_url_ws": f"{venue.ws}/ws/v5/public"},
        "execution": {"base_url_ws": f"{venue.ws}/ws/v5/private"},
    },
    read=_okx_ledger,
    chaos=OKX_CHAOS,
    orders=(
        "WS order",
        "WS batch-orders",
        "WS cancel-order",
        "WS batch-cancel-orders",
        "POST /api/v5/trade/order",
        "POST /api/v5/trade/cancel-order",
        "POST /api/v5/trade/cancel-batch-orders",
    ),
    refusals=(
        {
            "code": 51400,
            "msg": "Cancellation failed as the order has been filled, canceled or does not exist.",
        },
        {"code": 51169, "msg": "Order failed because you don't have any positions to reduce."},
        {"code": 50001, "msg": "Service temporarily unavailable. Try again later."},
    ),
    piece="0.8",
    strategy={"size": "2", "most": "20", "resting": "10"},
)
PLACES: Final = {"binance": BINANCE, "okx": OKX}


@asynccontextmanager
async def running(place: Place, seed: int, accounts: Sequence[str] = ("main",)) -> AsyncIterator[Venue]:
    """An exchange of that kind on free ports."""
    options = [f"--account={place.account.format(name)}" for name in accounts]
    arguments = ("--quiet", "--seed", str(seed), "--interval", "0.1", *options)
    async with exchange(*arguments, module=place.module, deadline_s=_UP_S) as venue:
        yield venue


async def until(look: Callable[[], Awaitable[object]], what: str, timeout_s: float = 30.0) -> object:
    """The first answer of `look` that is something. Raises TimeoutError, which says what was waited for."""
    try:
        async with asyncio.timeout(timeout_s):
            while not (found := await look()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {timeout_s:g} s") from None
