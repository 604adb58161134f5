"""What is asked about an account, and what it may set."""

from decimal import Decimal

from exchanges.okx.core import money, read
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.orders_read import Body, page
from exchanges.okx.core.state import ZERO, Account, Bill, Position, plain
from exchanges.okx.core.venue import Params, Venue

_NO_TOTALS = ["borrowFroz", "notionalUsdForBorrow", "notionalUsdForFutures", "notionalUsdForOption", "delta"]
_NO_DETAILS = [
    "borrowFroz",
    "crossLiab",
    "interest",
    "isoLiab",
    "liab",
    "maxLoan",
    "spotInUseAmt",
    "clSpotInUseAmt",
    "maxSpotInUseAmt",
    "spotBal",
    "totalPnl",
    "uplLiab",
    "accAvgPx",
    "openAvgPx",
    "spotUpl",
    "spotUplRatio",
    "totalPnlRatio",
]
_ZERO_DETAILS = [
    "smtSyncEq",
    "spotCopyTradingEq",
    "fixedBal",
    "isoEq",
    "isoUpl",
    "rewardBal",
    "spotIsoBal",
    "stgyEq",
    "twap",
    "disEq",
]
_NO_POSITION = [
    "baseBal",
    "quoteBal",
    "interest",
    "optVal",
    "pendingCloseOrdLiabVal",
    "posCcy",
    "quoteBorrowed",
    "quoteInterest",
    "spotInUseAmt",
    "spotInUseCcy",
    "liqPx",
    "imr",
    "bizRefId",
    "bizRefType",
]


def balance(venue: Venue, account: Account, _: Params) -> list[Body]:
    """The balance of the account: all of it is USDT."""
    instruments, marks = venue.state.instruments, venue.marks()
    equity = money.equity(account, instruments, marks)
    held = money.position_margin(account, instruments, marks)
    opening = money.order_margin(account, instruments, venue.open_orders(account))
    maintenance = money.maintenance_margin(account, instruments, marks)
    worth = sum((money.notional(p, instruments, marks) for p in account.held()), ZERO)
    free, now = plain(max(ZERO, equity - held - opening)), str(venue.now_ms)
    sums = {
        "imr": plain(held + opening),
        "mmr": plain(maintenance),
        "mgnRatio": plain((equity / maintenance).quantize(Decimal("0.0001"))) if maintenance else "",
        "upl": plain(equity - account.wallet),
        "uTime": now,
    }
    detail: Body = {
        **dict.fromkeys(_NO_DETAILS, ""),
        **dict.fromkeys(_ZERO_DETAILS, "0"),
        **sums,
        "ccy": "USDT",
        "cashBal": plain(account.wallet),
        "eq": plain(equity),
        "eqUsd": plain(equity),
        "availBal": free,
        "availEq": free,
        "frozenBal": plain(held + opening),
        "ordFrozen": plain(opening),
        "notionalLever": plain((worth / equity).quantize(Decimal("0.0001"))) if equity > 0 else "0",
        "collateralEnabled": False,
    }
    return [
        {
            **dict.fromkeys(_NO_TOTALS, ""),
            **sums,
            "adjEq": plain(equity),
            "isoEq": "0",
            "ordFroz": plain(opening),
            "notionalUsd": plain(worth),
            "notionalUsdForSwap": plain(worth),
            "totalEq": plain(equity),
            "details": [detail],
        }
    ]


def positions(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Positions that are not flat."""
    if str(params.get("instType", "") or "SWAP") != "SWAP":
        return []
    names = [name for name in str(params.get("instId", "")).split(",") if name]
    return [position_body(venue, account, p) for p in account.held() if not names or p.instrument in names]


def position_body(venue: Venue, account: Account, position: Position) -> Body:
    """A position."""
    instruments, marks = venue.state.instruments, venue.marks()
    instrument, mark = instruments[position.instrument], marks[position.instrument]
    worth, profit = (f(position, instruments, marks) for f in (money.notional, money.unrealized))
    leverage = money.leverage(account, position.instrument)
    margin = worth / leverage
    ratio = plain((profit / margin).quantize(Decimal("0.0001"))) if margin else "0"
    return {
        **dict.fromkeys(_NO_POSITION, ""),
        "instType": "SWAP",
        "instId": position.instrument,
        "mgnMode": "cross",
        "posId": str(position.id),
        "posSide": "net",
        "pos": plain(position.amount),
        "availPos": plain(position.amount),
        "avgPx": plain(position.entry) if position.amount else "",
        "bePx": plain(position.entry) if position.amount else "",
        "ccy": "USDT",
        "lever": str(leverage),
        "last": instrument.text(venue.last[position.instrument]),
        "markPx": instrument.text(mark),
        "idxPx": instrument.text(mark),
        "usdPx": "1",
        "notionalUsd": plain(worth),
        "margin": "",
        "mgnRatio": "",
        "mmr": plain(worth * money.MAINTENANCE),
        "upl": plain(profit),
        "uplRatio": ratio,
        "uplLastPx": plain(profit),
        "uplRatioLastPx": ratio,
        "adl": "1",
        "pnl": plain(position.realized),
        "fee": plain(-position.fee),
        "fundingFee": plain(position.funding),
        "liqPenalty": "0",
        "realizedPnl": plain(position.realized - position.fee + position.funding),
        "tradeId": str(position.trade_id),
        "closeOrderAlgo": [],
        "cTime": str(position.since_ms),
        "uTime": str(position.updated_ms),
    }


def config(_: Venue, account: Account, __: Params) -> list[Body]:
    """The settings of the account."""
    return [
        {
            "uid": account.name,
            "mainUid": account.name,
            "acctLv": "2",
            "posMode": "net_mode",
            "autoLoan": False,
            "level": "Lv1",
            "ctIsoMode": "automatic",
            "perm": "read_only,trade" if account.can_trade else "read_only",
        }
    ]


def trade_fee(venue: Venue, _: Account, __: Params) -> list[Body]:
    """The fees: negative is paid."""
    rates = {"maker": plain(-money.MAKER), "taker": plain(-money.TAKER)}
    return [
        {
            "category": "1",
            "delivery": "",
            "exercise": "",
            "instType": "SWAP",
            "level": "Lv1",
            **rates,
            "makerU": rates["maker"],
            "takerU": rates["taker"],
            "makerUSDC": "",
            "takerUSDC": "",
            "uly": "",
            "ts": str(venue.now_ms),
        }
    ]


def leverage_info(venue: Venue, account: Account, params: Params) -> list[Body]:
    """The leverage of instruments."""
    names = [name for name in str(params.get("instId", "")).split(",") if name]
    found = [venue.instrument({"instId": name}) for name in names]
    return [_leverage(account, instrument.name) for instrument in found]


def _leverage(account: Account, name: str) -> Body:
    lever = str(money.leverage(account, name))
    return {"instId": name, "mgnMode": "cross", "posSide": "net", "lever": lever}


def set_leverage(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Sets the leverage of an instrument.

    Raises:
        VenueError: 59102 if it has no such leverage, 51008 if the position would need more margin than there is.
    """
    instrument, leverage = venue.instrument(params), read.whole(params, "lever")
    if not 1 <= leverage <= instrument.max_leverage:
        raise VenueError(59102)
    before = money.leverage(account, instrument.name)
    account.leverage[instrument.name] = leverage
    if leverage < before and venue.free_margin(account) < 0:
        account.leverage[instrument.name] = before
        raise VenueError(51008)
    return [_leverage(account, instrument.name)]


def set_position_mode(_: Venue, __: Account, params: Params) -> list[Body]:
    """Net mode is the only one.

    Raises:
        VenueError: 51010 for another.
    """
    if params.get("posMode") != "net_mode":
        raise VenueError(51010)
    return [{"posMode": "net_mode"}]


def bills(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Transfers and funding, newest first: types 1 and 8."""
    kind = str(params.get("type", ""))
    found = [
        bill for bill in venue.state.bills if bill.account == account.name and kind in ("", _TYPES[bill.kind])
    ]
    return [_bill(bill) for bill in page(params, found)]


_TYPES = {"TRANSFER": "1", "FUNDING": "8"}


def _bill(bill: Bill) -> Body:
    return {
        "billId": str(bill.id),
        "type": _TYPES[bill.kind],
        "instId": bill.instrument,
        "instType": "SWAP" if bill.instrument else "",
        "ccy": "USDT",
        "balChg": plain(bill.amount),
        "pnl": plain(bill.amount) if bill.kind == "FUNDING" else "0",
        "ts": str(bill.time_ms),
    }
