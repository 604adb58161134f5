"""What an order must be like before the matching engine sees it: filters of the symbol, form of the parameters."""

import re
from decimal import Decimal

import msgspec

from exchanges.binance.core import params as read
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.params import Params
from exchanges.binance.core.state import ZERO, Account, Symbol
from exchanges.core.book import Side

PLAIN = ("LIMIT", "MARKET")
CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
TIFS = ("GTC", "IOC", "FOK", "GTX", "GTD")
WORKING = ("CONTRACT_PRICE", "MARK_PRICE")
# As the PERCENT_PRICE filter says: how far above the mark a buy, and below it a sell, may be.
UP, DOWN = Decimal("1.05"), Decimal("0.95")
SOONEST_GTD_MS = 600_000
_ID = re.compile(r"[.A-Za-z0-9:/_-]*")


class Asked(msgspec.Struct, kw_only=True):
    """An order as it was asked for, in good form. `price` is 0 at market, `qty` 0 for the whole position."""

    symbol: Symbol
    side: Side
    type: str
    tif: str
    qty: Decimal
    price: Decimal
    client_id: str
    reduce_only: bool
    position_side: str
    good_till_ms: int
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    trigger: Decimal = ZERO
    activate: Decimal = ZERO
    callback: Decimal = ZERO


def read_order(params: Params, symbol: Symbol, account: Account, now_ms: int) -> Asked:
    """An order for the matching engine.

    Raises:
        VenueError: with the venue's code, if the form or a filter is broken.
    """
    kind = read.text(params, "type")
    if kind in CONDITIONAL:
        raise VenueError(-4120)
    if kind not in PLAIN:
        raise VenueError(-1116)
    asked = _common(params, symbol, account, "newClientOrderId", now_ms)
    asked.type = kind
    if kind == "LIMIT":
        asked.price = _limit(params, symbol)
        asked.tif = _tif(params)
    asked.qty = quantity(params, symbol)
    return asked


def read_algo(params: Params, symbol: Symbol, account: Account, now_ms: int) -> Asked:
    """A conditional order, as the algo endpoint takes it.

    Raises:
        VenueError: with the venue's code, if the form or a filter is broken.
    """
    if params.get("algoType") != "CONDITIONAL":
        raise VenueError(-1102, "algoType")
    kind = read.text(params, "type")
    if kind not in CONDITIONAL:
        raise VenueError(-1116)
    asked = _common(params, symbol, account, "clientAlgoId", now_ms)
    asked.type, asked.tif = kind, _tif(params, "GTC")
    asked.close_position = read.flag(params, "closePosition")
    if asked.close_position and (
        params.get("quantity") or asked.reduce_only or kind not in ("STOP_MARKET", "TAKE_PROFIT_MARKET")
    ):
        raise VenueError(-1128)
    if not asked.close_position:
        asked.qty = quantity(params, symbol)
    if kind in ("STOP", "TAKE_PROFIT"):
        asked.price = _limit(params, symbol)
    _read_trigger(asked, params, symbol)
    return asked


def _read_trigger(asked: Asked, params: Params, symbol: Symbol) -> None:
    asked.working_type = params.get("workingType", "CONTRACT_PRICE")
    if asked.working_type not in WORKING:
        raise VenueError(-1130, "workingType")
    if asked.type != "TRAILING_STOP_MARKET":
        asked.trigger = _price(read.number(params, "triggerPrice"), symbol, -4006)
        return
    asked.callback = read.number(params, "callbackRate")
    if not Decimal("0.1") <= asked.callback <= 10:
        raise VenueError(-2007)
    if params.get("activatePrice"):
        asked.activate = _price(read.number(params, "activatePrice"), symbol, -4006)


def _common(params: Params, symbol: Symbol, account: Account, id_name: str, now_ms: int) -> Asked:
    reduce_only, position_side = read.flag(params, "reduceOnly"), params.get("positionSide", "BOTH")
    if (position_side in ("LONG", "SHORT")) != account.hedge or position_side not in (
        "BOTH",
        "LONG",
        "SHORT",
    ):
        raise VenueError(-4061)
    if account.hedge and params.get("reduceOnly"):
        raise VenueError(-1106, "reduceonly")
    return Asked(
        symbol=symbol,
        side=read.side(params),
        type="",
        tif="GTC",
        qty=ZERO,
        price=ZERO,
        client_id=_client_id(params, id_name),
        reduce_only=reduce_only,
        position_side=position_side,
        good_till_ms=_good_till(params, now_ms),
    )


def _client_id(params: Params, name: str) -> str:
    client_id = params.get(name, "")
    if len(client_id) > 36:
        raise VenueError(-4015)
    if not _ID.fullmatch(client_id):
        raise VenueError(-1100, name)
    return client_id


def _tif(params: Params, default: str = "") -> str:
    tif = params.get("timeInForce", default)
    if not tif:
        raise VenueError(-1102, "timeInForce")
    if tif not in TIFS:
        raise VenueError(-1115)
    return tif


def _good_till(params: Params, now_ms: int) -> int:
    if params.get("timeInForce") != "GTD":
        return 0
    until = read.whole(params, "goodTillDate", 0)
    if until < now_ms + SOONEST_GTD_MS:
        raise VenueError(-5040)
    return until // 1000 * 1000


def decimals(value: Decimal) -> int:
    """How many decimals a number has; zeros at the end do not count."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def quantity(params: Params, symbol: Symbol) -> Decimal:
    """A quantity that keeps to LOT_SIZE.

    Raises:
        VenueError: with the code of what is broken.
    """
    qty = read.number(params, "quantity")
    if qty <= 0:
        raise VenueError(-4003)
    if decimals(qty) > symbol.quantity_precision:
        raise VenueError(-1111)
    if qty < symbol.step:
        raise VenueError(-4004)
    if qty > symbol.max_qty:
        raise VenueError(-4005)
    if qty % symbol.step:
        raise VenueError(-4023)
    return qty


def _limit(params: Params, symbol: Symbol) -> Decimal:
    return _price(read.number(params, "price"), symbol, -4001)


def _price(price: Decimal, symbol: Symbol, not_positive: int) -> Decimal:
    """A price that keeps to PRICE_FILTER."""
    if price <= 0:
        raise VenueError(not_positive)
    if decimals(price) > symbol.price_precision:
        raise VenueError(-1111)
    if price > symbol.max_price:
        raise VenueError(-4002)
    if price < symbol.tick:
        raise VenueError(-4013)
    if price % symbol.tick:
        raise VenueError(-4014)
    return price


def limit_price(params: Params, symbol: Symbol) -> Decimal:
    """The price of a limit order.

    Raises:
        VenueError: with the code of the filter that is broken.
    """
    return _limit(params, symbol)


def check_market_rules(asked: Asked, reference: Decimal, mark: Decimal) -> None:
    """MIN_NOTIONAL and PERCENT_PRICE, which depend on where the market is. `reference` is what a market order would cost.

    Raises:
        VenueError: with the code of the filter that is broken.
    """
    notional = asked.qty * (asked.price or reference)
    if notional < asked.symbol.min_notional and not asked.reduce_only:
        raise VenueError(-4164, asked.symbol.min_notional)
    if asked.price and asked.side is Side.BUY and asked.price > mark * UP:
        raise VenueError(-4016, asked.symbol.text(mark * UP))
    if asked.price and asked.side is Side.SELL and asked.price < mark * DOWN:
        raise VenueError(-4024, asked.symbol.text(mark * DOWN))
